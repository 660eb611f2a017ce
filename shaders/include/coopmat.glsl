// Products of 16 x 16 fragments of fp16, or of bf16, with fp32 sums, spread over a subgroup of 32. COOPMAT says in which form:
//   1  GL_KHR_cooperative_matrix. With COOPMAT_WRITTEN_AS_NV in the spelling of 2, for a compiler that knows no other: the module is
//      rewritten to KHR's instructions before a device sees it (src/vk/khr_matrix.hpp).
//      With COOP_BF16 likewise, and the rewriting makes bf16 of fp16: no compiler is asked to know that type.
//   2  GL_NV_cooperative_matrix
//   0  emulated with plain arrays: slow, needs no feature; for checking addresses and edges where no device has matrices
// Include this before anything else, and values.glsl before use. COOP_TYPE is the fragments' type, one of values.glsl's; emulated ones
// are of either, and what includes this defines it. Fragments are loaded from and stored to arrays of uvec4 (8 values of 16 bits or 4
// fp32 each); `at` and `stride` count uvec4s. by_column, a literal 0 or 1, says that the array holds the fragment's transpose.
//   COOP_A, COOP_B, COOP_SUM             the types
//   COOP_ZERO(sum)
//   COOP_LOAD_A(a, array, at, stride, by_column), COOP_LOAD_B(b, ...)
//   COOP_MULTIPLY_ADD(a, b, sum)         sum += a b
//   COOP_LOAD_SUM(sum, array, at, stride), COOP_STORE(sum, array, at, stride)
//   COOP_WARP, COOP_LANE                 number of the subgroup in its workgroup, of the invocation in its subgroup
//   COOP_SYNC                            the subgroup's shared memory writes are seen by the subgroup; all invocations get here
#if COOPMAT != 0
#pragma use_vulkan_memory_model
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define COOP_WARP gl_SubgroupID
#define COOP_LANE gl_SubgroupInvocationID
#define COOP_SYNC subgroupBarrier()
#endif

#if COOPMAT == 1 && !defined(COOPMAT_WRITTEN_AS_NV) && !defined(COOP_BF16)
#extension GL_KHR_cooperative_matrix : require
#define COOP_A coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA>
#define COOP_B coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB>
#define COOP_SUM coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>
#define COOP_ORDER(by_column) ((by_column) != 0 ? gl_CooperativeMatrixLayoutColumnMajor : gl_CooperativeMatrixLayoutRowMajor)
#define COOP_LOAD_A(a, array, at, stride, by_column) coopMatLoad(a, array, at, stride, COOP_ORDER(by_column))
#define COOP_LOAD_B(b, array, at, stride, by_column) coopMatLoad(b, array, at, stride, COOP_ORDER(by_column))
#define COOP_MULTIPLY_ADD(a, b, sum) sum = coopMatMulAdd(a, b, sum)
#define COOP_LOAD_SUM(sum, array, at, stride) coopMatLoad(sum, array, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#define COOP_STORE(sum, array, at, stride) coopMatStore(sum, array, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#elif COOPMAT != 0
#extension GL_NV_cooperative_matrix : require
layout(constant_id = 63) const uint kMatrixBColumns = 16;  // of sums too. A constant of its own tells B's type from A's
#define COOP_A fcoopmatNV<16, gl_ScopeSubgroup, 16, 16>
#define COOP_B fcoopmatNV<16, gl_ScopeSubgroup, 16, kMatrixBColumns>
#define COOP_SUM fcoopmatNV<32, gl_ScopeSubgroup, 16, kMatrixBColumns>
#define COOP_LOAD_A(a, array, at, stride, by_column) coopMatLoadNV(a, array, at, stride, (by_column) != 0)
#define COOP_LOAD_B(b, array, at, stride, by_column) coopMatLoadNV(b, array, at, stride, (by_column) != 0)
#define COOP_MULTIPLY_ADD(a, b, sum) sum = coopMatMulAddNV(a, b, sum)
#define COOP_LOAD_SUM(sum, array, at, stride) coopMatLoadNV(sum, array, at, stride, false)
#define COOP_STORE(sum, array, at, stride) coopMatStoreNV(sum, array, at, stride, false)
#endif

#ifdef COOP_BF16
#define COOP_TYPE kBf16
#elif COOPMAT != 0
#define COOP_TYPE kFp16
#endif

#if COOPMAT != 0
#define COOP_ZERO(sum) sum = COOP_SUM(0.0)
#else
#define COOP_WARP (gl_LocalInvocationID.x / 32)
#define COOP_LANE (gl_LocalInvocationID.x % 32)
#define COOP_SYNC barrier()
// Lane l owns row l / 2; of b and of the sum, columns 8 (l % 2) on.
#define COOP_ROW (COOP_LANE / 2)
#define COOP_COLUMN (COOP_LANE % 2 * 8)
struct CoopA { vec4 k4[4]; };     // 16 steps of K
struct CoopB { vec4 at[16][2]; };  // [k][4 columns]
struct CoopSum { vec4 at[2]; };
#define COOP_A CoopA
#define COOP_B CoopB
#define COOP_SUM CoopSum
#define COOP_ZERO(sum) sum.at[0] = sum.at[1] = vec4(0)
#define COOP_HALF(array, from, i) unpack_values(uvec2(array[(from) + (i) / 8][(i) / 2 % 4]), COOP_TYPE)[(i) % 2]
#define COOP_LOAD_A(a, array, from, stride, by_column)                                             \
  for (uint k_ = 0; k_ < 16; ++k_)                                                                 \
    a.k4[k_ / 4][k_ % 4] = (by_column) != 0 ? COOP_HALF(array, (from) + k_ * (stride), COOP_ROW)   \
                                            : COOP_HALF(array, (from) + COOP_ROW * (stride), k_)
#define COOP_LOAD_B(b, array, from, stride, by_column)                                                         \
  for (uint k_ = 0; k_ < 16; ++k_)                                                                             \
    for (uint c_ = 0; c_ < 8; ++c_)                                                                            \
      b.at[k_][c_ / 4][c_ % 4] = (by_column) != 0                                                              \
                                     ? COOP_HALF(array, (from) + (COOP_COLUMN + c_) * (stride), k_)            \
                                     : COOP_HALF(array, (from) + k_ * (stride), COOP_COLUMN + c_)
#define COOP_MULTIPLY_ADD(a, b, sum)                                                                 \
  for (uint k_ = 0; k_ < 16; ++k_)                                                                   \
    for (uint q_ = 0; q_ < 2; ++q_) sum.at[q_] = fma(vec4(a.k4[k_ / 4][k_ % 4]), b.at[k_][q_], sum.at[q_])
#define COOP_LOAD_SUM(sum, array, from, stride)                                                      \
  for (uint q_ = 0; q_ < 2; ++q_)                                                                    \
    sum.at[q_] = uintBitsToFloat(array[(from) + COOP_ROW * (stride) + COOP_COLUMN / 4 + q_])
#define COOP_STORE(sum, array, from, stride)                                                         \
  for (uint q_ = 0; q_ < 2; ++q_)                                                                    \
    array[(from) + COOP_ROW * (stride) + COOP_COLUMN / 4 + q_] = floatBitsToUint(sum.at[q_])
#endif
