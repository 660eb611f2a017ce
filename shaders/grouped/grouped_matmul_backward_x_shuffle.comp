#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// grouped_matmul_backward_x for drivers that run on the CPU: half a chunk of the plan by 4 * subgroup_size columns a workgroup.
#include "grid.glsl"
layout(set = 0, binding = 0) uniform samplerBuffer d_z;              // positions of this launch, [N, slots]; or a round's
layout(set = 0, binding = 1) uniform samplerBuffer weight;           // rows of this launch, [R, columns]
layout(set = 0, binding = 2) readonly buffer Rows { uint rows[]; };  // [groups, slots]
layout(set = 0, binding = 3) readonly buffer Plan { uint plan[]; };
#include "grouped_chunk.glsl"
#include "grouped_store_x.glsl"
#define A_ALONG_K 1
#include "grouped_shuffle.glsl"

void main() {
  uint tiles = (columns4 * 4 + BN - 1) / BN, halves = 64 / BM;
  uint index = linear_group() / (tiles * halves), half_row = linear_group() / tiles % halves * BM;
  uint col4 = linear_group() % tiles * kLanes + gl_SubgroupInvocationID, b_col4 = min(col4, columns4 - 1);
  if (index >= chunks) return;
  Chunk chunk = read_chunk(index);
  if (half_row >= chunk.count || skip_chunk(chunk)) return;

  uint a_at[A_FETCHES];
  [[unroll]] for (uint i = 0; i < A_FETCHES; ++i)
    a_at[i] = z_row(chunk, half_row + fetch_word(i) % BM);
  clear_sum();
  for (uint k = 0; k < chunk.real_slots; k += BK) {
    [[unroll]] for (uint i = 0; i < A_FETCHES; ++i) {
      uint slot = k + fetch_word(i) / BM * 4;
      vec4 word = texelFetch(d_z, int(a_at[i] + min(slot, chunk.real_slots - 1) / 4));
      av[i] = mix(vec4(0), word, lessThan(slot + uvec4(0, 1, 2, 3), uvec4(chunk.real_slots)));
    }
    // A lane looks up the weight row of one step; 0xFFFFFFFF: not in this launch.
    uint row = weight_row(chunk, k + gl_SubgroupInvocationID);
    uint weight_at = kCut != 0 && !row_inside(row) ? 0xFFFFFFFF : row_row(row) * columns4;
    [[unroll]] for (uint kk = 0; kk < BK; ++kk) {
      uint at = subgroupShuffle(weight_at, kk);
      bool inside = kCut == 0 || at != 0xFFFFFFFF;
      vec4 word = texelFetch(weight, int((inside ? at : 0) + b_col4));
      bv[kk] = inside ? word : vec4(0);
    }
    multiply_round();
  }

  if (col4 >= columns4) return;
  [[unroll]] for (uint i = 0; i < BM; ++i) store_d_x(chunk, half_row + i, col4, sum[i]);
}
