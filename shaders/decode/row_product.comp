#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
// y[R,N] = gelu(norm(x) w + bias) + residual for a few rows: every weight is read once for kRows rows. A workgroup takes kCols4 times 4
// columns and divides K among kSize / kCols4 invocations a column. A row's sums go in one order, whatever other rows there are.
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
layout(constant_id = 1) const uint kCols4 = 4;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const uint kNorm = 0;  // of x: 1 layer norm, 2 RMS norm
layout(constant_id = 4) const uint kGelu = 0;
layout(constant_id = 5) const uint kScaled = 0;  // the weight's bytes have a scale each 32 along K
MODIFY_VALUES(0, Y, y)
READ_VALUES(1, X, x)
READ_WEIGHTS(2, Weight, weight)
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
const uint kParts = kSize / kCols4;
const uint kHeld = 2;  // steps of K whose weights are under way at once

#ifdef SUBGROUP
uint self() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
layout(constant_id = 6) const uint kSubgroups = 4;
shared vec4 partial[kSubgroups * kCols4 * kRows];
#else
uint self() { return gl_LocalInvocationID.x; }
const uint kTogether = kRows < 4 ? kRows : 4;
shared vec4 partial[kTogether * kSize];
#endif

float across(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// {mean, rstd} of each row.
vec2 stats[kRows];
#ifdef SUBGROUP
float subgroup_total(float v) {
  for (uint reach = gl_SubgroupSize / 2; reach > 0; reach /= 2) v += subgroupShuffleXor(v, reach);
  return v;
}
// Each subgroup finds a row's statistics for itself: no barrier.
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
void find_stats(uint first, uint x_width) {
  uint vec4s = (x_columns + 3) / 4;
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint base = min(first + r, rows - 1) * x_width;
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
    stats[r] = vec2(mean, inversesqrt(stat_total(across(square)) / float(x_columns) + eps));
  }
}

// Steps 4 k4 .. 4 k4 + 3 of K for four columns: one vec4 over the columns for each step.
void load_weights(uint k4, uint col4, out vec4 w[4]) {
#ifdef ALONG_K
  uint width = weight_vec4s(depth, TYPE_OF(2));
  vec4 row[4];
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    uint n = min(4 * col4 + j, cols - 1);
    row[j] = weight(n * width + k4);
    if (kScaled != 0) {
      uint block = k4 / 8, scales_width = row_vec4s((depth + 31) / 32, TYPE_OF(3));
      row[j] *= scales(n * scales_width + block / 4)[block % 4];
    }
  }
  [[unroll]] for (uint j = 0; j < 4; ++j) w[j] = vec4(row[0][j], row[1][j], row[2][j], row[3][j]);
#else
  uint width = weight_vec4s(cols, TYPE_OF(2));
  [[unroll]] for (uint j = 0; j < 4; ++j) w[j] = weight(min(4 * k4 + j, depth - 1) * width + col4);
#endif
}

vec4 load_x(uint row, uint k4, vec2 stat, uint x_width) {
  uint c = first_k4 + k4;
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

void main() {
  uint col_groups = (row_vec4s(cols, TYPE_OF(0)) + kCols4 - 1) / kCols4;
  uint group = linear_group();
  uint first = group / col_groups * kRows;
  uint col_begin = group % col_groups * kCols4;
  if (first >= rows) return;
  uint me = self();
  uint col4 = col_begin + me % kCols4, part = me / kCols4;
  uint in_col4 = min(col4, (cols - 1) / 4);
  uint x_width = row_vec4s(x_columns, TYPE_OF(1)), depth4 = (depth + 3) / 4;
  bool any = false;
  [[unroll]] for (uint r = 0; r < kRows; ++r) any = any || is_live(first + r);

  vec4 sum[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) sum[r] = vec4(0);
  if (any) {
    vec4 w[kHeld][4];
    [[unroll]] for (uint h = 0; h < kHeld; ++h) load_weights(min(part + h * kParts, depth4 - 1), in_col4, w[h]);
    if (kNorm != 0) find_stats(first, x_width);
    for (uint k = part; k < depth4; k += kHeld * kParts) {
      if (k != part) {
        [[unroll]] for (uint h = 0; h < kHeld; ++h) load_weights(min(k + h * kParts, depth4 - 1), in_col4, w[h]);
      }
      [[unroll]] for (uint h = 0; h < kHeld; ++h) {
        uint k4 = k + h * kParts;
        if (k4 >= depth4) break;
        [[unroll]] for (uint r = 0; r < kRows; ++r) {
          vec4 v = load_x(min(first + r, rows - 1), k4, stats[r], x_width);
          [[unroll]] for (uint j = 0; j < 4; ++j) sum[r] = fma(vec4(v[j]), w[h][j], sum[r]);
        }
      }
    }
  }

#ifdef SUBGROUP
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    for (uint reach = gl_SubgroupSize / 2; reach >= kCols4; reach /= 2) sum[r] += subgroupShuffleXor(sum[r], reach);
  if (gl_SubgroupInvocationID < kCols4) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      partial[(gl_SubgroupID * kRows + r) * kCols4 + gl_SubgroupInvocationID] = sum[r];
  }
  barrier();
  for (uint i = me; i < kRows * kCols4; i += kSize) {
    vec4 total = partial[i];
    for (uint s = 1; s < kSubgroups; ++s) total += partial[s * kRows * kCols4 + i];
    uint row = first + i / kCols4, c = col_begin + i % kCols4;
    if (row < rows && c < row_vec4s(cols, TYPE_OF(0))) store(row, c, total);
  }
#else
  [[unroll]] for (uint begin = 0; begin < kRows; begin += kTogether) {
    [[unroll]] for (uint r = 0; r < kTogether; ++r) partial[r * kSize + me] = sum[begin + r];
    barrier();
    for (uint reach = kParts / 2; reach > 0; reach /= 2) {
      if (part < reach) {
        [[unroll]] for (uint r = 0; r < kTogether; ++r)
          partial[r * kSize + me] += partial[r * kSize + me + reach * kCols4];
      }
      barrier();
    }
    for (uint i = me; i < kTogether * kCols4; i += kSize) {
      uint row = first + begin + i / kCols4, c = col_begin + i % kCols4;
      if (row < rows && c < row_vec4s(cols, TYPE_OF(0))) store(row, c, partial[i / kCols4 * kSize + i % kCols4]);
    }
    barrier();
  }
#endif
}
