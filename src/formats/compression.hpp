#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// What a config says of a model whose matrices lie in few bits (formats/coded_matrix.hpp): the object
// "quantization_config", which other programs look for as well and refuse where the method is none of theirs.
namespace fabula {

struct CodedTensor {
  int bits = 4;
  bool has_offsets = false;
  std::vector<std::int64_t> shape;  ///< of the tensor that it stands for, as files of the model have it
  bool transposed = false;          ///< codes lie as [shape[1], shape[0]], or else as [shape[0], shape[1]]

  std::int64_t rows() const { return transposed ? shape[1] : shape[0]; }
  std::int64_t cols() const { return transposed ? shape[0] : shape[1]; }
};

struct Compression {
  std::string method = {};                                       ///< what made them: "rtn", "gptq"
  std::map<std::string, CodedTensor, std::less<>> tensors = {};  ///< by name; all others are what they are
  bool empty() const { return tensors.empty(); }
};

inline constexpr const char* kQuantizationKey = "quantization_config";
/// quant_method of what fabula writes.
inline constexpr const char* kOwnQuantMethod = "fabula";

/// What a config's text says; empty where it has no such object, or one of another program's. Errors: kFormat, naming
/// `source` and the tensor; kUnsupported for bits or groups that this program does not read.
Compression read_compression(std::string_view config_text, std::string_view source);

}  // namespace fabula
