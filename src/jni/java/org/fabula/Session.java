package org.fabula;

/** A model on a device, which writes some texts at once. Any thread may call; device and model may be closed before it. */
public final class Session extends Handle {
    /**
     * @param slots texts at once, 1 to 64
     * @param levels tokens are told with both levels of the head, which takes time
     */
    public Session(Device device, Model model, int slots, boolean levels) {
        super(Native.openSession(device.handle(), model.handle(), slots, 0, levels));
    }

    /** Writes a text behind a prompt, to its end, in this thread. */
    public TextResult generate(String prompt, TextOptions options, TokenListener listener) {
        long[] result =
                Native.generate(
                        handle(),
                        Native.bytes(prompt),
                        options.whole(),
                        options.real(),
                        Native.bytes(options.stops),
                        listener);
        return new TextResult(result[0], result[1], Finish.of((int) result[2]));
    }

    /** Ends the texts that are being written, from any thread, and does not wait: {@link #generate} returns within a submission. */
    public void cancel() {
        Native.cancel(handle());
    }

    /** Ends the texts that are being written: their calls return within a submission. */
    @Override
    void release(long handle) {
        Native.closeSession(handle);
    }
}
