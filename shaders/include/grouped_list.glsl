// What the weight gradients of the grouped product share: push constants, and a group's entries in the plan
// (base/group_plan.hpp). Declare the storage buffer `plan` before.
layout(constant_id = 0) const uint kCut = 0;  // 1: positions or weight rows are cut into blocks, this launch sees one of them
layout(constant_id = 1) const uint kRagged = 0;  // 1: rows of z lie as a round of the plan says, of the slots of their group
layout(push_constant) uniform Push {
  uint first_position, end_position;  // of this launch
  uint first_row, end_row;            // of d_weight, of this launch
  uint windows, window;               // how many, and entries of one
  uint entries, group_chunks;         // where they begin in plan
  uint groups, slots;                 // slots of a group, at most
  uint columns;                       // of x and d_weight
  uint columns4;                      // vec4s of a row of x and d_weight
  uint slots4;                        // vec4s of a row of d_shift, and of d_z where it is not ragged
  uint add;                           // 1: add to what earlier positions gave
  uint round, places, round_chunks;   // ragged: the round of this launch, and where the plan says how it lies
};

// The first chunk of a group, of those of this launch's round.
uint chunks_before(uint group) {
  uint chunk = plan[group_chunks + group];
  if (kRagged != 0) chunk = clamp(chunk, plan[round_chunks + round], plan[round_chunks + round + 1]);
  return chunk;
}

// Entries of the groups before `group`: where the plan's list of it begins.
uint entries_before(uint group) {
  uint chunk = chunks_before(group);
  return chunk == 0 ? 0 : plan[4 * (chunk - 1) + 1] + plan[4 * (chunk - 1) + 2];
}
// Of a group that has entries.
uint real_slots_of(uint group) { return min(plan[4 * chunks_before(group) + 3], slots); }
// Ragged: where the row of d_z of its first entry lies.
uint first_row_of(uint group) { return plan[places + chunks_before(group)]; }
