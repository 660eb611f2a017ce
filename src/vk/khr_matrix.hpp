#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fabula::vk {

/// The specialisation constant that a shader gives as the columns of B matrices where it is written with NV's types.
inline constexpr std::uint32_t kMatrixBColumnsId = 63;

/// A SPIR-V module with SPV_NV_cooperative_matrix, rewritten to SPV_KHR_cooperative_matrix: the same kernel for every
/// vendor, whatever the age of the compiler that built it. (It is faster on NVIDIA as well, where a matrix whose use is
/// not known is kept in a layout that every product then has to turn.)
///
/// A KHR type says what a matrix is used as, which an NV type does not. Here matrices of 32-bit floats are
/// accumulators; of the others, those whose number of columns is specialisation constant kMatrixBColumnsId are B, the
/// rest A (shaders/include/coopmat.glsl). With bf16 the module's 16-bit floats, which may be matrices' elements alone,
/// become SPV_KHR_bfloat16's. Throws kInternal for a module that is malformed or uses anything else.
std::vector<std::uint32_t> khr_from_nv_matrices(std::span<const std::uint32_t> words, bool bf16);

}  // namespace fabula::vk
