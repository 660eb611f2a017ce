#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
//! variant sample_tokens
//! variant sample_tokens_whole WHOLE=1
// Draws a row's token by what is known of its chunks, and writes it to slot, counts and ring. A workgroup a row, behind
// sample_tokens_chunks; or, WHOLE, a workgroup a chunk, of which the one that is through last draws.
// Every question - which octave, which part of it, which chunk, which token - is asked in one way: tokens are counted or weighed into
// kBins bins, and the bin is found in which a running sum reaches what is wanted.
#define SLOTS_ACCESS
#define COUNTS_ACCESS
#ifdef WHOLE
#define CHUNKS_ACCESS coherent
#else
#define CHUNKS_ACCESS readonly
#endif
#include "grid.glsl"
#include "numbers.glsl"
#include "philox.glsl"
#include "decode_slot.glsl"
#include "token_lanes.glsl"
#include "token_scores.glsl"
#ifdef WHOLE
#include "token_chunks.glsl"
#endif
layout(set = 0, binding = 6) writeonly buffer Ring { uint ring[]; };  // [S * K, kRingWords]
// A look at each of several tokens is an iteration of a loop. Where there are so many that it would near the drivers' limit, there is
// none, and much more code.
layout(constant_id = 1) const bool kByBits = true;
const uint kBinBits = 10, kBins = 1u << kBinBits;
shared uint bin_count[kBins], bin_low[kBins], bin_high[kBins];
shared uint found_bin, found_count, found_low, found_high;  // kBins: the sum falls short; what lies before the bin

// Tokens by depth below the likeliest: octaves, then parts of one. Drawn are those with depth < cut_depth, and of depth == cut_depth
// those with ids below cut_end.
const uint kDeepest = 0xFFFFFFFFu;
uint best_key;
int top_octave;
uint cut_depth, cut_end;
uint least;  // weight, 2^8 mantissas of the top octave: min-p

uint own_log_p(uint id) { return floatBitsToUint(log_probs[row_base + id / 4][id % 4]); }
uint chunk_base(uint chunk) { return (row * chunk_count + chunk) * kChunkVec4s; }
uvec4 chunk_best(uint chunk) { return chunk_words[chunk_base(chunk)]; }

void clear_bins() {
  barrier();
  for (uint i = lane(); i < kBins; i += kSize) {
    bin_count[i] = 0;
    bin_low[i] = 0;
    bin_high[i] = 0;
  }
  barrier();
}
void add_to_bin(uint bin, uint count, uvec2 mass) {
  atomicAdd(bin_count[bin], count);
  uint before = atomicAdd(bin_low[bin], mass.x);
  uint high = mass.y + uint(before + mass.x < before);
  if (high != 0) atomicAdd(bin_high[bin], high);
}
uvec2 bin_mass(uint bin) { return uvec2(bin_low[bin], bin_high[bin]); }

// The sum of all bins, and of those before this lane's in `before`.
uvec3 sum_bins(out uvec3 before) {
  uint first = lane() * (kBins / kSize);
  uvec3 own = uvec3(0), total;
  for (uint i = first; i < first + kBins / kSize; ++i) own = plus(own, uvec3(bin_count[i], bin_mass(i)));
  before = sum_before(own, total);
  return total;
}

// Looks for the first bin with which the running sum, of masses or counts, reaches `wanted`, which is not 0.
void find_bin(uvec3 before, bool by_mass, uvec2 wanted) {
  if (lane() == 0) found_bin = kBins;
  barrier();
  if (less(by_mass ? before.yz : uvec2(before.x, 0u), wanted)) {
    for (uint i = lane() * (kBins / kSize); i < (lane() + 1) * (kBins / kSize); ++i) {
      uvec3 next = plus(before, uvec3(bin_count[i], bin_mass(i)));
      if (!less(by_mass ? next.yz : uvec2(next.x, 0u), wanted)) {
        found_bin = i;
        found_count = before.x;
        found_low = before.y;
        found_high = before.z;
        break;
      }
      before = next;
    }
  }
  barrier();
}

