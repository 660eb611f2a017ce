#pragma once
#include <string>
#include <vector>

namespace fabula::train {

/// A tensor and what is said of it.
struct NamedTensor {
  std::string name, remark;
};

/// Tensors in a few words for the user: those of the blocks by layer ranges, the head's together, whatever has the same
/// remark at once: "transformer.wpe.weight ([32, 8] there); transformer.h.4-7.* (not there)". At most `most` entries.
std::string list_tensors(const std::vector<NamedTensor>& tensors, std::size_t most = 12);

}  // namespace fabula::train
