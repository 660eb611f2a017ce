// The output side of every matmul kernel: where an element goes, bias and residual, zero padding.
// Define OUTPUT_BINDING, the binding number of y, and GATED_ID, the constant that says whether a launch is gated, before including
// this; RESIDUAL_TEXELS to read the residual as texels.
// y may share its memory with the residual (in place, and when a later block of K adds to an earlier one's sum): an element is read
// and written by the same invocation, in this order.
layout(set = 0, binding = OUTPUT_BINDING) writeonly buffer Y { vec4 y[]; };
layout(set = 0, binding = OUTPUT_BINDING + 1) readonly buffer Bias { vec4 bias[]; };
#ifdef RESIDUAL_TEXELS
// A constant: on a driver without branches a residual that is not there would be fetched all the same.
layout(constant_id = 0) const uint kHasResidual = 0;
layout(set = 0, binding = OUTPUT_BINDING + 2) uniform samplerBuffer residual;
#define LOAD_RESIDUAL(i) texelFetch(residual, int(i))
#else
layout(set = 0, binding = OUTPUT_BINDING + 2) readonly buffer Residual { vec4 residual[]; };
#define LOAD_RESIDUAL(i) residual[i]
#define kHasResidual has_residual
#endif
// A constant as well: the test alone, where no launch is gated, costs large tiles 8 % on NVIDIA.
layout(constant_id = GATED_ID) const uint kGated = 0;
layout(set = 0, binding = OUTPUT_BINDING + 3) readonly buffer Gate { uint gate[]; };  // [1, 1]
layout(push_constant) uniform Push {
  uint rows, cols, depth;             // M, N, K of this launch: a block of the node's
  uint a_stride, b_stride, y_stride;  // vec4s from row to row
  uint a_column, y_column;            // vec4s: where this block starts in a row of a | of y and residual
  uint bias_column;                   // the same for bias
  uint splits, split_depth;           // K is cut into `splits` pieces of `split_depth`, a multiple of 64; piece s writes rows
                                      // [s * rows, (s + 1) * rows) of y
  uint has_bias, has_residual;
  uint gate_from;  // of a gated launch: it does nothing unless gate[0] is above this
};
bool gate_closed() { return kGated != 0 && gate[0] <= gate_from; }

vec4 load_bias(uint col4) {
  vec4 words = vec4(0);
  if (has_bias != 0 && col4 * 4 < cols) words = bias[bias_column + col4];
  return words;
}

// Stores columns 4 col4 .. 4 col4 + 3 of a row, unless they lie outside.
void store_y(uint split, uint row, uint col4, vec4 sum) {
  if (row >= rows || col4 * 4 >= cols) return;
  uint at = row * y_stride + y_column + col4;
  if (kHasResidual != 0) sum += LOAD_RESIDUAL(at);
  uvec4 col = col4 * 4 + uvec4(0, 1, 2, 3);
  y[split * rows * y_stride + at] = mix(vec4(0), sum, lessThan(col, uvec4(cols)));
}
