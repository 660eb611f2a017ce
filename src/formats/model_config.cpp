#include "formats/model_config.hpp"

#include <algorithm>
#include <cmath>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"

namespace fabula {

AttentionKind ModelConfig::attention(std::int64_t layer) const {
  return attention_layers.empty() ? AttentionKind::kGlobal : attention_layers.at(static_cast<std::size_t>(layer));
}

// In integers: a rounded square root may be one off.
std::int64_t default_group_size(std::int64_t tokens) {
  auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(tokens)));
  while (root * root < tokens) ++root;
  while (root > 1 && (root - 1) * (root - 1) >= tokens) --root;
  return root;
}

std::int64_t default_mass_groups(std::int64_t tokens) {
  return ceil_div(default_group_size(tokens), 2);
}

std::vector<SizeBand> ModelConfig::bands() const {
  return mass_bands(head.shortlist, vocab_size, groups());
}

std::int64_t ModelConfig::slots() const {
  ensure(vocab_size > head.shortlist, "the vocabulary's size is not known yet");
  if (head.group_sizes == GroupSizes::kMass) return most_slots(bands());
  return head.group_size > 0 ? head.group_size : default_group_size(vocab_size - head.shortlist);
}

std::int64_t ModelConfig::groups() const {
  if (head.groups > 0) return head.groups;
  if (head.group_sizes == GroupSizes::kMass) return default_mass_groups(vocab_size - head.shortlist);
  return ceil_div(vocab_size - head.shortlist, slots());
}

std::vector<std::int64_t> ModelConfig::cutoffs() const {
  if (!head.cutoffs.empty()) return head.cutoffs;
  ensure(vocab_size > 1, "the vocabulary's size is not known yet");
  const std::int64_t first = std::max<std::int64_t>(vocab_size / 25, 1), second = vocab_size / 5;
  return second > first ? std::vector{first, second} : std::vector{first};
}

std::vector<ModelConfig::Cluster> ModelConfig::clusters() const {
  const std::vector<std::int64_t> begins = cutoffs();
  std::vector<Cluster> result;
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const std::int64_t end = i + 1 < begins.size() ? begins[i + 1] : vocab_size;
    const double projection = std::floor(static_cast<double>(hidden) / std::pow(head.div_value, double(i) + 1));
    result.push_back({end - begins[i], std::max<std::int64_t>(static_cast<std::int64_t>(projection), 1)});
  }
  return result;
}

ModelConfig ModelConfig::with_sizes() const {
  ModelConfig copy = *this;
  if (files_of(family).states_sizes)
    copy.inner = feed_forward(), copy.kv_heads = key_value_heads(), copy.head_size = head_dim();
  if (vocab_size == 0) return copy;
  if (head.kind == HeadKind::kGrouped) copy.head.group_size = slots(), copy.head.groups = groups();
  if (head.kind == HeadKind::kAdaptive) copy.head.cutoffs = cutoffs();
  return copy;
}

}  // namespace fabula
