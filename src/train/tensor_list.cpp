#include "train/tensor_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

namespace fabula::train {
namespace {

constexpr std::string_view kHead = "lm_head.";
constexpr std::size_t kFewParts = 3;  // of a block that are named one by one

/// Tensors of one place in the model that have the same remark.
struct Bundle {
  std::string place, remark;
  std::set<std::int64_t> layers;   ///< of blocks
  std::vector<std::string> parts;  ///< what follows the place, and the layer's number
};

/// Where the number of a block begins in a tensor's name, "transformer.h.3.ln_1.weight"; npos: it has none.
std::size_t block_number(std::string_view name) {
  for (std::size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
    if (dot + 1 < name.size() && name[dot + 1] >= '0' && name[dot + 1] <= '9') return dot + 1;
  return name.npos;
}

void add(std::vector<Bundle>& bundles, const NamedTensor& tensor) {
  std::string_view rest = tensor.name, place = rest;
  std::int64_t layer = -1;
  if (rest.starts_with(kHead)) {
    place = kHead, rest.remove_prefix(kHead.size());
  } else if (const std::size_t number = block_number(rest); number != rest.npos) {
    const char* const end = rest.data() + rest.size();
    const auto [stopped, code] = std::from_chars(rest.data() + number, end, layer);
    if (code != std::errc() || stopped == end || *stopped != '.') layer = -1;
    if (layer >= 0) place = rest.substr(0, number), rest = {stopped + 1, static_cast<std::size_t>(end - stopped - 1)};
  }
  auto it = std::find_if(bundles.begin(), bundles.end(),
                         [&](const Bundle& bundle) { return bundle.place == place && bundle.remark == tensor.remark; });
  if (it == bundles.end()) it = bundles.insert(it, {std::string(place), tensor.remark, {}, {}});
  if (layer >= 0) it->layers.insert(layer);
  if (place.data() != rest.data() && std::find(it->parts.begin(), it->parts.end(), rest) == it->parts.end())
    it->parts.emplace_back(rest);
}

/// "0-3,7"
std::string ranges(const std::set<std::int64_t>& numbers) {
  std::string text;
  for (auto it = numbers.begin(); it != numbers.end();) {
    const std::int64_t first = *it;
    std::int64_t last = first;
    while (++it != numbers.end() && *it == last + 1) last = *it;
    text += fmt::format("{}{}", text.empty() ? "" : ",", first);
    if (last > first) text += fmt::format("-{}", last);
  }
  return text;
}

std::string name_of(const Bundle& bundle) {
  const std::string place = bundle.place + (bundle.layers.empty() ? "" : ranges(bundle.layers) + ".");
  if (bundle.parts.empty()) return place;
  if (bundle.parts.size() == 1) return place + bundle.parts.front();
  if (bundle.parts.size() > kFewParts) return place + "*";
  return fmt::format("{}{{{}}}", place, fmt::join(bundle.parts, ","));
}

}  // namespace

std::string list_tensors(const std::vector<NamedTensor>& tensors, std::size_t most) {
  std::vector<Bundle> bundles;
  for (const NamedTensor& tensor : tensors) add(bundles, tensor);
  std::string text;
  for (std::size_t i = 0; i < std::min(bundles.size(), most); ++i) {
    text += (i == 0 ? "" : "; ") + name_of(bundles[i]);
    if (!bundles[i].remark.empty()) text += " (" + bundles[i].remark + ")";
  }
  if (bundles.size() > most) text += fmt::format("; and {} more", bundles.size() - most);
  return text;
}

}  // namespace fabula::train
