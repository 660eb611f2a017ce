#include "heads/token_groups.hpp"

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"

namespace fabula::heads {

TokenGroups::TokenGroups(TokenMap map, std::int64_t vocabulary, std::int64_t slots, std::string_view source)
    : map_(std::move(map)), slots_(slots) {
  check_token_map(map_, vocabulary, source);
  std::size_t largest = 0;
  for (const auto& group : map_.groups) largest = std::max(largest, group.size());
  if (slots_ == 0) slots_ = static_cast<std::int64_t>(largest);
  if (static_cast<std::int64_t>(largest) > slots_) {
    fail(ErrorCode::kFormat, "{}: a group has {} tokens, head.group_size is {}; it must be at least {}", source,
         largest, slots_, largest);
  }
  if (slots_ * groups() >= kNone) {
    fail(ErrorCode::kInvalidArgument, "head.groups {} x head.group_size {}: the product must be below {}", groups(),
         slots_, kNone);
  }
  class_.assign(static_cast<std::size_t>(vocabulary), 0);
  slot_ = class_;
  order_.assign(class_.size(), kNone);
  std::uint32_t next_class = 0, next = 0;
  for (const std::uint32_t token : map_.shortlist) class_[token] = next_class++;
  for (const auto& group : map_.groups) {
    for (std::uint32_t s = 0; s < group.size(); ++s) {
      class_[group[s]] = next_class;
      slot_[group[s]] = s;
      order_[group[s]] = next++;
    }
    ++next_class;
  }
}

GroupTarget TokenGroups::target(std::uint32_t label) const {
  if (label == kIgnoredLabel || order_.at(label) == kNone) return {.group = kIgnoredLabel, .slot = 0, .slots = 0};
  const std::uint32_t group = class_[label] - static_cast<std::uint32_t>(shortlist());
  return {.group = group, .slot = slot_[label], .slots = static_cast<std::uint32_t>(map_.groups[group].size())};
}

std::vector<std::uint32_t> TokenGroups::input_rows(std::int64_t first) const {
  std::vector<std::uint32_t> rows(class_.size(), kNone);
  for (std::size_t g = 0; g < map_.groups.size(); ++g)
    for (const std::uint32_t token : map_.groups[g]) rows[token] = static_cast<std::uint32_t>(first) + std::uint32_t(g);
  return rows;
}

std::uint32_t TokenGroups::token(std::int64_t g, std::int64_t s) const {
  const auto& group = map_.groups.at(static_cast<std::size_t>(g));
  return s < static_cast<std::int64_t>(group.size()) ? group[static_cast<std::size_t>(s)] : kNone;
}

template <class Number>
std::vector<std::uint32_t> TokenGroups::slot_numbers(Number number) const {
  std::vector<std::uint32_t> numbers(static_cast<std::size_t>(groups() * slots_), 0);
  for (std::size_t g = 0; g < map_.groups.size(); ++g) {
    std::uint32_t* row = numbers.data() + g * static_cast<std::size_t>(slots_);
    for (const std::uint32_t token : map_.groups[g]) *row++ = number(token);
  }
  return numbers;
}
std::vector<std::uint32_t> TokenGroups::slot_orders() const {
  return slot_numbers([&](std::uint32_t token) { return order_[token]; });
}
std::vector<std::uint32_t> TokenGroups::slot_tokens() const {
  return slot_numbers([](std::uint32_t token) { return token; });
}

std::vector<std::uint32_t> TokenGroups::starts() const {
  std::vector<std::uint32_t> starts{0};
  for (const auto& group : map_.groups) starts.push_back(starts.back() + static_cast<std::uint32_t>(group.size()));
  return starts;
}

std::vector<std::uint32_t> TokenGroups::entries() const {
  std::vector<std::uint32_t> entries;
  entries.reserve(2 * class_.size());
  for (std::size_t v = 0; v < class_.size(); ++v) entries.insert(entries.end(), {class_[v], order_[v]});
  return entries;
}

TokenMap consecutive_map(const ModelConfig& config) {
  std::vector<std::int64_t> begins;  // of the groups, and the end of the last
  if (config.head.kind == HeadKind::kAdaptive) {
    begins = config.cutoffs();
    begins.push_back(config.vocab_size);
  } else {
    std::vector<SizeBand> bands{{config.vocab_size - config.head.shortlist, config.groups(), config.slots()}};
    if (config.head.group_sizes == GroupSizes::kMass) bands = config.bands();
    begins = {config.head.shortlist};
    for (const SizeBand& band : bands) {
      const std::int64_t first = begins.back();
      begins.pop_back();
      for (const std::int64_t begin : even_group_begins(band.tokens, band.groups, band.slots))
        begins.push_back(first + begin);
    }
  }
  TokenMap map;
  map.shortlist.resize(static_cast<std::size_t>(begins.front()));
  std::iota(map.shortlist.begin(), map.shortlist.end(), 0u);
  for (std::size_t g = 0; g + 1 < begins.size(); ++g) {
    std::vector<std::uint32_t>& group = map.groups.emplace_back(static_cast<std::size_t>(begins[g + 1] - begins[g]));
    std::iota(group.begin(), group.end(), static_cast<std::uint32_t>(begins[g]));
  }
  return map;
}

bool needs_map(const HeadConfig& head) {
  if (head.kind == HeadKind::kGrouped) return head.map != GroupMap::kIdRanges || head.shortlist > 0;
  return head.kind == HeadKind::kAdaptive;
}

}  // namespace fabula::heads
