#version 450
#extension GL_GOOGLE_include_directive : require
// d_table[v] += sum of the partial rows of token v, in order. Stage 2 of 2, for the tokens with more than one chunk.
#include "grid.glsl"
layout(local_size_x = 128) in;
layout(set = 0, binding = 0) readonly buffer Segments { uvec4 segments[]; };  // {.., merges, ..}, chunks, merges {key, first row, rows, 0}
layout(set = 0, binding = 1) readonly buffer Partial { vec4 partial[]; };
layout(set = 0, binding = 2) buffer DTable { vec4 d_table[]; };  // rows [row_begin, row_end)
layout(push_constant) uniform Push { uint width, row_begin, row_end, merge_begin; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint index = i / width, c = i % width;
  if (index >= segments[0].y) return;
  uvec4 merge = segments[merge_begin + index];
  if (merge.x < row_begin || merge.x >= row_end) return;
  vec4 sum = vec4(0);
  for (uint k = 0; k < merge.z; ++k) sum += partial[(merge.y + k) * width + c];
  d_table[(merge.x - row_begin) * width + c] += sum;
}
