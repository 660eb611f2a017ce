package org.fabula;

import java.util.List;

/** A trained model's configuration, tokenizer and weights. Needs no device. */
public final class Model extends Handle {
    public final long vocabulary, context, layers, hidden, parameters;
    /** Tokens that have a group of their own, and the head's other groups; 0 groups: the head has one level. */
    public final long shortlist, groups;

    /** A file of a model's folder that is part of an open one, as an asset is that an APK stores uncompressed. */
    public static final class Part {
        final String name;
        final int descriptor;
        final long offset, length;

        /**
         * @param name as in a folder: "config.json"
         * @param descriptor of a file; may be closed once the model is open
         * @param offset where the part begins, in bytes
         * @param length in bytes; -1: up to the end
         */
        public Part(String name, int descriptor, long offset, long length) {
            this.name = name;
            this.descriptor = descriptor;
            this.offset = offset;
            this.length = length;
        }
    }

    private Model(long handle) {
        super(handle);
        long[] numbers;
        try {
            numbers = Native.modelNumbers(handle);
        } catch (RuntimeException failure) {
            close();
            throw failure;
        }
        vocabulary = numbers[0];
        context = numbers[1];
        layers = numbers[2];
        hidden = numbers[3];
        parameters = numbers[4];
        shortlist = numbers[5];
        groups = numbers[6];
    }

    /** @param weights what matrices are stored in on the device: "fp32" (null), "fp16", "bf16" or "int8" */
    public static Model open(String folder, String weights) {
        return new Model(Native.openModel(Native.bytes(folder), Native.bytes(weights)));
    }

    /** The parts are mapped, so nothing is copied. */
    public static Model open(List<Part> parts, String weights) {
        int count = parts.size();
        byte[][] names = new byte[count][];
        int[] descriptors = new int[count];
        long[] offsets = new long[count], lengths = new long[count];
        for (int i = 0; i < count; i++) {
            Part part = parts.get(i);
            names[i] = Native.bytes(part.name);
            descriptors[i] = part.descriptor;
            offsets[i] = part.offset;
            lengths[i] = part.length;
        }
        return new Model(
                Native.openModelDescriptors(names, descriptors, offsets, lengths, Native.bytes(weights)));
    }

    @Override
    void release(long handle) {
        Native.closeModel(handle);
    }
}
