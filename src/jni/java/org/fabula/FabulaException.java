package org.fabula;

/** What a call of the library failed with: one message that says what, where and what to do. */
public final class FabulaException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final int status;

    /** Made by the library, from a fabula_status and a message in UTF-8. */
    FabulaException(int status, byte[] message) {
        super(Native.text(message));
        this.status = status;
    }

    /** A fabula_status, as in fabula/fabula.h: 1 invalid argument, 2 not found, 3 reading failed, 4 format, and so on. */
    public int status() {
        return status;
    }
}
