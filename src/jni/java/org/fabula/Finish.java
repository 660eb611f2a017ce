package org.fabula;

/** Why a text ended; the order is that of fabula_finish. */
public enum Finish {
    /** It goes on. */
    NONE,
    /** A token that ends documents, or a stop text. */
    STOP,
    /** The most tokens that were asked for, or the context is full. */
    LENGTH,
    /** {@link Session#cancel}, or the listener said so. */
    CANCELLED,
    /** The model gave no finite log-probability of any token. */
    NUMERIC;

    private static final Finish[] ALL = values();

    static Finish of(int number) {
        return ALL[number];
    }
}
