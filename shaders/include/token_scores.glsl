// The scores that tokens are drawn by (src/reference/token_weights.hpp): whole numbers, the same on every device. Before they become
// whole, floats are only multiplied and added, and `precise` keeps a compiler from joining the two.
// A workgroup serves one row of log-probabilities. Needs numbers.glsl, decode_slot.glsl and token_lanes.glsl; SLOTS_ACCESS, COUNTS_ACCESS
// and CHUNKS_ACCESS say how the buffers are used.
layout(set = 0, binding = 0) readonly buffer LogProbs { vec4 log_probs[]; };      // rows of this call, [rows, V]
layout(set = 0, binding = 1) SLOTS_ACCESS buffer Slots { uvec4 slots[]; };        // [S, kSlotWords]
layout(set = 0, binding = 2) COUNTS_ACCESS buffer Counts { uvec4 counts[]; };     // slots of this call, [.., V]
layout(set = 0, binding = 3) readonly buffer Bias { vec4 bias[]; };               // slots of this call, [.., V]
layout(set = 0, binding = 4) readonly buffer Places { uvec4 places[]; };          // [1, kPlaceWords * R]
layout(set = 0, binding = 5) CHUNKS_ACCESS buffer Chunks { uvec4 chunk_words[]; };  // rows of this call, [rows, chunks * kChunkWords]
layout(push_constant) uniform Push {
  uint rows;          // of this call
  uint first_row;     // of this call
  uint first_slot;    // of this call
  uint some_slots;    // of this call
  uint tokens;        // V
  uint chunk_bits;    // a chunk has 2^chunk_bits tokens
  uint chunk_count;   // of a row
  uint ring_length;   // K
};

// A chunk's words, as vec4s:
// 0: the key of its largest adjusted log-probability (0: no token can be drawn), that token; the sum of its weights, low and high word
// 1: the key of the largest log p, that token (where the slot wants to know the likeliest); log2(e) / temperature, as bits
// 2..: for each octave below its likeliest token's: {sum of mantissas, low word; high word + count << 8}, two octaves a vec4
const uint kChunkVec4s = 34;
const uint kOctaves = 64;
const uint kPartBits = 20;

uint row, slot_base, row_base, adjust_base;  // of this workgroup: the row, and where its slot, log p, counts and bias begin
uvec4 place, slot_words[6];                  // all that a slot has, read at once
uint flags;
bool greedy;
float factor;                          // log2(e) / temperature
float repetition, presence, frequency;

uint slot_word(uint word) { return slot_words[word / 4][word % 4]; }
float slot_number(uint word) { return uintBitsToFloat(slot_word(word)); }

// high * 2^32 + low by divisor, rounded down, where high < divisor <= 2^24.
uint quotient(uint high, uint low, uint divisor) {
  uint result = 0;
  for (uint byte = 0; byte < 4; ++byte) {
    uint part = high << 8 | low >> 24;
    result = result << 8 | part / divisor;
    high = part % divisor;
    low <<= 8;
  }
  return result;
}
float sharpness(uint temperature_bits) {
  uint q = quotient(0x5C551Du, 0x94AE0BF8u, temperature_bits & 0x7FFFFFu | 0x800000u);  // log2(e) * 2^54
  bool long_one = q >> 31 != 0;
  return uintBitsToFloat(q >> (long_one ? 8 : 7) & 0x7FFFFFu | (long_one ? 254u : 253u) - (temperature_bits >> 23) << 23);
}

// Whether there is a token to draw for this row in this call. Leaves `factor` to be set.
bool open_row(uint the_row) {
  row = the_row;
  if (row >= rows) return false;
  place = places[first_row + row];
  uint slot = place[kPlaceSlot];
  if (place[kPlaceLive] == 0 || slot < first_slot || slot - first_slot >= some_slots) return false;
  uint stride4 = (tokens + 3) / 4;
  slot_base = slot * (kSlotWords / 4);
  row_base = row * stride4;
  adjust_base = (slot - first_slot) * stride4;
  slot_words = uvec4[6](slots[slot_base], slots[slot_base + 1], slots[slot_base + 2], slots[slot_base + 3], slots[slot_base + 4],
                        slots[slot_base + 5]);
  flags = slot_word(kSlotFlags);
  greedy = slot_number(kSlotTemperature) < kLeastTemperature;
  factor = 1.0;
  repetition = slot_number(kSlotRepetition);
  presence = slot_number(kSlotPresence);
  frequency = slot_number(kSlotFrequency);
  return true;
}

