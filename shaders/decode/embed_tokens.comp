#version 450
#extension GL_GOOGLE_include_directive : require
// A step's rows: x[r] = table[token] + positions[position] of slot rows[r], and where the row stands for the kernels behind it. Zeros
// for a row without a slot, or whose text is over. A launch that binds a part of the table writes the rows of its tokens.
#include "grid.glsl"
#include "columns.glsl"
#include "values.glsl"
#include "weights.glsl"
#include "decode_slot.glsl"
layout(local_size_x = 128) in;
WRITE_VALUES(0, X, x)
layout(set = 0, binding = 1) writeonly buffer Places { uvec4 places[]; };
layout(set = 0, binding = 2) readonly buffer Slots { uint slots[]; };
layout(set = 0, binding = 3) readonly buffer Rows { uint slot_of_row[]; };
#include "stored_table.glsl"
READ_VALUES(6, Positions, positions)
layout(push_constant) uniform Push { uint rows, columns, slot_count, row_begin, row_end, vocabulary, has_positions; };

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(0));
  uint r = i / width, c = i % width;
  if (r >= rows) return;
  uint slot = slot_of_row[r];
  bool live = slot < slot_count && slots[slot * kSlotWords + kSlotLive] != 0;
  uint token = live ? slots[slot * kSlotWords + kSlotToken] : 0;
  uint position = live ? slots[slot * kSlotWords + kSlotPosition] : 0;
  if (c == 0 && row_begin == 0) places[r] = uvec4(slot, position, uint(live), live ? token : kNoToken);
  bool here = live && token >= row_begin && token < row_end;
  if (!here && (live && token < vocabulary || row_begin != 0)) return;
  vec4 v = vec4(0);
  if (here && c < (columns + 3) / 4) v = table_row(token - row_begin, columns, c);
  if (live && has_positions != 0 && c < (columns + 3) / 4) v += positions(position * row_vec4s(columns, TYPE_OF(6)) + c);
  set_x(i, v);
}
