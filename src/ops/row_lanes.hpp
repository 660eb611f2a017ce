#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/sized_case.hpp"

namespace fabula::ops {

/// How a kernel of include/row_softmax.glsl walks the rows of a value: `lanes` invocations a row, `width` a workgroup.
struct RowLanes {
  std::uint32_t width, lanes;
  std::vector<std::uint32_t> constants() const { return {width, lanes}; }
  /// The grid for `rows` rows.
  std::array<std::uint32_t, 3> groups(std::int64_t rows) const {
    const std::int64_t per_group = width / lanes;
    return graph::LowerCall::grid((rows + per_group - 1) / per_group);
  }
};

inline constexpr std::string_view kRowByInvocation = "row_by_invocation", kRowByWorkgroup = "row_by_workgroup";

/// Variants for a kernel over `shape`, best first. On a software driver an invocation streams a row alone (no shared
/// memory, no barrier: 2 to 6 times as fast on lavapipe), unless a few long rows would leave its lanes idle. A row so
/// long that two passes near the drivers' limit of 65,535 loop iterations is always spread.
inline std::vector<std::string> row_variants(const graph::Shape& shape, const vk::DeviceProfile& profile) {
  constexpr std::int64_t kStreamedColumns = 65536, kShortColumns = 4096, kManyRows = 32;
  std::vector<std::string> variants{std::string(kRowByWorkgroup)};
  if (shape.cols > kStreamedColumns) return variants;
  variants.emplace_back(kRowByInvocation);
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;
  if (software && (shape.cols <= kShortColumns || shape.rows >= kManyRows)) std::swap(variants[0], variants[1]);
  return variants;
}

inline RowLanes row_lanes(std::int64_t columns, std::string_view variant) {
  if (variant == kRowByInvocation) return {.width = 32, .lanes = 1};
  const std::uint64_t wanted = static_cast<std::uint64_t>(columns + 15) / 16;  // about four vec4 a lane
  const std::uint32_t lanes = static_cast<std::uint32_t>(std::bit_ceil(std::clamp<std::uint64_t>(wanted, 2, 128)));
  return {.width = 128, .lanes = lanes};
}

/// OpDef::sized of ops over rows of logits, whose other inputs and outputs have a column a row; a last input that says
/// how many columns of a row count is not given.
inline std::optional<graph::SizedCase> sized_logits(const graph::NodeView& node, std::int64_t rows) {
  if (node.has_input(node.entry().def->inputs.size() - 1)) return std::nullopt;
  std::optional<graph::SizedCase> sized = graph::sized_by_rows(node, rows);
  const std::int64_t kept = std::min(node.in(0).rows, rows);
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    if (!node.has_input(i)) continue;
    sized->launch.inputs[i].shape.cols = kept;
    sized->tiles[i] = {1, std::min(kept, graph::kTileRows)};
  }
  return sized;
}

}  // namespace fabula::ops
