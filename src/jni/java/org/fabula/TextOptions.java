package org.fabula;

/** How a text is written; fields are as in fabula_text_options, and have its defaults. */
public final class TextOptions {
    public long maxTokens = 200;
    /** The same seed and options give the same text. */
    public long seed = 0;
    /** 0: always the likeliest token. */
    public double temperature = 0.8;
    /** Only the k likeliest; 0: all. */
    public int topK = 0;
    /** Only the smallest set whose probability reaches this. */
    public double topP = 1;
    /** Only tokens this probable, relative to the likeliest. */
    public double minP = 0;
    public double repetitionPenalty = 1;
    public double presencePenalty = 0;
    public double frequencyPenalty = 0;
    /** The text ends before any of these. */
    public String[] stops = {};
    /** A text that outgrows the context goes on with its later half, else it ends. */
    public boolean slide = false;

    long[] whole() {
        return new long[] {maxTokens, seed, topK, slide ? 1 : 0};
    }

    double[] real() {
        return new double[] {temperature, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty};
    }
}