// What is put into the bins: tokens of `range` (first id, one behind the last) with depths from `depths.x` to `depths.y` that may be
// drawn; by their place in the range, 2^bits ids a bin, or by bits of their depth.
struct Fill {
  uvec2 range;
  uvec2 depths;
  uint bits;
  bool by_depth;
};

void fill_token(Fill fill, uint id) {
  uint key = adjusted_keys(id / 4)[id % 4];
  Scores scores = scores_of(uvec4(key));
  uint octaves = uint(top_octave - scores.octave.x), m = mantissas(scores.part).x;
  uint depth = octaves < kOctaves ? octaves << kPartBits | ((1u << kPartBits) - 1 - scores.part.x) : kDeepest;
  if (key == 0 || depth < fill.depths.x || depth > fill.depths.y || (depth == cut_depth && id >= cut_end)) return;
  if (id < fill.range.x || id >= fill.range.y) return;
  if (fill.by_depth) {
    add_to_bin(depth >> fill.bits & kBins - 1, 1, uvec2(m, 0u));
  } else {
    if ((octaves < 32 ? m << 8 >> octaves : 0) < least) return;
    int chunk_top = octave_of(chunk_best(id >> chunk_bits).x);
    add_to_bin(id - fill.range.x >> fill.bits, 1, weight(m, uint(chunk_top - scores.octave.x)));
  }
}
// A log-probability below those of all tokens that are deep enough; others need no closer look.
float least_log_p(uint deepest) {
  if (deepest == kDeepest || abs(top_octave) > 900000000) return -kExcluded;
  float l = float(top_octave - int(deepest >> kPartBits)) / factor;
  return max(l - 1e-4 * abs(l), -kExcluded);
}
// Which of four tokens need one, as bits.
uint close_ones(uint at, uint end, vec4 own, float least_l, uint least_key) {
  if (at >= end) return 0;
  bvec4 close = flags == 0 ? greaterThanEqual(own, vec4(least_l)) : greaterThanEqual(adjusted_keys(at, own), uvec4(least_key));
  uvec4 bits = uvec4(close) << uvec4(0, 1, 2, 3);
  return bits.x | bits.y | bits.z | bits.w;
}
void fill_bins(Fill fill) {
  if (!fill.by_depth && fill.bits < chunk_bits) {  // within a chunk
    for (uint id = fill.range.x + lane(); id < fill.range.y; id += kSize) fill_token(fill, id);
    return;
  }
  uint end = (fill.range.y + 3) / 4;
  float least_l = least_log_p(fill.depths.y);
  uint least_key = keys_of(vec4(least_l), bvec4(false)).x;
  for (uint at = fill.range.x / 4 + lane(); at < end; at += 4 * kSize) {
    vec4 own[4];  // reads that do not wait for each other
    [[unroll]] for (uint i = 0; i < 4; ++i) own[i] = log_probs[row_base + min(at + i * kSize, end - 1)];
    uint close = 0;
    [[unroll]] for (uint i = 0; i < 4; ++i)
      close |= close_ones(at + i * kSize, end, own[i], least_l, least_key) << 4 * i;
    if (kByBits) {
      while (close != 0) {
        uint bit = findLSB(close);
        close &= close - 1;
        fill_token(fill, 4 * (at + bit / 4 * kSize) + bit % 4);
      }
    } else {
      [[unroll]] for (uint bit = 0; bit < 16; ++bit)
        if ((close >> bit & 1u) != 0) fill_token(fill, 4 * (at + bit / 4 * kSize) + bit % 4);
    }
  }
}

