#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "convert/convert.hpp"
#include "formats/gguf.hpp"

// The numbers of GGUF's tensors: F32, F16, BF16 and Q8_0.
namespace fabula::convert {

GgufType gguf_type_of(WeightType type);
/// The type of a tensor in a safetensors file. Error kUnsupported for one that holds no weights.
GgufType gguf_type_of(TensorDtype dtype);
/// The type in a safetensors file that holds a tensor's numbers as they are: of Q8_0 that is F32. Error kUnsupported
/// for a type of which no numbers are read.
TensorDtype dtype_of(GgufType type);

/// Error kUnsupported for a tensor of a type of which no numbers are read, naming it.
void check_numbers_are_read(const GgufFile& file, std::string_view tensor);

/// A tensor's numbers, row by row. Errors: kUnsupported for a type of which no numbers are read, naming it; kFormat for
/// a number that is not finite.
std::vector<float> read_numbers(const GgufFile& file, std::string_view tensor);

/// Hands on a tensor's numbers, rows of `cols`, as `type` stores them. Error kNumeric, naming the tensor, for a number
/// that is not finite or beyond the type.
void write_numbers(std::string_view tensor, GgufType type, std::span<const float> numbers, std::int64_t cols,
                   const GgufSink& sink);

}  // namespace fabula::convert
