#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
// y[R,N] = gelu(norm(x) w + bias) + residual for a few rows: every weight is read once for kRows rows, 16 bytes at a time. A workgroup
// has kCols columns of lanes, and kSize / kCols lanes of a column share K. A row's sums go in one order, whatever other rows there are.
//   nn  weight [K,N]     nt  weight [N,K]
//! variant row_product_nn
//! variant row_product_nt ALONG_K=1
//! variant row_product_nn_subgroup SUBGROUP=1
//! variant row_product_nt_subgroup SUBGROUP=1 ALONG_K=1
#include "grid.glsl"
#include "columns.glsl"
#include "gelu.glsl"
#include "values.glsl"
#include "weights.glsl"
layout(constant_id = 0) const uint kSize = 128;
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kCols = 4;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const uint kNorm = 0;  // of x: 1 layer norm, 2 RMS norm
layout(constant_id = 4) const uint kGelu = 0;
layout(constant_id = 5) const uint kScaled = 0;  // the weight's few bits have a scale each 32 along K (weights.glsl)
MODIFY_VALUES(0, Y, y)
READ_VALUES(1, X, x)
READ_WEIGHT_WORDS(2, Weight, weight)
READ_VALUES(3, Scales, scales)
READ_VALUES(4, Bias, bias)
READ_VALUES(5, Beside, beside)  // the residual, or the norm's weight
READ_VALUES(6, NormBias, norm_bias)
layout(set = 0, binding = 7) readonly buffer Places { uvec4 places[]; };
layout(constant_id = 16 + 7) const uint kPlacesType = 0;  // where there are none, any value is bound
layout(push_constant) uniform Push {
  uint rows, cols, depth;   // R; N and K of this launch
  uint x_columns, y_columns;  // of the whole rows
  uint first_k4, first_col4;  // where this launch's part of x, and of y, bias and residual, begins
  uint has_bias, has_residual, has_norm_bias, has_places;
  uint continues, ends;  // it adds to what y holds; its sum is whole
  float eps;
};
// A lane's share of a step: of four rows of the weight 16 bytes each.
const uint kVec4s = kType2 == kFp32 ? 1 : kType2 == kU4 ? 8 : kType2 == kI8 ? 4 : 2;  // in 16 bytes
#ifdef ALONG_K
const uint kStep = kVec4s, kWide = 1;  // vec4s of x; vec4s of y
#else
const uint kStep = 1, kWide = kVec4s;
#endif
const uint kParts = kSize / kCols, kSums = kRows * kWide, kOfStep = kRows * kStep;
layout(constant_id = 7) const uint kHeld = 2;  // steps whose weights are under way at once
layout(constant_id = 8) const uint kTurns = 1;  // columns that a workgroup goes through one after the other
layout(constant_id = 9) const uint kKept = 0;   // steps of x, all, that an invocation keeps meanwhile; 0: it reads them again
const uint kKeptVec4s = kKept > 0 ? kKept * kOfStep : 1;

#ifdef SUBGROUP
uint self() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
layout(constant_id = 6) const uint kShares = 4;  // sums of a column that subgroups make
shared vec4 partial[kShares * kSums * kCols];
#else
uint self() { return gl_LocalInvocationID.x; }
const uint kTogether = kSums < 4 ? kSums : 4;
shared vec4 partial[kTogether * kSize];
#endif
// Lanes of a column lie beside each other where K does in memory, else lanes of one part of K do.
#ifdef ALONG_K
uint column_of(uint lane) { return lane / kParts; }
uint part_of(uint lane) { return lane % kParts; }
uint lane_of(uint column, uint part) { return column * kParts + part; }
#else
uint column_of(uint lane) { return lane % kCols; }
uint part_of(uint lane) { return lane / kCols; }
uint lane_of(uint column, uint part) { return part * kCols + column; }
#endif

