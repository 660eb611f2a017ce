// What is known of each chunk of a row before its token is drawn: the likeliest token, the sum of weights and, where only the likeliest
// tokens may be drawn, how many there are and what they weigh in each octave below.
// A workgroup looks at a chunk. Needs token_scores.glsl.
shared uint sum_low, sum_high;
shared uint octave_low[kOctaves], octave_high[kOctaves];

void add_to_octave(uint octave, uint mantissa) {
  uint before = atomicAdd(octave_low[octave], mantissa);
  atomicAdd(octave_high[octave], 256u + uint(before + mantissa < before));
}

// Writes the chunk's words, by several invocations: what reads them waits for all of them. Leaves `factor` set.
void look_at_chunk(uint chunk) {
  uint me = lane();
  uint begin = chunk << (chunk_bits - 2), end = min(begin + (1u << (chunk_bits - 2)), (tokens + 3) / 4);
  uint words = (row * chunk_count + chunk) * kChunkVec4s;

  uvec2 best = uvec2(0u, kNone);
  for (uint at = begin + me; at < end; at += kSize) best = better(best, adjusted_keys(at), 4 * at);
  best = best_of_lanes(best);
  uvec2 own = uvec2(0u, kNone);
  if (slot_word(kSlotTopN) != 0) {
    for (uint at = begin + me; at < end; at += kSize) own = better(own, own_keys(at), 4 * at);
    own = best_of_lanes(own);
  }
  if (!greedy) factor = sharpness(slot_word(kSlotTemperature));
  if (me == 0) chunk_words[words + 1] = uvec4(own, floatBitsToUint(factor), 0u);
  if (greedy) {
    if (me == 0) chunk_words[words] = uvec4(best, 0u, 0u);
    return;
  }

  if (me == 0) {
    sum_low = 0;
    sum_high = 0;
  }
  for (uint i = me; i < kOctaves; i += kSize) {
    octave_low[i] = 0;
    octave_high[i] = 0;
  }
  barrier();
  bool cuts = slot_word(kSlotTopK) != 0 || slot_number(kSlotTopP) < 1.0;
  int top = octave_of(best.x);
  uvec2 sum = uvec2(0);
  for (uint at = begin + me; at < end; at += kSize) {
    uvec4 keys = adjusted_keys(at);
    Scores scores = scores_of(keys);
    uvec4 m = mantissas(scores.part), below = mix(uvec4(top - scores.octave), uvec4(kOctaves), equal(keys, uvec4(0)));
    for (uint i = 0; i < 4; ++i) {
      if (below[i] >= kOctaves) continue;
      sum = plus(sum, weight(m[i], below[i]));
      if (cuts) add_to_octave(below[i], m[i]);
    }
  }
  uint before = atomicAdd(sum_low, sum.x);
  atomicAdd(sum_high, sum.y + uint(before + sum.x < before));
  barrier();
  if (me == 0) chunk_words[words] = uvec4(best, sum_low, sum_high);
  if (!cuts) return;
  for (uint i = me; i < kOctaves / 2; i += kSize)
    chunk_words[words + 2 + i] = uvec4(octave_low[2 * i], octave_high[2 * i], octave_low[2 * i + 1], octave_high[2 * i + 1]);
}
