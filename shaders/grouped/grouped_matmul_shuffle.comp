#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// grouped_matmul for drivers that run on the CPU: half a chunk of the plan by 4 * subgroup_size slots a workgroup.
#include "grid.glsl"
layout(set = 0, binding = 0) uniform samplerBuffer x;                // positions of this launch, [N, columns]
layout(set = 0, binding = 1) uniform samplerBuffer weight;           // rows of this launch, [R, columns]
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };  // [groups, slots]
layout(set = 0, binding = 4) readonly buffer Plan { uint plan[]; };
#include "grouped_chunk.glsl"
#include "grouped_store.glsl"
#define A_ALONG_K 1
#include "grouped_shuffle.glsl"

void main() {
  uint tiles = (slots4 * 4 + BN - 1) / BN, halves = 64 / BM;
  uint index = linear_group() / (tiles * halves), half_row = linear_group() / tiles % halves * BM;
  uint slot = linear_group() % tiles * BN, col4 = slot / 4 + gl_SubgroupInvocationID;
  if (index >= chunks) return;
  Chunk chunk = read_chunk(index);
  if (half_row >= chunk.count || skip_chunk(chunk)) return;

  bool any = slot < chunk.real_slots;
  uint a_at[A_FETCHES], b_at[4];
  if (any) {
    [[unroll]] for (uint i = 0; i < A_FETCHES; ++i)
      a_at[i] = position_row(chunk_position(chunk, half_row + fetch_word(i) % BM)) * columns4;
    [[unroll]] for (uint j = 0; j < 4; ++j) b_at[j] = row_row(weight_row(chunk, col4 * 4 + j)) * columns4;
  }
  clear_sum();
  for (uint k4 = 0; any && k4 < columns4; k4 += BK / 4) {
    [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
      uint step4 = k4 + fetch_word(i) / BM;
      vec4 word = texelFetch(x, int(a_at[i] + min(step4, columns4 - 1)));
      av[i] = step4 < columns4 ? word : vec4(0);
    }
    [[unroll]] for (uint u = 0; u < BK / 4; ++u) {
      uint step4 = min(k4 + u, columns4 - 1);
      vec4 c0 = texelFetch(weight, int(b_at[0] + step4)), c1 = texelFetch(weight, int(b_at[1] + step4));
      vec4 c2 = texelFetch(weight, int(b_at[2] + step4)), c3 = texelFetch(weight, int(b_at[3] + step4));
      [[unroll]] for (uint q = 0; q < 4; ++q) bv[4 * u + q] = vec4(c0[q], c1[q], c2[q], c3[q]);
    }
    multiply_round();
  }

  if (col4 >= chunk.z_row4) return;
  Columns to = find_columns(chunk, col4, any);
  [[unroll]] for (uint i = 0; i < BM; ++i) store_z(chunk, to, half_row + i, sum[i]);
}
