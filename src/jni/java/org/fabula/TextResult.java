package org.fabula;

/** How a text went. */
public final class TextResult {
    /** With what stands before a text. */
    public final long promptTokens;
    /** Written, one that ends the text included. */
    public final long tokens;
    public final Finish finish;

    TextResult(long promptTokens, long tokens, Finish finish) {
        this.promptTokens = promptTokens;
        this.tokens = tokens;
        this.finish = finish;
    }
}
