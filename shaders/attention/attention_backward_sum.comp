#version 450
#extension GL_GOOGLE_include_directive : require
// d_q = scale times the sum of the parts that the blocks of keys left, in their order; an invocation takes one vec4 of a row.
#include "grid.glsl"
#include "values.glsl"
#include "attention.glsl"
#include "attention_parts.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;
layout(constant_id = 2) const uint BK = 64;
layout(set = 0, binding = 0) readonly buffer Parts { vec4 parts[]; };
WRITE_VALUES(1, DQ, d_q)

void main() {
  uint width = heads * (HEAD / 4), x = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  uint row = x / width, column = x % width, query = row % positions;
  if (row >= sequences * positions) return;
  uint part_row = part_of_sequence(row / positions, BK) + query;
  vec4 sum = vec4(0);
  for (uint block = uint(max(int(query) + 1 - int(window), 0)) / BK; block <= query / BK; ++block) {
    sum += parts[(part_row + part_of_block(block, BK) - block * BK) * width + column];
  }
  set_d_q(((first_row + row) * q_ld + q_column) / 4 + column, sum * scale);
}
