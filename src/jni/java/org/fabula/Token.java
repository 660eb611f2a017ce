package org.fabula;

/** A token as it is written, or the end of a text. */
public final class Token {
    /** What can be shown of the text since the last token: whole characters; may be empty. */
    public final String piece;
    /** Its number in the vocabulary; -1: no token, what was held back and the end of the text. */
    public final int id;
    /** log p of the token. */
    public final double logP;
    /** log p(group), the first level; not a number where the head has one level or the session does not tell both. */
    public final double groupLogP;
    /** log p(token given group), the second level; likewise. */
    public final double tokenLogP;
    /** The group's number; -1 where it is not told. */
    public final long group;
    public final Finish finish;

    Token(String piece, int id, double logP, double groupLogP, double tokenLogP, long group, Finish finish) {
        this.piece = piece;
        this.id = id;
        this.logP = logP;
        this.groupLogP = groupLogP;
        this.tokenLogP = tokenLogP;
        this.group = group;
        this.finish = finish;
    }
}
