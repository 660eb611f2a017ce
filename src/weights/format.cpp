#include "weights/format.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula::weights {

Format parse_format(std::string_view name) {
  const auto at = std::find(kFormatNames.begin(), kFormatNames.end(), name);
  if (at == kFormatNames.end())
    fail(ErrorCode::kInvalidArgument, "weights cannot be stored as \"{}\", but as {}", name,
         fmt::join(kFormatNames, ", "));
  return static_cast<Format>(at - kFormatNames.begin());
}

void store_as(graph::ParameterSpec& spec, Format format) {
  if (!spec.is_weight) return;
  switch (format) {
    case Format::kFp32:
      return;
    case Format::kFp16:
      spec.shape.dtype = graph::DType::kF16;
      return;
    case Format::kBf16:
      spec.shape.dtype = graph::DType::kBF16;
      return;
    case Format::kInt8:
      spec.transposed = spec.inputs_first;
      if (spec.transposed) std::swap(spec.shape.rows, spec.shape.cols);
      spec.shape.dtype = graph::DType::kI8;
      return;
  }
  fail(ErrorCode::kInternal, "there is no format {}", static_cast<int>(format));
}

}  // namespace fabula::weights
