// What the grouped products by chunk share (grouped_matmul, grouped_matmul_backward_x): push constants, and a chunk of the plan
// (base/group_plan.hpp), at most 64 positions of one group. Declare the storage buffers `plan` and `rows` before.
layout(constant_id = 0) const uint kCut = 0;  // 1: positions or weight rows are cut into blocks, this launch sees one of them
layout(constant_id = 1) const uint kRagged = 0;  // 1: rows of z lie as a round of the plan says, of the slots of their group
layout(push_constant) uniform Push {
  uint first_position, end_position;  // of this launch
  uint first_row, end_row;            // of weight, of this launch
  uint weight_rows;                   // in all
  uint chunks;                        // of the plan
  uint entries;                       // where the pairs (position, slot) begin in it
  uint groups, slots;                 // slots of a group, at most
  uint columns;                       // of x and weight
  uint columns4;                      // vec4s of a row of x and weight
  uint slots4;                        // vec4s of a row of shift, and of z where it is not ragged
  uint has_shift;
  uint round, places, round_chunks;   // ragged: the round of this launch, and where the plan says how it lies
};

struct Chunk {
  uint group;       // `groups` or more: the positions are in no group
  uint begin;       // first entry
  uint count;       // entries; 0: an unused chunk
  uint real_slots;  // 0 for positions in no group
  uint z_row4;      // vec4s of a row of z
  uint z_at;        // ragged: where its first row begins, in vec4s
};
// The chunk that workgroups number `index` take; chunks of other rounds are as unused ones.
Chunk read_chunk(uint index) {
  uint chunk = index;
  if (kRagged != 0) {
    chunk += plan[round_chunks + round];
    if (chunk >= plan[round_chunks + round + 1]) return Chunk(groups, 0, 0, 0, 0, 0);
  }
  Chunk c = Chunk(plan[4 * chunk], plan[4 * chunk + 1], plan[4 * chunk + 2], plan[4 * chunk + 3], slots4, 0);
  c.real_slots = c.group < groups ? min(c.real_slots, slots) : 0;
  if (kRagged != 0) {
    c.z_row4 = (c.real_slots + 3) / 4;
    c.z_at = plan[places + chunk];
  }
  return c;
}
uint chunk_position(Chunk chunk, uint i) { return plan[entries + 2 * (chunk.begin + min(i, chunk.count - 1))]; }
// Has the chunk nothing to do with this launch? Its positions rise.
bool skip_chunk(Chunk chunk) {
  return chunk.count == 0 || chunk_position(chunk, 0) >= end_position || chunk_position(chunk, chunk.count) < first_position;
}
bool position_inside(uint position) { return position >= first_position && position < end_position; }
// Its row in this launch's block; positions outside give some row or other.
uint position_row(uint position) { return clamp(position, first_position, end_position - 1) - first_position; }

// Where the row of z of the chunk's entry i lies.
uint z_row(Chunk chunk, uint i) {
  if (kRagged != 0) return chunk.z_at + min(i, chunk.count - 1) * chunk.z_row4;
  return position_row(chunk_position(chunk, i)) * chunk.z_row4;
}

// The weight row of a slot; slots that are not real give some row or other.
uint weight_row(Chunk chunk, uint slot) {
  return min(rows[chunk.group * slots + min(slot, chunk.real_slots - 1)], weight_rows - 1);
}
bool row_inside(uint row) { return row >= first_row && row < end_row; }
uint row_row(uint row) { return clamp(row, first_row, end_row - 1) - first_row; }
