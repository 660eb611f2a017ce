// Sums over the kLanes neighbouring invocations that share a row. A workgroup is kSize invocations, kSize / kLanes rows; kLanes is a
// power of two. With kLanes == 1 a row is one invocation's loop and neither shared memory nor barriers are left after folding.
// Every invocation of the workgroup must call row_sum, those without a row too.
// With SUBGROUP defined the sums go by shuffles: kLanes is at most the subgroup's size, subgroups are full.
layout(constant_id = 0) const uint kSize = 128;
layout(constant_id = 1) const uint kLanes = 128;
layout(local_size_x_id = 0) in;
#ifdef SUBGROUP
uint row_self() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
#else
shared vec2 row_partial[kSize];
uint row_self() { return gl_LocalInvocationID.x; }
#endif

uint row_lane() { return row_self() % kLanes; }
uint row_in_group() { return row_self() / kLanes; }
uint rows_per_group() { return kSize / kLanes; }

vec2 row_sum(vec2 value) {
#ifdef SUBGROUP
  for (uint reach = kLanes / 2; reach > 0; reach /= 2) value += subgroupShuffleXor(value, reach);
  return value;
#else
  if (kLanes == 1) return value;
  uint self = row_self();
  row_partial[self] = value;
  barrier();
  for (uint reach = kLanes / 2; reach > 0; reach /= 2) {
    if (row_lane() < reach) row_partial[self] += row_partial[self + reach];
    barrier();
  }
  vec2 total = row_partial[self - row_lane()];
  barrier();
  return total;
#endif
}
