#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// row_product for drivers that run on the CPU (see matmul_shuffle.comp): a workgroup is one subgroup, which computes kRows rows of
// 4 kCols4 columns a lane. A lane fetches a part of x, which shuffles with constant lanes spread, and the weights of its own columns.
//   nn  weight [K,N]     nt  weight [N,K]
//! variant row_product_texel_nn
//! variant row_product_texel_nt ALONG_K=1
#include "grid.glsl"
#include "columns.glsl"
#include "gelu.glsl"
#include "values.glsl"
layout(constant_id = 0) const uint kLanes = 8;  // the subgroup size
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kCols4 = 2;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const uint kNorm = 0;  // of x: 1 layer norm, 2 RMS norm
layout(constant_id = 4) const uint kGelu = 0;
layout(constant_id = 5) const uint kBeside = 0;  // 1: bias, 2: residual, 4: the norm's bias
WRITE_VALUES(0, Y, y)
layout(set = 0, binding = 1) uniform samplerBuffer x;
layout(set = 0, binding = 2) uniform samplerBuffer weight;
layout(set = 0, binding = 3) uniform samplerBuffer bias;
layout(set = 0, binding = 4) uniform samplerBuffer beside;  // the residual, or the norm's weight
layout(set = 0, binding = 5) uniform samplerBuffer norm_bias;
layout(set = 0, binding = 6) readonly buffer Places { uvec4 places[]; };
layout(constant_id = 16 + 6) const uint kPlacesType = 0;  // where there are none, any value is bound
layout(push_constant) uniform Push {
  uint rows, cols, depth, has_places;
  uint y_cols4, first_col4;  // of a whole row of y; where this launch's columns begin
  float eps;
};

float across(vec4 v) { return (v.x + v.y) + (v.z + v.w); }
float subgroup_total(float v) {
  [[unroll]] for (uint reach = kLanes / 2; reach > 0; reach /= 2) v += subgroupShuffleXor(v, reach);
  return v;
}
vec2 stats[kRows];
void find_stats(uint first, uint width) {
  uint lane = gl_SubgroupInvocationID;
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint base = min(first + r, rows - 1) * width;
    float mean = 0;
    if (kNorm == 1) {
      vec4 sum = vec4(0);
      for (uint c = lane; c < width; c += kLanes) sum += texelFetch(x, int(base + c));
      mean = subgroup_total(across(sum)) / float(depth);
    }
    vec4 square = vec4(0);
    for (uint c = lane; c < width; c += kLanes) {
      vec4 centred = within_columns(texelFetch(x, int(base + c)) - mean, c, depth);
      square += centred * centred;
    }
    stats[r] = vec2(mean, inversesqrt(subgroup_total(across(square)) / float(depth) + eps));
  }
}

vec4 load_x(uint row, uint k4, vec2 stat, uint width) {
  uint c = min(k4, width - 1);
  vec4 v = texelFetch(x, int(row * width + c));
  if (kNorm != 0) {
    v = (v - stat.x) * stat.y * texelFetch(beside, int(c));
    if ((kBeside & 4u) != 0) v += texelFetch(norm_bias, int(c));
  }
  return within_columns(v, k4, depth);  // zero behind the end of K, where weights are clamped
}

bool is_live(uint row) { return row < rows && (has_places == 0 || kPlacesType != 0 || places[row].z != 0); }

void main() {
  uint width = (depth + 3) / 4, cols4 = (cols + 3) / 4, per_group = kLanes * kCols4;
  uint col_groups = (cols4 + per_group - 1) / per_group;
  uint group = linear_group();
  uint first = group / col_groups * kRows;
  if (first >= rows) return;
  uint lane = gl_SubgroupInvocationID;
  uint col4[kCols4], in_col4[kCols4];
  [[unroll]] for (uint q = 0; q < kCols4; ++q) {
    col4[q] = group % col_groups * per_group + q * kLanes + lane;
    in_col4[q] = min(col4[q], cols4 - 1);
  }
  bool any = false;
  [[unroll]] for (uint r = 0; r < kRows; ++r) any = any || is_live(first + r);
  vec4 sum[kRows * kCols4];
  [[unroll]] for (uint i = 0; i < kRows * kCols4; ++i) sum[i] = vec4(0);
  if (any) {
    if (kNorm != 0) find_stats(first, width);
    for (uint k = 0; k < width; k += kLanes) {
      vec4 part[kRows];
      [[unroll]] for (uint r = 0; r < kRows; ++r) part[r] = load_x(min(first + r, rows - 1), k + lane, stats[r], width);
      [[unroll]] for (uint u = 0; u < kLanes; ++u) {
        uint k4 = min(k + u, width - 1);
        vec4 v[kRows];  // of step k + u, in every lane
        [[unroll]] for (uint r = 0; r < kRows; ++r)
          v[r] = vec4(subgroupShuffle(part[r].x, u), subgroupShuffle(part[r].y, u), subgroupShuffle(part[r].z, u),
                      subgroupShuffle(part[r].w, u));
        [[unroll]] for (uint q = 0; q < kCols4; ++q) {
          vec4 w[4];
#ifdef ALONG_K
          vec4 row[4];
          [[unroll]] for (uint j = 0; j < 4; ++j)
            row[j] = texelFetch(weight, int(min(4 * in_col4[q] + j, cols - 1) * width + k4));
          [[unroll]] for (uint j = 0; j < 4; ++j) w[j] = vec4(row[0][j], row[1][j], row[2][j], row[3][j]);
#else
          [[unroll]] for (uint j = 0; j < 4; ++j)
            w[j] = texelFetch(weight, int(min(4 * k4 + j, depth - 1) * cols4 + in_col4[q]));
#endif
          [[unroll]] for (uint r = 0; r < kRows; ++r) {
            [[unroll]] for (uint j = 0; j < 4; ++j)
              sum[r * kCols4 + q] = fma(vec4(v[r][j]), w[j], sum[r * kCols4 + q]);
          }
        }
      }
    }
  }
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint row = first + r;
    if (row >= rows) break;
    bool live = is_live(row);
    [[unroll]] for (uint q = 0; q < kCols4; ++q) {
      vec4 total = sum[r * kCols4 + q];
      if ((kBeside & 1u) != 0) total += texelFetch(bias, int(first_col4 + in_col4[q]));
      if (kGelu != 0) total = vec4(gelu(total.x), gelu(total.y), gelu(total.z), gelu(total.w));
      if ((kBeside & 2u) != 0) total += texelFetch(beside, int(row * y_cols4 + first_col4 + in_col4[q]));
      if (!live) total = vec4(0);
      if (col4[q] < cols4) set_y(row * y_cols4 + first_col4 + col4[q], within_columns(total, col4[q], cols));
    }
  }
}