float across(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// {mean, rstd} of each row.
vec2 stats[kRows];
#ifdef SUBGROUP
float subgroup_total(float v) {
  for (uint reach = gl_SubgroupSize / 2; reach > 0; reach /= 2) v += subgroupShuffleXor(v, reach);
  return v;
}
// A subgroup finds a row's statistics: of a single row each does so for itself, with no barrier.
shared vec2 shared_stats[kRows];
uint stat_lane() { return gl_SubgroupInvocationID; }
uint stat_lanes() { return gl_SubgroupSize; }
float stat_total(float v) { return subgroup_total(v); }
#else
float group_total(float v) {
  uint me = self();
  partial[me].x = v;
  barrier();
  for (uint reach = kSize / 2; reach > 0; reach /= 2) {
    if (me < reach) partial[me].x += partial[me + reach].x;
    barrier();
  }
  float total = partial[0].x;
  barrier();
  return total;
}
uint stat_lane() { return self(); }
uint stat_lanes() { return kSize; }
float stat_total(float v) { return group_total(v); }
#endif
vec2 stats_of(uint row, uint x_width) {
  uint vec4s = (x_columns + 3) / 4, base = row * x_width;
  float mean = 0;
  if (kNorm == 1) {
    vec4 sum = vec4(0);
    for (uint c = stat_lane(); c < vec4s; c += stat_lanes()) sum += x(base + c);
    mean = stat_total(across(sum)) / float(x_columns);
  }
  vec4 square = vec4(0);
  for (uint c = stat_lane(); c < vec4s; c += stat_lanes()) {
    vec4 centred = within_columns(x(base + c) - mean, c, x_columns);
    square += centred * centred;
  }
  return vec2(mean, inversesqrt(stat_total(across(square)) / float(x_columns) + eps));
}
// Every invocation must call it.
void find_stats(uint first, uint x_width) {
#ifdef SUBGROUP
  if (kRows > 1) {
    for (uint r = gl_SubgroupID; r < kRows; r += gl_NumSubgroups) {
      vec2 of_row = stats_of(min(first + r, rows - 1), x_width);
      if (gl_SubgroupInvocationID == 0) shared_stats[r] = of_row;
    }
    barrier();
    [[unroll]] for (uint r = 0; r < kRows; ++r) stats[r] = shared_stats[r];
    return;
  }
#endif
  [[unroll]] for (uint r = 0; r < kRows; ++r) stats[r] = stats_of(min(first + r, rows - 1), x_width);
}

struct Weights {
  uvec4 words[4];
  vec4 scales, offsets;
};
uint steps() { return (depth + 4 * kStep - 1) / (4 * kStep); }
Weights load_weights(uint step, uint column) {
  Weights w;
#ifdef ALONG_K
  uint width = weight_vec4s(depth, TYPE_OF(2)) / kVec4s;
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    uint n = min(4 * column + j, cols - 1);
    w.words[j] = weight[n * width + step];
    if (kScaled != kNoScales) {
      uint c = step * kVec4s, at = c / 8 * kScaled % 4;
      vec4 found = scales(scale_vec4(kScaled, n, depth, c, TYPE_OF(3)));
      w.scales[j] = found[at];
      if (kScaled == kScalesAndOffsets) w.offsets[j] = found[at + 1];
    }
  }
#else
  uint width = weight_vec4s(cols, TYPE_OF(2)) / kVec4s;
  [[unroll]] for (uint j = 0; j < 4; ++j) w.words[j] = weight[min(4 * step + j, depth - 1) * width + min(column, width - 1)];
#endif
  return w;
}

vec4 load_x(uint row, uint k4, vec2 stat, uint x_width) {
  uint c = min(first_k4 + k4, (x_columns + 3) / 4 - 1);
  vec4 v = x(row * x_width + c);
  if (kNorm == 0) return within_columns(v, k4, depth);
  v = (v - stat.x) * stat.y * beside(c);
  if (has_norm_bias != 0) v += norm_bias(c);
  return within_columns(v, k4, depth);
}

bool is_live(uint row) { return row < rows && (has_places == 0 || kPlacesType != 0 || places[row].z != 0); }

