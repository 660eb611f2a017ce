// The output side of grouped_matmul's kernels: shift, zeros in phantom slots, rows by position. Include grouped_chunk.glsl before.
layout(set = 0, binding = 3) readonly buffer Shift { vec4 shift[]; };  // [groups, slots]
layout(set = 0, binding = 5) writeonly buffer Z { vec4 z[]; };         // positions of this launch, [N, slots]; or a round's

struct Columns {
  uint col4;     // slots 4 col4 ..
  bvec4 stored;  // that are real, and whose weight row this launch has
  vec4 shift;
};
// `any`: is any slot of this workgroup's real?
Columns find_columns(Chunk chunk, uint col4, bool any) {
  uvec4 column = 4 * col4 + uvec4(0, 1, 2, 3);
  Columns to = Columns(col4, lessThan(column, uvec4(chunk.real_slots)), vec4(0));
  if (kCut != 0 && any) {
    [[unroll]] for (uint q = 0; q < 4; ++q) to.stored[q] = to.stored[q] && row_inside(weight_row(chunk, column[q]));
  }
  if (any && has_shift != 0) to.shift = shift[chunk.group * slots4 + col4];
  return to;
}

// Stores row i of the chunk, where there is one.
void store_z(Chunk chunk, Columns to, uint i, vec4 sum) {
  uint position = chunk_position(chunk, i);
  if (i >= chunk.count || !position_inside(position)) return;
  uint at = z_row(chunk, i) + to.col4;
  vec4 value = sum + to.shift;
  if (first_row == 0) {  // the first block of weight also writes the zeros
    z[at] = mix(vec4(0), value, to.stored);
  } else {
    [[unroll]] for (uint q = 0; q < 4; ++q)
      if (to.stored[q]) z[at][q] = value[q];
  }
}
