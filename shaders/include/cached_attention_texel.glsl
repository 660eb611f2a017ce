// The form of cached_attention for software drivers: they read texels in 128 bits, storage buffers and shared memory lane by lane. A
// workgroup is one subgroup. The cache is read as texels (binding 3) and written as a buffer (binding 7): no kernel reads a row of it
// that it writes. Head sizes are multiples of 4.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "grid.glsl"
#include "values.glsl"
#include "texel_values.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint HEAD = 32;
layout(constant_id = 2) const bool ROTATED = false;
layout(constant_id = 3) const uint UNIT = 1;  // vec4s of a head read at once: 2 of 16-bit ones, where a head's begin at a texel
const uint LANES = gl_WorkGroupSize.x;

#define READ_TEXELS(b, name)                                                                         \
  layout(constant_id = 16 + b) const uint kType##b = 0;                                              \
  layout(set = 0, binding = b) uniform usamplerBuffer name##_texels;                                 \
  vec4 name(uint i) {                                                                                \
    if (TYPE_OF(b) == kFp32) return uintBitsToFloat(texelFetch(name##_texels, int(i)));              \
    uvec4 two = texelFetch(name##_texels, int(i / 2));                                               \
    return unpack_texel(i % 2 == 0 ? two.xy : two.zw, TYPE_OF(b));                                   \
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

// Unit `unit` of a head of a row of the cache.
void cache_unit(uint word, uint unit, out vec4 x[UNIT]) {
  if (UNIT == 1) {
    x[0] = cache(word / 4 + unit);
    return;
  }
  uvec4 two = texelFetch(cache_texels, int(word / 8 + unit));
  x[0] = unpack_texel(two.xy, TYPE_OF(3));
  x[UNIT - 1] = unpack_texel(two.zw, TYPE_OF(3));
}