void add_octave(uint octave, uvec2 words) {
  if (octave < kOctaves && words.y != 0) add_to_bin(octave, words.y >> 8, uvec2(words.x, words.y & 255u));
}
// A bin an octave below the likeliest token's, by the chunks' own.
void fill_octaves() {
  for (uint i = lane(); i < chunk_count * (kOctaves / 2); i += kSize) {
    uint chunk = i / (kOctaves / 2), pair = i % (kOctaves / 2), key = chunk_best(chunk).x;
    if (key == 0) continue;
    uvec4 words = chunk_words[chunk_base(chunk) + 2 + pair];
    uint first = uint(top_octave - octave_of(key)) + 2 * pair;
    add_octave(first, words.xy);
    add_octave(first + 1, words.zw);
  }
  barrier();
  for (uint i = lane(); i < kOctaves; i += kSize) {
    uvec2 mass = shift_down(shift_up(bin_mass(i), 16), i);
    bin_low[i] = mass.x;
    bin_high[i] = mass.y;
  }
}
// A bin a chunk, all on one scale: of what fill_bins added up, or of the chunks' whole sums.
void scale_chunks(bool whole) {
  barrier();
  for (uint i = lane(); i < chunk_count; i += kSize) {
    uvec4 best = chunk_best(i);
    uvec2 mass = whole ? best.zw : bin_mass(i);
    mass = best.x == 0 ? uvec2(0) : shift_down(mass, uint(top_octave - octave_of(best.x)));
    bin_low[i] = mass.x;
    bin_high[i] = mass.y;
  }
}

// x in [0, 1] as a fraction of 2^32, 1 as the largest one.
uint fraction(float x) {
  if (x >= 1.0) return 0xFFFFFFFFu;
  uint high = uint(x * 65536.0);
  return high << 16 | uint((x * 65536.0 - float(high)) * 65536.0);
}

// What is asked next. A cut is looked for in an octave, then in parts of it, then among tokens of one depth by id; top-k counts,
// top-p weighs. Then a token is drawn by id. Ids are found in three steps: a chunk, a few tokens, one.
const uint kOctave = 0, kPart = 1, kTie = 2, kDraw = 3, kDone = 4;
uint phase;
bool counting;      // the cut is top-k's
bool with_top_p;    // it is, or is yet to come
Fill fill;
uvec2 wanted;       // of the running sum over the bins
uint octave;        // that the cut is in
uvec2 above, within;  // mass of the octaves above it; mantissas in it, as far as they are known to be drawn
uvec2 total;        // mass of what top-k left, once `total_known`
bool total_known;

void start_draw() {
  uint high, low;
  umulExtended(mantissas(scores_of(uvec4(best_key)).part).x << 8, fraction(slot_number(kSlotMinP)), high, low);
  least = high;
  uint deepest = cut_depth;
  if (least != 0) deepest = min(deepest, (uint(32 - findMSB(least)) << kPartBits) - 1);
  fill = Fill(uvec2(0, tokens), uvec2(0, deepest), chunk_bits, false);
  phase = kDraw;
}
void start_cut() {
  if (!counting && !with_top_p) {
    start_draw();
    return;
  }
  phase = kOctave;
}
// depth and id, one behind the last, of the cut; a cut never takes an earlier one back.
void end_cut(uint depth, uint id_end) {
  if (depth < cut_depth || (depth == cut_depth && id_end < cut_end)) {
    cut_depth = depth;
    cut_end = id_end;
  }
  total = plus(above, shift_down(shift_up(within, 16), octave));
  total_known = true;
  if (!counting) with_top_p = false;
  counting = false;
  start_cut();
}

