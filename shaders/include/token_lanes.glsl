// What the kSize invocations of a workgroup find out together; every one must call these functions.
// With SUBGROUP defined they go by shuffles: subgroups are full.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kSize = 128;
shared uvec2 lane_pairs[kSize];
shared uint lane_counts[kSize];
#ifdef SUBGROUP
uint lane() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
#else
uint lane() { return gl_LocalInvocationID.x; }
#endif

// 64-bit numbers: {low, high}.
uvec2 plus(uvec2 a, uvec2 b) {
  uint low = a.x + b.x;
  return uvec2(low, a.y + b.y + uint(low < a.x));
}
uvec2 minus(uvec2 a, uvec2 b) { return uvec2(a.x - b.x, a.y - b.y - uint(a.x < b.x)); }
bool less(uvec2 a, uvec2 b) { return a.y < b.y || (a.y == b.y && a.x < b.x); }
// A count and a 64-bit mass.
uvec3 plus(uvec3 a, uvec3 b) { return uvec3(a.x + b.x, plus(a.yz, b.yz)); }

// Of {key, token} the larger key wins, of equal ones the lower token.
uvec2 better(uvec2 a, uvec2 b) { return b.x > a.x || (b.x == a.x && b.y < a.y) ? b : a; }
uvec2 better(uvec2 best, uvec4 keys, uint token) {
  best = better(best, uvec2(keys.x, token));
  best = better(best, uvec2(keys.y, token + 1));
  best = better(best, uvec2(keys.z, token + 2));
  return better(best, uvec2(keys.w, token + 3));
}

uvec2 best_of_lanes(uvec2 best) {
  barrier();
#ifdef SUBGROUP
  for (uint reach = gl_SubgroupSize / 2; reach > 0; reach /= 2) best = better(best, subgroupShuffleXor(best, reach));
  if (gl_SubgroupInvocationID == 0) lane_pairs[gl_SubgroupID] = best;
  barrier();
  for (uint i = 0; i < gl_NumSubgroups; ++i) best = better(best, lane_pairs[i]);
  return best;
#else
  uint me = lane();
  lane_pairs[me] = best;
  barrier();
  for (uint reach = kSize / 2; reach > 0; reach /= 2) {
    if (me < reach) lane_pairs[me] = better(lane_pairs[me], lane_pairs[me + reach]);
    barrier();
  }
  return lane_pairs[0];
#endif
}

// The sum of `own` over the lanes before this one, and of all in `total`.
uvec3 sum_before(uvec3 own, out uvec3 total) {
  uvec3 sum = own;
#ifdef SUBGROUP
  uint me = gl_SubgroupInvocationID;
  for (uint reach = 1; reach < gl_SubgroupSize; reach *= 2) {
    uvec3 left = subgroupShuffle(sum, max(me, reach) - reach);
    if (me >= reach) sum = plus(sum, left);
  }
  if (me + 1 == gl_SubgroupSize) {
    lane_counts[gl_SubgroupID] = sum.x;
    lane_pairs[gl_SubgroupID] = sum.yz;
  }
  barrier();
  uvec3 before = uvec3(0);
  total = uvec3(0);
  for (uint i = 0; i < gl_NumSubgroups; ++i) {
    if (i == gl_SubgroupID) before = total;
    total = plus(total, uvec3(lane_counts[i], lane_pairs[i]));
  }
  sum = plus(sum, before);
#else
  uint me = lane();
  lane_counts[me] = sum.x;
  lane_pairs[me] = sum.yz;
  barrier();
  for (uint reach = 1; reach < kSize; reach *= 2) {
    uvec3 left = uvec3(0);
    if (me >= reach) left = uvec3(lane_counts[me - reach], lane_pairs[me - reach]);
    barrier();
    sum = plus(sum, left);
    lane_counts[me] = sum.x;
    lane_pairs[me] = sum.yz;
    barrier();
  }
  total = uvec3(lane_counts[kSize - 1], lane_pairs[kSize - 1]);
#endif
  return uvec3(sum.x - own.x, minus(sum.yz, own.yz));
}
