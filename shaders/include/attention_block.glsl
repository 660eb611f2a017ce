// The register-tiled form of the attention kernels (GPUs): a workgroup takes a block of BQ queries by BK keys at a time from
// shared memory, and every invocation computes a small rectangle of scores and, in a second phase, one of the output, as in a matrix
// product. Blocks lie [row][head], a row padded to an odd number of vec4s, so that invocations that read neighbouring rows use
// different banks. Head sizes are multiples of 4.
#extension GL_KHR_shader_subgroup_basic : require
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;  // head size
layout(constant_id = 2) const uint BQ = 64;    // queries a block
layout(constant_id = 3) const uint BK = 64;    // keys a block
layout(constant_id = 4) const uint SX = 8;     // invocations along the keys of a block of scores, at most a subgroup
layout(constant_id = 5) const uint OX = 8;     // invocations along the head in an output block
const uint LOCAL = gl_WorkGroupSize.x;
const uint HEAD4 = HEAD / 4;
const uint OE = (HEAD4 + OX - 1) / OX;         // vec4s of a row of the output that an invocation has
const uint LINE = OE * OX | 1;                 // vec4s from row to row of a block of q, k, v
const uint SCORE_LINE = BK / 4 + 2;            // vec4s from row to row of a block of weights
const uint SY = LOCAL / SX;
const uint SQ = BQ / SY, SK = BK / SX;         // queries and keys of an invocation's scores: sy + SY * i, sx + SX * j
// vec4s of the head gone through between two tests of the loop: long enough to hide latency, short enough for the instruction cache.
const uint STEP4 = HEAD4 % 4 == 0 ? 4 : HEAD4 % 2 == 0 ? 2 : 1;

// This invocation's place in its workgroup, counted as the subgroup does, whatever the order of local indices.
uint lane_index() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
