#version 450
#extension GL_GOOGLE_include_directive : require
// loss[n] = log(sum_c exp(logits[n, c])) - logits[n, labels[n]] over all columns or the first counts[n]; a row whose columns hold a
// NaN or an infinity has a NaN loss.
#include "grid.glsl"
#include "numbers.glsl"
#include "row_softmax.glsl"
layout(set = 0, binding = 0) readonly buffer Logits { vec4 logits[]; };            // rows of this call, [rows, columns]
layout(set = 0, binding = 1) readonly buffer Labels { uint labels[]; };            // [1, positions]
layout(set = 0, binding = 2) writeonly buffer Loss { uint loss_bits[]; };          // [1, positions], floats
layout(set = 0, binding = 3) writeonly buffer LogSumExp { uint log_sum_exp_bits[]; };
layout(set = 0, binding = 4) writeonly buffer Correct { float correct[]; };
layout(set = 0, binding = 5) readonly buffer Counts { uint counts[]; };            // [1, positions], when has_counts
layout(push_constant) uniform Push {
  uint rows;       // of this call
  uint first_row;  // of this call
  uint positions;  // rows of all calls
  uint columns;
  uint has_counts;
};

void main() {
  uint row = row_of_call(), lane = lane_of_row(), position = first_row + row;
  uint base = row * ((columns + 3) / 4);
  uint label = row < rows ? labels[position] : kNone;
  uint count = row < rows && has_counts != 0 ? min(counts[position], columns) : columns;
  uint full4 = count / 4;
  bool counted = label != kNone, valid = label < count;
  RowStats stats = empty_stats();
  float label_x = 0.0;
  if (valid) {
    label_x = logits[base + label / 4][label % 4];
    for (uint k = lane; k < full4; k += kLanes) {
      vec4 x = logits[base + k];
      add_entries(stats, x);
      note_beaten(stats, x, bvec4(true), 4 * k, label_x, label);
    }
    if (count % 4 != 0 && lane == full4 % kLanes) {
      vec4 x = logits[base + full4];
      bvec4 real = columns_below(4 * full4, count);
      add_entries(stats, x, real);
      note_beaten(stats, x, real, 4 * full4, label_x, label);
    }
  }
  stats = join_lanes(stats);
  if (row >= rows || lane != 0) return;

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
