// What the kSize invocations of a workgroup find out together; every one must call these functions.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kSize = 128;
shared uvec2 lane_pairs[kSize];
shared uint lane_counts[kSize];
uint lane() { return gl_LocalInvocationID.x; }

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
  uint me = lane();
  lane_pairs[me] = best;
  barrier();
  for (uint reach = kSize / 2; reach > 0; reach /= 2) {
    if (me < reach) lane_pairs[me] = better(lane_pairs[me], lane_pairs[me + reach]);
    barrier();
  }
  return lane_pairs[0];
}

// The sum of `own` over the lanes before this one, and of all in `total`.
uvec3 sum_before(uvec3 own, out uvec3 total) {
  uvec3 sum = own;
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
  return uvec3(sum.x - own.x, minus(sum.yz, own.yz));
}