bvec4 too_large(vec4 x) { return greaterThanEqual(floatBitsToUint(x) & 0x7FFFFFFFu, uvec4(floatBitsToUint(kExcluded))); }
bvec4 no_tokens(uint at) { return greaterThanEqual(uvec4(4 * at) + uvec4(0, 1, 2, 3), uvec4(tokens)); }

// Keys have the order of what they stand for; 0: never drawn. What is too small for a normal float counts as 0.
uvec4 keys_of(vec4 x, bvec4 never) {
  uvec4 bits = floatBitsToUint(x);
  bits = mix(bits, uvec4(0), lessThan(bits & 0x7FFFFFFFu, uvec4(0x00800000u)));
  uvec4 keys = mix(bits | 0x80000000u, ~bits, greaterThanEqual(bits, uvec4(0x80000000u)));
  return mix(keys, uvec4(0), never);
}
vec4 key_numbers(uvec4 keys) {
  return uintBitsToFloat(mix(~keys, keys & 0x7FFFFFFFu, greaterThanEqual(keys, uvec4(0x80000000u))));
}

// Keys of the model's own log-probabilities of tokens 4 at and on.
uvec4 own_keys(uint at) {
  vec4 l = log_probs[row_base + at];
  return keys_of(l, bvec4(uvec4(too_large(l)) | uvec4(no_tokens(at))));
}
// With bias and penalties, of log-probabilities `own`.
uvec4 adjusted_keys(uint at, vec4 own) {
  precise vec4 l = own;
  uvec4 never = uvec4(too_large(l)) | uvec4(no_tokens(at));
  if (flags != 0) {
    uvec4 generated = uvec4(0);
    if ((flags & kUsesCounts) != 0) {
      generated = counts[adjust_base + at];
      l = mix(l, l * repetition, notEqual(generated, uvec4(0)));
      generated &= ~kInPrompt;
    }
    if ((flags & kUsesBias) != 0) l += bias[adjust_base + at];
    precise vec4 penalty = frequency * vec4(generated);
    penalty += presence;
    l = mix(l - penalty, l, equal(generated, uvec4(0)));
    never |= uvec4(too_large(l));
  }
  return keys_of(l, bvec4(never));
}
uvec4 adjusted_keys(uint at) { return adjusted_keys(at, log_probs[row_base + at]); }

// Scores of keys, by the temperature: a token's probability is proportional to 2^(octave + part / 2^kPartBits).
struct Scores {
  ivec4 octave;
  uvec4 part;
};
Scores scores_of(uvec4 keys) {
  precise vec4 score = key_numbers(keys) * factor;
  vec4 whole = floor(score);
  precise vec4 rest = score - whole;
  return Scores(ivec4(clamp(whole, -1e9, 1e9)), min(uvec4(rest * 1048576.0), (1u << kPartBits) - 1));
}
int octave_of(uint key) { return scores_of(uvec4(key)).octave.x; }

// 2^23 to 2^24, within an octave.
uvec4 mantissas(uvec4 part) {
  precise vec4 x = vec4(part) * (1.0 / 1048576.0);
  precise vec4 power = 0.0018671300495043397 * x + 0.009017030708491802;
  power = power * x + 0.05579991266131401;
  power = power * x + 0.24016444385051727;
  power = power * x + 0.6931512951850891;
  power = power * x + 1.0;
  return uvec4(power * 8388608.0);
}

uvec2 shift_down(uvec2 a, uint n) {
  if (n == 0) return a;
  if (n < 32) return uvec2(a.x >> n | a.y << (32 - n), a.y >> n);
  return n < 64 ? uvec2(a.y >> (n - 32), 0u) : uvec2(0);
}
uvec2 shift_up(uvec2 a, uint n) {
  if (n == 0) return a;
  if (n < 32) return uvec2(a.x << n, a.y << n | a.x >> (32 - n));
  return n < 64 ? uvec2(0u, a.x << (n - 32)) : uvec2(0);
}
// a * b / 2^32, rounded down
uvec2 times_fraction(uvec2 a, uint b) {
  uint high, low, high2, low2;
  umulExtended(a.y, b, high, low);
  umulExtended(a.x, b, high2, low2);
  return plus(uvec2(low, high), uvec2(high2, 0u));
}
// A token's share, on the scale of a likelier one `octaves` above it.
uvec2 weight(uint mantissa, uint octaves) { return shift_down(uvec2(mantissa << 16, mantissa >> 16), octaves); }
