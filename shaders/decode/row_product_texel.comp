#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// row_product for drivers that run on the CPU (see matmul_shuffle.comp): a workgroup is one subgroup, which computes kRows rows, and of
// each kCols texels of columns a lane, or of 4 rows of w [N,K]. A lane fetches a part of x, which shuffles with constant lanes spread,
// and the weights of its own columns, a texel of 16 bytes at a time.
//   nn  weight [K,N]     nt  weight [N,K]
//! variant row_product_texel_nn
//! variant row_product_texel_nt ALONG_K=1
#include "grid.glsl"
#include "columns.glsl"
#include "gelu.glsl"
#include "values.glsl"
#include "weights.glsl"
#include "texel_values.glsl"
layout(constant_id = 0) const uint kLanes = 8;  // the subgroup size
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kCols = 2;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const uint kNorm = 0;  // of x: 1 layer norm, 2 RMS norm
layout(constant_id = 4) const uint kGelu = 0;
layout(constant_id = 5) const uint kBeside = 0;  // 1: bias, 2: residual, 4: the norm's bias
layout(constant_id = 6) const uint kScaled = 0;  // weights.glsl
WRITE_VALUES(0, Y, y)
layout(set = 0, binding = 1) uniform samplerBuffer x;
layout(set = 0, binding = 2) uniform usamplerBuffer weight;
layout(constant_id = 16 + 2) const uint kType2 = 0;
layout(constant_id = 32 + 2) const uint kReadsBytes2 = 1;
layout(set = 0, binding = 3) uniform samplerBuffer bias;
layout(set = 0, binding = 4) uniform samplerBuffer beside;  // the residual, or the norm's weight
layout(set = 0, binding = 5) uniform samplerBuffer norm_bias;
layout(set = 0, binding = 6) uniform usamplerBuffer scales;  // in 16 bits, one each 32 bytes along K
layout(constant_id = 16 + 6) const uint kType6 = 0;
layout(set = 0, binding = 7) readonly buffer Places { uvec4 places[]; };
layout(constant_id = 16 + 7) const uint kPlacesType = 0;  // where there are none, any value is bound
layout(push_constant) uniform Push {
  uint rows, cols, depth, has_places;
  uint y_cols4, first_col4;  // of a whole row of y; where this launch's columns begin
  float eps;
};

const uint kVec4s = kType2 == kFp32 ? 1 : kType2 == kU4 ? 8 : kType2 == kI8 ? 4 : 2;  // in a texel of the weight
#ifdef ALONG_K
const uint kStep = kVec4s, kWide = 1;  // vec4s of x, and of y, that a texel is for
#else
const uint kStep = 1, kWide = kVec4s;
#endif
const uint kOfStep = kRows * kStep, kSums = kRows * kCols * kWide;

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

vec4 weight_part(uvec4 words, uint e) {
  if (kType2 == kFp32) return uintBitsToFloat(words);
  if (kReadsBytes2 != 0 && kType2 == kI8) return unpack_i8(words[e]);
  if (kReadsBytes2 != 0 && kType2 == kU4) return unpack_u4(words[e / 2] >> e % 2 * 16, kScaled);
  return unpack_texel(e == 0 ? words.xy : words.zw, kType2);
}
uvec4 weight_words(uint i) { return texelFetch(weight, int(i)); }
// Those of four rows, of the texel `step` along K, or their offsets.
vec4 row_scales(uint rows_at[4], uint step, bool offsets) {
  uint of_row = (depth + 31) / 32 * kScaled, width = (of_row + 7) / 8, half_word[4];
  uint at = step * kVec4s / 8 * kScaled + (offsets ? 1 : 0);
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    uint word = texelFetch(scales, int(rows_at[j] * width + at / 8))[at / 2 % 4];
    half_word[j] = at % 2 == 0 ? word & 0xFFFFu : word >> 16;
  }
  return unpack_texel(uvec2(half_word[0] | half_word[1] << 16, half_word[2] | half_word[3] << 16), TYPE_OF(6));
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

// x in a step of K, which lane `u` has: in every lane. Asked for row by row, so that no more than one row's is held.
vec4 spread(vec4 part, uint u) {
  return vec4(subgroupShuffle(part.x, u), subgroupShuffle(part.y, u), subgroupShuffle(part.z, u), subgroupShuffle(part.w, u));
}

