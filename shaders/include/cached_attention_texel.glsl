// The form of cached_attention for software drivers: they read texels in 128 bits, storage buffers and shared memory lane by lane. A
// workgroup is one subgroup. The cache is read as texels (binding 3) and written as a buffer (binding 7): no kernel reads a row of it
// that it writes. Head sizes are multiples of 4.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;
layout(constant_id = 2) const bool ROTATED = false;
const uint LANES = gl_WorkGroupSize.x;

#define READ_TEXELS(b, name)                                                                         \
  layout(constant_id = 16 + b) const uint kType##b = 0;                                              \
  layout(set = 0, binding = b) uniform samplerBuffer name##_texels;                                  \
  vec4 name(uint i) {                                                                                \
    if (TYPE_OF(b) == kFp32) return texelFetch(name##_texels, int(i));                               \
    uvec4 two = floatBitsToUint(texelFetch(name##_texels, int(i / 2)));                              \
    return unpack_values(i % 2 == 0 ? two.xy : two.zw, TYPE_OF(b));                                  \
  }
READ_TEXELS(0, q_words)
READ_TEXELS(1, k_words)
READ_TEXELS(2, v_words)
READ_TEXELS(3, cache)
layout(set = 0, binding = 4) readonly buffer Places { uint places[]; };
READ_TEXELS(5, angle_words)
WRITE_VALUES(6, Out, attended)
WRITE_VALUES(7, NewCache, cache_rows)
#define ATTENDED
#define set_cache set_cache_rows
#include "cached_attention.glsl"

// A head of a row of the cache, whose first element is `word`.
void load_cached(uint word, out vec4 x[HEAD_VECS]) {
  if (TYPE_OF(3) != kFp32 && HEAD % 8 == 0) {
    [[unroll]] for (uint d = 0; d < HEAD_VECS; d += 2) {
      uvec4 two = floatBitsToUint(texelFetch(cache_texels, int(word / 8 + d / 2)));
      x[d] = unpack_values(two.xy, TYPE_OF(3));
      x[d + 1] = unpack_values(two.zw, TYPE_OF(3));
    }
    return;
  }
  [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) x[d] = cache(word / 4 + d);
}

// This lane's key j and its value among the keys [j0, j0 + LANES) that some row from `row` on sees, whose number is n; one that lies
// before `begin` or behind `last` is read as the next of these.
void load_key(Row row, uint n, uint kv_head, uint j0, uint j, uint begin, uint last, out vec4 k[HEAD_VECS], out vec4 v[HEAD_VECS]) {
  if (j0 < row.run_begin && begin < row.run_begin) {
    uint word = cache_row_of(row, clamp(j, begin, row.run_begin - 1)) * cache_ld;
    load_cached(word + kv_head * HEAD, k);
    load_cached(word + (kv_heads + kv_head) * HEAD, v);
  }
  if (j0 + LANES > row.run_begin) {
    uint own = clamp(j, max(begin, row.run_begin), last);
    bool is_own = j >= row.run_begin || begin >= row.run_begin;
    [[unroll]] for (uint d = 0; d < HEAD_VECS; ++d) {
      vec4 own_k = key_part(n + own - row.position, kv_head, d, own), own_v = value_part(n + own - row.position, kv_head, d);
      k[d] = is_own ? own_k : k[d];
      v[d] = is_own ? own_v : v[d];
    }
  }
}
