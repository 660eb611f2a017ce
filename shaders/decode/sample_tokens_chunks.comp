#version 450
#extension GL_GOOGLE_include_directive : require
// What sample_tokens, in a launch of its own, needs to know of each chunk of a row. A workgroup a chunk.
#define SLOTS_ACCESS readonly
#define COUNTS_ACCESS readonly
#define CHUNKS_ACCESS writeonly
#include "grid.glsl"
#include "numbers.glsl"
#include "decode_slot.glsl"
#include "token_lanes.glsl"
#include "token_scores.glsl"
#include "token_chunks.glsl"

void main() {
  if (open_row(linear_group() / chunk_count)) look_at_chunk(linear_group() % chunk_count);
}
