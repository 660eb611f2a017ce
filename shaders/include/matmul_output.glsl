// The output side of every product kernel: bias, residual, activation, 16-bit storage, zero padding. The kernel's own buffers follow
// from binding 6 on. Define GATED_ID, the first of two specialisation constants {gated, activation}, before including this;
// EPILOGUE_TEXELS to read residual and aux (fp32 there) as texels.
// y may share its memory with residual or aux: an element is read and written by the same invocation, in this order.
#include "gelu.glsl"
#include "values.glsl"
WRITE_VALUES(0, Y, y)
READ_VALUES(1, Bias, bias)
#ifdef EPILOGUE_TEXELS
// A constant: on a driver without branches a residual that is not there would be fetched all the same.
layout(constant_id = 0) const uint kHasResidual = 0;
layout(set = 0, binding = 2) uniform samplerBuffer residual_texels;
layout(set = 0, binding = 3) uniform samplerBuffer aux_texels;
vec4 residual(uint i) { return texelFetch(residual_texels, int(i)); }
vec4 aux(uint i) { return texelFetch(aux_texels, int(i)); }
#else
READ_VALUES(2, Residual, residual)
READ_VALUES(3, Aux, aux)
#define kHasResidual has_residual
#endif
WRITE_VALUES(4, Pre, pre)
layout(set = 0, binding = 5) readonly buffer Gate { uint gate[]; };  // [1, 1]
layout(constant_id = 16 + 5) const uint kGateType = 0;               // where no launch is gated, any value is bound there
// Constants as well: the test of the gate alone, where no launch is gated, costs large tiles 8 % on NVIDIA.
layout(constant_id = GATED_ID) const uint kGated = 0;
layout(constant_id = GATED_ID + 1) const uint kActivation = 0;
const uint kGelu = 1;          // y = gelu(product)
const uint kGeluKeep = 2;      // the same; the product goes to pre
const uint kGeluBackward = 3;  // y = product * gelu'(aux)
layout(push_constant) uniform Push {
  uint rows, cols, depth;             // M, N, K of this launch: a block of the node's
  uint a_stride, b_stride, y_stride;  // vec4s from row to row
  uint a_column, y_column;            // vec4s: where this block starts in a row of a | of y, residual, aux and pre
  uint bias_column;                   // the same for bias
  uint splits, split_depth;           // K is cut into `splits` pieces of `split_depth`, a multiple of 64; piece s writes rows
                                      // [s * rows, (s + 1) * rows) of y
  uint has_bias, has_residual;
  uint gate_from;  // of a gated launch: it does nothing unless gate[0] is above this
};
bool gate_closed() { return kGated != 0 && kGateType == kFp32 && gate[0] <= gate_from; }

vec4 load_bias(uint col4) {
  vec4 words = vec4(0);
  if (has_bias != 0 && col4 * 4 < cols) words = bias(bias_column + col4);
  return words;
}

vec4 gelu(vec4 x) { return vec4(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w)); }
vec4 d_gelu(vec4 x) { return vec4(d_gelu(x.x), d_gelu(x.y), d_gelu(x.z), d_gelu(x.w)); }

// Stores columns 4 col4 .. 4 col4 + 3 of a row, padding included, unless they lie outside. `sum` has the bias in it.
void store_y(uint split, uint row, uint col4, vec4 sum) {
  if (row >= rows || col4 >= row_vec4s(cols, TYPE_OF(0))) return;
  uint at = row * y_stride + y_column + col4;
  bvec4 inside = lessThan(col4 * 4 + uvec4(0, 1, 2, 3), uvec4(cols));
  if (kHasResidual != 0) sum += residual(at);
  if (kActivation == kGeluKeep) set_pre(at, mix(vec4(0), sum, inside));
  if (kActivation == kGelu || kActivation == kGeluKeep) sum = gelu(sum);
  if (kActivation == kGeluBackward) sum *= d_gelu(aux(at));
  set_y(split * rows * y_stride + at, mix(vec4(0), sum, inside));
}
