// Softmax statistics of a row that kLanes invocations of a workgroup walk together, each taking every kLanes-th vec4.
// A workgroup holds gl_WorkGroupSize.x / kLanes rows; both are powers of two.
layout(constant_id = 0) const uint kWidth = 128;
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kLanes = 1;

uint row_of_call() { return linear_group() * (gl_WorkGroupSize.x / kLanes) + gl_LocalInvocationID.x / kLanes; }
uint lane_of_row() { return gl_LocalInvocationID.x % kLanes; }

const float kLowest = -3.0e38;
struct RowStats {
  float maximum;
  float sum;       // of exp(x - maximum)
  uint magnitude;  // the largest |x|, as bits
  uint beaten;     // 1: an entry comes before the label's in falling order
};
RowStats empty_stats() { return RowStats(kLowest, 0.0, 0u, 0u); }

// exp(x) for x <= 0; never sees an argument that a driver might mishandle, and is below 1e-44 from -101 on.
float exp_below(float x) { return exp(max(x, -104.0)); }
vec4 exp_below(vec4 x) { return exp(max(x, vec4(-104.0))); }

// Adds four entries; those that are not `real` are skipped.
void add_entries(inout RowStats stats, vec4 x, bvec4 real) {
  x = mix(vec4(0.0), x, real);
  stats.magnitude = max(stats.magnitude, magnitude_bits(x));
  x = mix(vec4(kLowest), x, real);
  float maximum = max(max(stats.maximum, max(x.x, x.y)), max(x.z, x.w));
  vec4 e = mix(vec4(0.0), exp_below(x - maximum), real);
  stats.sum = stats.sum * exp_below(stats.maximum - maximum) + ((e.x + e.y) + (e.z + e.w));
  stats.maximum = maximum;
}
void add_entries(inout RowStats stats, vec4 x) {
  stats.magnitude = max(stats.magnitude, magnitude_bits(x));
  float maximum = max(max(stats.maximum, max(x.x, x.y)), max(x.z, x.w));
  vec4 e = exp_below(x - maximum);
  stats.sum = stats.sum * exp_below(stats.maximum - maximum) + ((e.x + e.y) + (e.z + e.w));
  stats.maximum = maximum;
}
// Which of the columns first..first+3 exist among `count`.
bvec4 columns_below(uint first, uint count) { return lessThan(uvec4(first) + uvec4(0, 1, 2, 3), uvec4(count)); }

// Notes whether one of four entries beats the label's: ties go to the lowest column.
void note_beaten(inout RowStats stats, vec4 x, bvec4 real, uint first, float label_x, uint label) {
  uvec4 column = uvec4(first) + uvec4(0, 1, 2, 3);
  uvec4 ties = uvec4(equal(x, vec4(label_x))) & uvec4(lessThan(column, uvec4(label)));
  uvec4 wins = (uvec4(greaterThan(x, vec4(label_x))) | ties) & uvec4(real);
  stats.beaten |= wins.x | wins.y | wins.z | wins.w;
}

shared vec2 lane_sums[kWidth];
shared uvec2 lane_bits[kWidth];

// Joins the lanes of a row, in a fixed order; every invocation of the workgroup must call it. All lanes get the result.
RowStats join_lanes(RowStats stats) {
  if (kLanes == 1) return stats;
  uint me = gl_LocalInvocationID.x, lane = lane_of_row();
  lane_sums[me] = vec2(stats.maximum, stats.sum);
  lane_bits[me] = uvec2(stats.magnitude, stats.beaten);
  barrier();
  for (uint distance = kLanes / 2; distance > 0; distance /= 2) {
    if (lane < distance) {
      vec2 mine = lane_sums[me], other = lane_sums[me + distance];
      float maximum = max(mine.x, other.x);
      lane_sums[me] = vec2(maximum, mine.y * exp_below(mine.x - maximum) + other.y * exp_below(other.x - maximum));
      uvec2 bits = lane_bits[me], other_bits = lane_bits[me + distance];
      lane_bits[me] = uvec2(max(bits.x, other_bits.x), bits.y | other_bits.y);
    }
    barrier();
  }
  uint first = me - lane;
  return RowStats(lane_sums[first].x, lane_sums[first].y, lane_bits[first].x, lane_bits[first].y);
}
