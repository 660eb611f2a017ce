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

namespace {
void store_in_few_bits(graph::ParameterSpec& spec, graph::DType dtype) {
  spec.transposed = spec.inputs_first;
  if (spec.transposed) std::swap(spec.shape.rows, spec.shape.cols);
  spec.shape.dtype = dtype;
}
}  // namespace

void store_as(graph::ParameterSpec& spec, const Storage& storage) {
  if (!spec.is_weight) return;
  if (const auto coded = storage.coded.find(spec.name); coded != storage.coded.end()) {
    store_in_few_bits(spec, coded->second.bits == 8 ? graph::DType::kI8 : graph::DType::kU4);
    spec.offsets = coded->second.has_offsets;
    return;
  }
  switch (storage.format) {
    case Format::kFp32:
    case Format::kStored:
      return;
    case Format::kFp16:
      spec.shape.dtype = graph::DType::kF16;
      return;
    case Format::kBf16:
      spec.shape.dtype = graph::DType::kBF16;
      return;
    case Format::kInt8:
      return store_in_few_bits(spec, graph::DType::kI8);
    case Format::kInt4:
      return store_in_few_bits(spec, graph::DType::kU4);
  }
  fail(ErrorCode::kInternal, "there is no format {}", static_cast<int>(storage.format));
}

}  // namespace fabula::weights