void store(uint row, uint col4, vec4 sum) {
  uint y_width = row_vec4s(y_columns, TYPE_OF(0));
  uint at = row * y_width + first_col4 + col4;
  if (continues != 0) sum += y(at);
  if (ends != 0) {
    if (has_bias != 0 && col4 * 4 < cols) sum += bias(first_col4 + col4);
    if (kGelu != 0) sum = vec4(gelu(sum.x), gelu(sum.y), gelu(sum.z), gelu(sum.w));
    if (kNorm == 0 && has_residual != 0) sum += beside(at);
  }
  if (!is_live(row)) sum = vec4(0);
  set_y(at, within_columns(sum, col4, cols));
}

// x of a step: kStep vec4s of each row.
void load_step(uint first, uint step, uint x_width, out vec4 v[kOfStep]) {
  [[unroll]] for (uint e = 0; e < kStep; ++e) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      v[e * kRows + r] = load_x(min(first + r, rows - 1), step * kStep + e, stats[r], x_width);
  }
}

void add_products(Weights w, vec4 v[kOfStep], inout vec4 sum[kSums]) {
#ifdef ALONG_K
  vec4 part[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) part[r] = kScaled != 0 ? vec4(0) : sum[r];
  [[unroll]] for (uint e = 0; e < kStep; ++e) {
    vec4 weights[4];
    [[unroll]] for (uint j = 0; j < 4; ++j) weights[j] = weight_part(w.words[j], e);
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      vec4 x = v[e * kRows + r];
      [[unroll]] for (uint j = 0; j < 4; ++j)
        part[r][j] = fma(x.w, weights[j].w,
                         fma(x.z, weights[j].z, fma(x.y, weights[j].y, fma(x.x, weights[j].x, part[r][j]))));
    }
  }
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    sum[r] = kScaled != 0 ? fma(part[r], w.scales, sum[r]) : part[r];
    if (kScaled == kScalesAndOffsets) {
      vec4 of_x = vec4(0);
      [[unroll]] for (uint e = 0; e < kStep; ++e) of_x += v[e * kRows + r];
      sum[r] = fma(vec4(across(of_x)), w.offsets, sum[r]);
    }
  }
#else
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      [[unroll]] for (uint e = 0; e < kWide; ++e)
        sum[r * kWide + e] = fma(vec4(v[r][j]), weight_part(w.words[j], e), sum[r * kWide + e]);
    }
  }
#endif
}

// Sum `which` of a lane of `column` belongs to one row and one vec4 of y.
void store_sum(uint first, uint column, uint which, vec4 total) {
  uint row = first + which / kWide, col4 = column * kWide + which % kWide;
  if (row < rows && col4 < row_vec4s(cols, TYPE_OF(0))) store(row, col4, total);
}

// Adds up the lanes' sums of a column; every lane must call it.
void join_lanes(uint first, uint first_column, uint turn, vec4 sum[kSums]) {
  uint me = self(), part = part_of(me);
#ifdef SUBGROUP
  // Lanes whose numbers differ by `reach` add their sums; as long as there are several, each goes on with half of them.
#ifdef ALONG_K
  uint reach = min(kParts, gl_SubgroupSize) / 2, least = 1, share = part / gl_SubgroupSize;
#else
  uint reach = gl_SubgroupSize / 2, least = kCols, share = gl_SubgroupID;
#endif
  uint which = 0, count = kSums;
  [[unroll]] for (uint half_of = kSums / 2; half_of > 0; half_of /= 2) {
    if (reach >= least) {
      bool upper = (gl_SubgroupInvocationID & reach) != 0;
      [[unroll]] for (uint i = 0; i < half_of; ++i) {
        vec4 given = upper ? sum[i] : sum[i + half_of];
        sum[i] = (upper ? sum[i + half_of] : sum[i]) + subgroupShuffleXor(given, reach);
      }
      if (upper) which += half_of;
      count = half_of;
      reach /= 2;
    }
  }
  bool leads = true;
  for (; reach >= least; reach /= 2) {
    sum[0] += subgroupShuffleXor(sum[0], reach);
    leads = leads && (gl_SubgroupInvocationID & reach) == 0;
  }
  if (leads) {
    [[unroll]] for (uint i = 0; i < kSums; ++i) {
      if (i >= count) continue;
      if (kShares == 1) store_sum(first, first_column + column_of(me), which + i, sum[i]);
      else partial[(share * kSums + which + i) * kCols + column_of(me)] = sum[i];
    }
  }
  if (kShares == 1) return;
  barrier();
  for (uint i = me; i < kSums * kCols; i += kSize) {
    vec4 total = partial[i];
    for (uint s = 1; s < kShares; ++s) total += partial[s * kSums * kCols + i];
    store_sum(first, first_column + i % kCols, i / kCols, total);
  }
  if (turn + 1 < kTurns) barrier();
#else
  [[unroll]] for (uint begin = 0; begin < kSums; begin += kTogether) {
    [[unroll]] for (uint i = 0; i < kTogether; ++i) partial[i * kSize + me] = sum[begin + i];
    barrier();
    for (uint reach = kParts / 2; reach > 0; reach /= 2) {
      if (part < reach) {
        uint other = lane_of(column_of(me), part + reach);
        [[unroll]] for (uint i = 0; i < kTogether; ++i) partial[i * kSize + me] += partial[i * kSize + other];
      }
      barrier();
    }
    for (uint i = me; i < kTogether * kCols; i += kSize)
      store_sum(first, first_column + i % kCols, begin + i / kCols, partial[i / kCols * kSize + lane_of(i % kCols, 0)]);
    barrier();
  }
#endif
}

