package org.fabula;

import java.io.Closeable;
import java.util.concurrent.atomic.AtomicLong;

/** Something of the library's that is closed once. Used after that it is refused by the library, with a message. */
abstract class Handle implements Closeable {
    private final AtomicLong handle;

    Handle(long handle) {
        this.handle = new AtomicLong(handle);
    }

    final long handle() {
        return handle.get();
    }

    /** Closing again does nothing. */
    @Override
    public final void close() {
        long open = handle.getAndSet(0);
        if (open != 0) release(open);
    }

    abstract void release(long handle);
}
