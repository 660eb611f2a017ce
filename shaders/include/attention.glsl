// Shared by the attention kernels: what a launch is told (AttentionPush of src/ops/attention.hpp) and which rows a workgroup takes.
// Bound windows hold whole sequences; `first_row` is where the first one begins. A head's words stand at `x_column + head * head_size`
// of a row of `x_ld` words. `window` is at least 1 and at most `positions`: position i attends to j in (i - window, i].
layout(push_constant) uniform Push {
  uint positions, sequences, heads, window;
  uint first_row, row_blocks;
  uint q_ld, q_column, k_ld, k_column, v_ld, v_column;
  uint out_ld, log_sum_exp_ld, stats_ld;
  float scale;
};

const float kLog2E = 1.4426950408889634;
const float kLn2 = 0.6931471805599453;
// Finite stand-ins for -infinity: a masked score, and a running maximum that no score was seen by; their difference is still
// a hugely negative exponent, so that nothing subtracts an infinity from an infinity.
const float kMasked = -1e30;
const float kNoMaximum = -1e20;

// 2^x, and zero where nobody would notice: products with subnormal weights take some CPUs a hundred times as long.
float weight(float x) { return x > -100 ? exp2(x) : 0; }

// Group -> (block of rows, sequence, head). Groups of one block of rows are neighbours, so the costly blocks start together.
struct Place { uint block, sequence, head; };
bool place_of_group(out Place place) {
  uint group = linear_group(), each = sequences * heads;
  place.block = group / each;
  place.sequence = group % each / heads;
  place.head = group % heads;
  return place.block < row_blocks;
}