// Adds to the sums of a lane's column number q what a step of K gives; lane `u` holds x there.
void add_products(uint q, uint column, uint step, vec4 x_part[kOfStep], uint u, inout vec4 sum[kSums]) {
#ifdef ALONG_K
  uint width = (depth + 4 * kVec4s - 1) / (4 * kVec4s), rows_at[4];
  uvec4 words[4];
  [[unroll]] for (uint j = 0; j < 4; ++j) {
    rows_at[j] = min(4 * column + j, cols - 1);
    words[j] = weight_words(rows_at[j] * width + step);
  }
  vec4 part[kRows], of_x[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) of_x[r] = vec4(0);
  [[unroll]] for (uint r = 0; r < kRows; ++r) part[r] = kScaled != kNoScales ? vec4(0) : sum[r * kCols + q];
  [[unroll]] for (uint e = 0; e < kStep; ++e) {
    vec4 row[4];
    [[unroll]] for (uint j = 0; j < 4; ++j) row[j] = weight_part(words[j], e);
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      vec4 v = spread(x_part[e * kRows + r], u);
      if (kScaled == kScalesAndOffsets) of_x[r] += v;
      [[unroll]] for (uint i = 0; i < 4; ++i)
        part[r] = fma(vec4(v[i]), vec4(row[0][i], row[1][i], row[2][i], row[3][i]), part[r]);
    }
  }
  vec4 scale = vec4(1), offset = vec4(0);
  if (kScaled != kNoScales) scale = row_scales(rows_at, step, false);
  if (kScaled == kScalesAndOffsets) offset = row_scales(rows_at, step, true);
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint at = r * kCols + q;
    sum[at] = kScaled != kNoScales ? fma(part[r], scale, sum[at]) : part[r];
    if (kScaled == kScalesAndOffsets) sum[at] = fma(vec4(across(of_x[r])), offset, sum[at]);
  }
#else
  uint width = (cols + 4 * kVec4s - 1) / (4 * kVec4s);
  uvec4 words[4];
  [[unroll]] for (uint j = 0; j < 4; ++j)
    words[j] = weight_words(min(4 * step + j, depth - 1) * width + min(column, width - 1));
  [[unroll]] for (uint e = 0; e < kWide; ++e) {
    vec4 w[4];
    [[unroll]] for (uint j = 0; j < 4; ++j) w[j] = weight_part(words[j], e);
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      vec4 v = spread(x_part[r], u);
      uint at = (r * kCols + q) * kWide + e;
      [[unroll]] for (uint j = 0; j < 4; ++j) sum[at] = fma(vec4(v[j]), w[j], sum[at]);
    }
  }
#endif
}

void main() {
  uint width = (depth + 3) / 4, cols4 = (cols + 3) / 4, steps = (depth + 4 * kStep - 1) / (4 * kStep);
  const uint per_group = kLanes * kCols * kWide;
  uint col_groups = (cols4 + per_group - 1) / per_group;
  uint group = linear_group();
  uint first = group / col_groups * kRows;
  if (first >= rows) return;
  uint lane = gl_SubgroupInvocationID, first_column = group % col_groups * kLanes * kCols + lane;
  bool any = false;
  [[unroll]] for (uint r = 0; r < kRows; ++r) any = any || is_live(first + r);
  vec4 sum[kSums];
  [[unroll]] for (uint i = 0; i < kSums; ++i) sum[i] = vec4(0);
  if (any) {
    if (kNorm != 0) find_stats(first, width);
    for (uint k = 0; k < steps; k += kLanes) {
      vec4 part[kOfStep];
      [[unroll]] for (uint e = 0; e < kStep; ++e) {
        [[unroll]] for (uint r = 0; r < kRows; ++r)
          part[e * kRows + r] = load_x(min(first + r, rows - 1), (k + lane) * kStep + e, stats[r], width);
      }
      [[unroll]] for (uint u = 0; u < kLanes; ++u) {
        [[unroll]] for (uint q = 0; q < kCols; ++q)
          add_products(q, first_column + q * kLanes, min(k + u, steps - 1), part, u, sum);
      }
    }
  }
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    uint row = first + r;
    if (row >= rows) break;
    bool live = is_live(row);
    [[unroll]] for (uint q = 0; q < kCols; ++q) {
      [[unroll]] for (uint e = 0; e < kWide; ++e) {
        uint col4 = (first_column + q * kLanes) * kWide + e, at = first_col4 + min(col4, cols4 - 1);
        vec4 total = sum[(r * kCols + q) * kWide + e];
        if ((kBeside & 1u) != 0) total += texelFetch(bias, int(at));
        if (kGelu != 0) total = vec4(gelu(total.x), gelu(total.y), gelu(total.z), gelu(total.w));
        if ((kBeside & 2u) != 0) total += texelFetch(beside, int(row * y_cols4 + at));
        if (!live) total = vec4(0);
        if (col4 < cols4) set_y(row * y_cols4 + first_col4 + col4, within_columns(total, col4, cols));
      }
    }
  }
}
