#version 450
#extension GL_GOOGLE_include_directive : require
// loss[n] = log(sum_c exp(logits[n, c])) - logits[n, labels[n]] over columns that come in blocks: statistics of the rows so far are kept
// from block to block, and the last one writes the results. A row holding a NaN or an infinity has a NaN loss.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer Logits { vec4 logits[]; };              // [rows, columns] of this call
layout(set = 0, binding = 1) readonly buffer Labels { uint labels[]; };              // [1, positions]
layout(set = 0, binding = 2) readonly buffer LabelLogit { float label_logit[]; };    // rows of this chunk
layout(set = 0, binding = 3) buffer Stats { uvec4 stats_words[]; };                  // rows of this chunk: RowStats so far
layout(set = 0, binding = 4) writeonly buffer Loss { uint loss_bits[]; };            // [1, positions], floats
layout(set = 0, binding = 5) writeonly buffer LogSumExp { uint log_sum_exp_bits[]; };
layout(set = 0, binding = 6) writeonly buffer Correct { float correct[]; };
layout(push_constant) uniform Push {
  uint rows;          // of this call
  uint first_row;     // the position of row 0
  uint positions;     // rows of all calls
  uint first_column;  // the token of column 0
  uint columns;       // of this call
  uint vocabulary;    // columns of all calls
};

void main() {
  uint row = row_of_call(), lane = lane_of_row(), position = first_row + row;
  uint stride4 = (columns + 3) / 4, full4 = columns / 4, base = row * stride4;
  uint label = row < rows ? labels[position] : kNone;
  bool counted = label != kNone, valid = label < vocabulary;
  RowStats stats = empty_stats();
  float label_x = 0.0;
  if (valid) {
    label_x = label_logit[row];
    if (first_column > 0 && lane == 0) {
      uvec4 words = stats_words[row];
      stats = RowStats(uintBitsToFloat(words.x), uintBitsToFloat(words.y), words.z, words.w);
    }
    for (uint k = lane; k < full4; k += kLanes) {
      vec4 x = logits[base + k];
      add_entries(stats, x);
      note_beaten(stats, x, bvec4(true), first_column + 4 * k, label_x, label);
    }
    if (full4 < stride4 && lane == full4 % kLanes) {
      vec4 x = logits[base + full4];
      bvec4 real = columns_below(4 * full4, columns);
      add_entries(stats, x, real);
      note_beaten(stats, x, real, first_column + 4 * full4, label_x, label);
    }
  }
  stats = join_lanes(stats);
  if (row >= rows || lane != 0) return;
  if (first_column + columns < vocabulary) {
    stats_words[row] = uvec4(floatBitsToUint(stats.maximum), floatBitsToUint(stats.sum), stats.magnitude, stats.beaten);
    return;
  }
  float log_sum = valid ? log(stats.sum) : 0.0;
  bool bad = counted && (!valid || stats.magnitude >= kInfinityBits);
  uint loss = counted ? floatBitsToUint((stats.maximum - label_x) + log_sum) : 0u;
  uint log_sum_exp = counted ? floatBitsToUint(stats.maximum + log_sum) : 0u;
  loss_bits[position] = bad ? kNanBits : loss;
  log_sum_exp_bits[position] = bad ? kNanBits : log_sum_exp;
  correct[position] = valid && !bad && stats.beaten == 0u ? 1.0 : 0.0;
  if (position + 1 == positions) {
    for (uint n = positions; n % 4 != 0; ++n) {
      loss_bits[n] = 0u;
      log_sum_exp_bits[n] = 0u;
      correct[n] = 0.0;
    }
  }
}
