package org.fabula;

/** Gets the tokens of a text, in the thread that writes it. What it throws ends the text and leaves {@link Session#generate}. */
public interface TokenListener {
    /** False ends the text: nothing more is told of it. */
    boolean onToken(Token token);
}
