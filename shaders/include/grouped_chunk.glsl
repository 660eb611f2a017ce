// A chunk of a group plan (base/group_plan.hpp): at most 64 positions of one group. Declare `plan`, `entries` (where the pairs
// position, slot begin in it), `groups` and `slots` (of a group at most) before.
struct Chunk {
  uint group;       // `groups` or more: the positions are in no group
  uint begin;       // first entry
  uint count;       // entries; 0: an unused chunk
  uint real_slots;  // 0 for positions in no group
};
Chunk read_chunk(uint chunk) {
  Chunk c = Chunk(plan[4 * chunk], plan[4 * chunk + 1], plan[4 * chunk + 2], plan[4 * chunk + 3]);
  c.real_slots = c.group < groups ? min(c.real_slots, slots) : 0;
  return c;
}
uint chunk_position(Chunk chunk, uint i) { return plan[entries + 2 * (chunk.begin + min(i, chunk.count - 1))]; }