// Each takes the bin that was found, with its contents, and what lies before it; {count, mass}.
void found_octave(uint bin, uvec3 before, uvec3 sum) {
  octave = bin;
  within = uvec2(0);
  above = before.yz;
  if (bin == kBins) {  // fewer than k, or the rest is beyond all octaves
    above = sum.yz;
    octave = 0;
    end_cut(kDeepest, 0xFFFFFFFFu);
    return;
  }
  if (!counting) wanted = shift_down(plus(shift_up(wanted, octave), uvec2(0xFFFFu, 0u)), 16);  // in mantissas, rounded up
  fill = Fill(uvec2(0, tokens), (uvec2(octave, octave + 1) << kPartBits) - uvec2(0, 1), kPartBits - kBinBits, true);
  phase = kPart;
}
void found_part(uint bin, uvec3 before, uvec3 contents) {
  within = plus(within, before.yz);
  fill.depths.x += bin << fill.bits;
  fill.depths.y = fill.depths.x + (1u << fill.bits) - 1;
  if (contents.x > 1 && fill.bits != 0) {
    fill.bits = 0;
    return;
  }
  uint drawn = contents.x;  // of the tokens in this bin, which are equally deep if there are several
  uint m = mantissas(uvec4((1u << kPartBits) - 1 - (fill.depths.x & (1u << kPartBits) - 1))).x;
  if (contents.x == 1) {
    within = plus(within, contents.yz);
  } else {
    uvec2 rounded = plus(wanted, uvec2(m - 1, 0u));
    drawn = counting ? wanted.x : quotient(rounded.y, rounded.x, m);
    uint high, low;
    umulExtended(drawn, m, high, low);
    within = plus(within, uvec2(low, high));
  }
  if (drawn == contents.x) {
    end_cut(fill.depths.y, 0xFFFFFFFFu);
  } else {
    wanted = uvec2(drawn, 0);
    fill.by_depth = false;
    fill.bits = chunk_bits;
    phase = kTie;
  }
}
void found_place(uint bin) {
  fill.range.x += bin << fill.bits;
  fill.range.y = min(fill.range.x + (1u << fill.bits), fill.range.y);
  if (fill.bits == chunk_bits && phase == kDraw) {
    // What is left is brought to the chunk's own scale; +1 stands for "more than".
    uint octaves = uint(top_octave - octave_of(chunk_best(bin).x));
    wanted = plus(shift_up(minus(wanted, uvec2(1, 0)), octaves), uvec2(1, 0));
  }
  if (fill.bits > 0) {
    fill.bits -= min(fill.bits, kBinBits);
  } else if (phase == kTie) {
    end_cut(fill.depths.x, fill.range.x + 1);
  } else {
    phase = kDone;
  }
}

// The token for u / 2^32; there is one to draw.
uint drawn_token(uint u) {
  cut_depth = kDeepest;
  cut_end = 0xFFFFFFFFu;
  least = 0;
  counting = slot_word(kSlotTopK) != 0;
  with_top_p = slot_number(kSlotTopP) < 1.0;
  wanted = uvec2(slot_word(kSlotTopK), 0u);
  total_known = false;
  start_cut();
  while (phase != kDone) {
    clear_bins();
    bool chunks = phase == kDraw && fill.bits == chunk_bits, whole = chunks && fill.depths.y == kDeepest;
    if (phase == kOctave) fill_octaves();
    else if (!whole) fill_bins(fill);
    if (chunks) scale_chunks(whole);
    barrier();
    uvec3 before, sum = sum_bins(before);
    if (phase == kOctave && !counting) {
      wanted = times_fraction(total_known ? total : sum.yz, fraction(slot_number(kSlotTopP)));
      if (wanted == uvec2(0)) wanted.x = 1;
    }
    if (chunks) wanted = plus(times_fraction(sum.yz, u), uvec2(1, 0));
    bool by_mass = phase == kDraw || (phase != kTie && !counting);
    find_bin(before, by_mass, wanted);
    uint bin = found_bin;
    before = uvec3(found_count, found_low, found_high);
    uvec3 contents = uvec3(0);
    if (bin < kBins) {
      contents = uvec3(bin_count[bin], bin_mass(bin));
      wanted = minus(wanted, by_mass ? before.yz : uvec2(before.x, 0u));
    }
    if (phase == kOctave) found_octave(bin, before, sum);
    else if (phase == kPart) found_part(bin, before, contents);
    else found_place(bin);
  }
  return fill.range.x;
}

