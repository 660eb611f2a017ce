package org.fabula;

import java.nio.charset.StandardCharsets;

/** The functions of libfabula_jni. Texts cross as UTF-8: what JNI calls UTF-8 is another encoding. */
final class Native {
    static {
        System.loadLibrary("fabula_jni");
    }

    private Native() {}

    static native byte[] version();

    static native byte[][] deviceNames();

    static native long openDevice(byte[] device, byte[] cacheFolder);

    static native byte[] deviceName(long device);

    static native void closeDevice(long device);

    static native long openModel(byte[] folder, byte[] weights);

    static native long openModelDescriptors(
            byte[][] names, int[] descriptors, long[] offsets, long[] lengths, byte[] weights);

    /** Vocabulary, context, layers, hidden, parameters, shortlist, groups. */
    static native long[] modelNumbers(long model);

    static native void closeModel(long model);

    static native long openSession(long device, long model, long slots, long context, boolean levels);

    /** Tokens of the prompt, tokens written, and a fabula_finish. */
    static native long[] generate(
            long session,
            byte[] prompt,
            long[] whole,
            double[] real,
            byte[][] stops,
            TokenListener listener);

    static native void cancel(long session);

    static native void closeSession(long session);

    /** Called by the library for every token. */
    static boolean deliver(
            TokenListener listener,
            byte[] piece,
            int id,
            double logP,
            double groupLogP,
            double tokenLogP,
            long group,
            int finish) {
        return listener.onToken(
                new Token(text(piece), id, logP, groupLogP, tokenLogP, group, Finish.of(finish)));
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static byte[][] bytes(String[] texts) {
        byte[][] all = new byte[texts.length][];
        for (int i = 0; i < texts.length; i++) all[i] = bytes(texts[i]);
        return all;
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