void main() {
  const uint group_cols4 = kTurns * kCols * kWide;
  uint col_groups = (row_vec4s(cols, TYPE_OF(0)) + group_cols4 - 1) / group_cols4;
  uint group = linear_group();
  uint first = group / col_groups * kRows;
  uint first_column = group % col_groups * kTurns * kCols;
  if (first >= rows) return;
  uint column = first_column + column_of(self()), part = part_of(self());
  uint x_width = row_vec4s(x_columns, TYPE_OF(1)), last = steps() - 1;
  bool any = false;
  [[unroll]] for (uint r = 0; r < kRows; ++r) any = any || is_live(first + r);

  vec4 kept[kKeptVec4s], v[kOfStep];
  Weights w[kHeld];
  for (uint turn = 0; turn < kTurns; ++turn) {
    vec4 sum[kSums];
    [[unroll]] for (uint i = 0; i < kSums; ++i) sum[i] = vec4(0);
    if (any) {
      [[unroll]] for (uint h = 0; h < kHeld; ++h) w[h] = load_weights(min(part + h * kParts, last), column);
      if (turn == 0) {
        if (kNorm != 0) find_stats(first, x_width);
        if (kKept > 0) {
          [[unroll]] for (uint s = 0; s < kKept; ++s) {
            load_step(first, part + s * kParts, x_width, v);
            [[unroll]] for (uint i = 0; i < kOfStep; ++i) kept[s * kOfStep + i] = v[i];
          }
        }
      }
      if (kKept > 0) {
        [[unroll]] for (uint s = 0; s < kKept; s += kHeld) {
          if (s > 0) {
            [[unroll]] for (uint h = 0; h < kHeld; ++h) w[h] = load_weights(min(part + (s + h) * kParts, last), column);
          }
          [[unroll]] for (uint h = 0; h < kHeld; ++h) {
            if (s + h >= kKept) break;
            [[unroll]] for (uint i = 0; i < kOfStep; ++i) v[i] = kept[(s + h) * kOfStep + i];
            add_products(w[h], v, sum);
          }
        }
      } else {
        for (uint step = part; step <= last; step += kHeld * kParts) {
          if (step != part) {
            [[unroll]] for (uint h = 0; h < kHeld; ++h) w[h] = load_weights(min(step + h * kParts, last), column);
          }
          [[unroll]] for (uint h = 0; h < kHeld; ++h) {
            if (step + h * kParts > last) break;
            load_step(first, step + h * kParts, x_width, v);
            add_products(w[h], v, sum);
          }
        }
      }
    }
    join_lanes(first, first_column + turn * kCols, turn, sum);
    column += kCols;
  }
}