// The likeliest tokens by the model's own log p, into the ring's row. The best of each chunk stands in its bin; one that was taken gives
// way to the next of its chunk.
void write_top(uint ring_base, uint count) {
  for (uint i = lane(); i < chunk_count; i += kSize) {
    uvec4 words = chunk_words[chunk_base(i) + 1];
    bin_low[i] = words.x;
    bin_high[i] = words.y;
  }
  for (uint n = 0; n < count; ++n) {
    uvec2 best = uvec2(0u, kNone);
    barrier();
    for (uint i = lane(); i < chunk_count; i += kSize) best = better(best, uvec2(bin_low[i], bin_high[i]));
    best = best_of_lanes(best);
    if (lane() == 0) {
      ring[ring_base + kRingTop + 2 * n] = best.x == 0 ? kNoToken : best.y;
      ring[ring_base + kRingTop + 2 * n + 1] = best.x == 0 ? 0u : own_log_p(best.y);
    }
    uint chunk = best.x == 0 ? 0 : best.y >> chunk_bits, first = chunk << (chunk_bits - 2);
    uvec2 next = uvec2(0u, kNone);
    if (best.x != 0) {
      for (uint at = first + lane(); at < min(first + (1u << (chunk_bits - 2)), (tokens + 3) / 4); at += kSize) {
        uvec4 keys = own_keys(at), ids = uvec4(4 * at) + uvec4(0, 1, 2, 3);
        bvec4 taken = greaterThan(keys, uvec4(best.x));
        uvec4 ties = uvec4(equal(keys, uvec4(best.x))) & uvec4(lessThanEqual(ids, uvec4(best.y)));
        next = better(next, mix(keys, uvec4(0), bvec4(uvec4(taken) | ties)), 4 * at);
      }
    }
    next = best_of_lanes(next);
    if (lane() == 0) {
      bin_low[chunk] = next.x;
      bin_high[chunk] = next.y;
    }
  }
}

void set_slot_word(uint word, uint value) { slots[slot_base + word / 4][word % 4] = value; }
uint reason_after(uint token, uint position) {
  if (token == kNoToken) return kReasonNumeric;
  for (uint i = 0; i < kMostStops; ++i)
    if (slot_word(kSlotStops + i) == token) return kReasonStop;
  return position + 1 >= slot_word(kSlotEnd) ? kReasonLength : kReasonNone;
}

#ifdef WHOLE
shared uint arrived_before;
// Whether all other workgroups of the row are through, whose words this one then sees: the slot counts them.
bool is_last() {
  memoryBarrierBuffer();
  barrier();
  if (lane() == 0) arrived_before = atomicAdd(slots[slot_base + kSlotArrived / 4][kSlotArrived % 4], 1);
  barrier();
  memoryBarrierBuffer();
  return arrived_before == chunk_count - 1;
}
#endif

void main() {
#ifdef WHOLE
  if (!open_row(linear_group() / chunk_count)) return;
  look_at_chunk(linear_group() % chunk_count);
  if (!is_last()) return;
#else
  if (!open_row(linear_group())) return;
  factor = uintBitsToFloat(chunk_words[chunk_base(0) + 1].z);
#endif
  uvec2 best = uvec2(0u, kNone);
  for (uint i = lane(); i < chunk_count; i += kSize) best = better(best, chunk_best(i).xy);
  best = best_of_lanes(best);
  uint position = place[kPlacePosition] + 1, token = best.x == 0 ? kNoToken : best.y;
  if (!greedy && token != kNoToken) {
    best_key = best.x;
    top_octave = octave_of(best.x);
    token = drawn_token(philox4x32(uvec4(position, 0, 0, kDrawStream), uvec2(slot_word(kSlotSeed), slot_word(kSlotSeed + 1))).x);
  }

  uint top_n = min(slot_word(kSlotTopN), kMostTopN), reason = reason_after(token, position);
  uint ring_base = (place[kPlaceSlot] * ring_length + position % ring_length) * kRingWords;
  barrier();
  write_top(ring_base, top_n);
  for (uint i = kRingVisited + 1 + lane(); i < kRingWords; i += kSize)
    if (i < kRingTop || i >= kRingTop + 2 * top_n) ring[ring_base + i] = 0;
  if (lane() != 0) return;
#ifdef WHOLE
  set_slot_word(kSlotArrived, 0);
#endif
  ring[ring_base + kRingToken] = token;
  ring[ring_base + kRingLogProb] = token == kNoToken ? 0u : own_log_p(token);
  ring[ring_base + kRingPosition] = position;
  ring[ring_base + kRingReason] = reason;
  ring[ring_base + kRingVisited] = tokens;
  set_slot_word(kSlotPosition, position);
  set_slot_word(kSlotReason, reason);
  if (reason != kReasonNone) set_slot_word(kSlotLive, 0);
  if (token == kNoToken) return;
  set_slot_word(kSlotToken, token);
  if ((flags & kUsesCounts) != 0) counts[adjust_base + token / 4][token % 4] += 1;
}
