// The output side of grouped_matmul_backward_x's kernels. Include grouped_chunk.glsl before.
#include "columns.glsl"
layout(set = 0, binding = 4) buffer DX { vec4 d_x[]; };  // positions of this launch, [N, columns]

// Stores row i of the chunk, where there is one.
void store_d_x(Chunk chunk, uint i, uint col4, vec4 sum) {
  uint position = chunk_position(chunk, i);
  if (i >= chunk.count || !position_inside(position)) return;
  uint at = position_row(position) * columns4 + col4;
  vec4 value = within_columns(sum, col4, columns);
  if (kCut != 0 && first_row != 0) value += d_x[at];  // what earlier blocks of weight gave
  d_x[at] = value;
}
