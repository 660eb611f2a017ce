#include "bench/head_list.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "models/language_model.hpp"

namespace fabula::bench {
namespace {

constexpr std::int64_t kShortlist = 512;
constexpr std::int64_t kRank = 32;

bool fits(const RunConfig& config) {
  try {
    validate_config(config, "head");
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    return false;
  }
}

std::string description_of(const RunConfig& config) {
  return models::LanguageModel(config.model).head().describe();
}

/// Collects the variants of one base.
class List {
 public:
  explicit List(const RunConfig& base) : base_(base) {}

  void one_level(std::string name, HeadKind kind, bool tied, bool bias = false) {
    HeadConfig head = fresh(kind);
    head.bias = bias;
    add(std::move(name), std::move(head), tied);
  }
  void adaptive() {
    HeadConfig head = fresh(HeadKind::kAdaptive);
    head.class_input = base_.model.head.class_input;
    if (base_.model.head.kind == HeadKind::kAdaptive) {
      head.cutoffs = base_.model.head.cutoffs;
      head.div_value = base_.model.head.div_value;
    }
    add("adaptive", std::move(head), false);
  }
  void grouped(std::string name, HeadModulation modulation, std::int64_t shortlist, bool tied = false,
               GroupMap map = GroupMap::kIdRanges) {
    HeadConfig head = fresh(HeadKind::kGrouped);
    head.bias = true;
    head.modulation = modulation;
    head.rank = rank();
    head.shortlist = shortlist;
    head.map = map;
    // What the config says of its head is said of those of its kind.
    if (const HeadConfig& own = base_.model.head; own.kind == HeadKind::kGrouped && own.modulation == modulation) {
      head.prototypes = own.prototypes;
      head.class_input = own.class_input;
      if (own.group_size <= base_.model.vocab_size - shortlist) head.group_size = own.group_size;
    }
    add(std::move(name), std::move(head), tied);
  }

  std::int64_t rank() const { return std::min(kRank, base_.model.hidden); }
  std::vector<HeadVariant> take() { return std::move(variants_); }

 private:
  HeadConfig fresh(HeadKind kind) const { return {.kind = kind, .bias_init = base_.model.head.bias_init}; }
  void add(std::string name, HeadConfig head, bool tied) {
    HeadVariant variant{std::move(name), base_};
    variant.config.model.head = std::move(head);
    variant.config.model.tie_word_embeddings = tied;
    if (fits(variant.config)) variants_.push_back(std::move(variant));
  }

  const RunConfig& base_;
  std::vector<HeadVariant> variants_;
};

}  // namespace

std::vector<HeadVariant> head_variants(const RunConfig& base) {
  ensure(base.model.vocab_size > 0, "heads are compared for a vocabulary that is known");
  List list(base);
  list.one_level(kFullTied, HeadKind::kFull, true);
  list.one_level("full untied", HeadKind::kFull, false);
  list.one_level(kFusedTied, HeadKind::kFused, true);
  list.one_level("fused tied bias", HeadKind::kFused, true, true);
  list.adaptive();
  list.grouped(kGrouped, HeadModulation::kScaleShift, 0);
  list.grouped(fmt::format("low_rank {}", list.rank()), HeadModulation::kLowRank, 0);
  list.grouped("per_group clustered", HeadModulation::kPerGroup, 0, false, GroupMap::kClustered);
  list.grouped("per_group clustered tied", HeadModulation::kPerGroup, 0, true, GroupMap::kClustered);
  if (const std::int64_t K = std::min(kShortlist, base.model.vocab_size / 4); K > 0) {
    const std::string shortlist = fmt::format("shortlist {} + ", K);
    list.grouped(shortlist + "scale_shift", HeadModulation::kScaleShift, K);
    list.grouped(shortlist + fmt::format("low_rank {}", list.rank()), HeadModulation::kLowRank, K);
    list.grouped(shortlist + "per_group clustered tied", HeadModulation::kPerGroup, K, true, GroupMap::kClustered);
  }
  std::vector<HeadVariant> variants = list.take();
  if (!fits(base)) return variants;
  const std::string configured = description_of(base);
  const bool listed = std::any_of(variants.begin(), variants.end(), [&](const HeadVariant& variant) {
    return description_of(variant.config) == configured;
  });
  if (!listed) variants.insert(variants.begin(), {"configured", base});
  return variants;
}

HeadVariant grouped_variant(const RunConfig& base, std::int64_t group_size) {
  if (group_size < 1 || group_size > base.model.vocab_size)
    fail(ErrorCode::kInvalidArgument, "a group size of {}: the vocabulary has {} tokens; choose 1 to {}", group_size,
         base.model.vocab_size, base.model.vocab_size);
  RunConfig sized = base;
  sized.model.head = {.kind = HeadKind::kGrouped, .bias_init = base.model.head.bias_init, .group_size = group_size};
  List list(sized);
  list.grouped(fmt::format("{} S={}", kGrouped, group_size), HeadModulation::kScaleShift, 0);
  std::vector<HeadVariant> variants = list.take();
  ensure(variants.size() == 1, "no grouped head with groups of {}", group_size);
  return std::move(variants.front());
}

void check_filter(const std::vector<std::string>& names, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    const auto has = [&](const std::string& name) { return name.find(part) != std::string::npos; };
    if (std::any_of(names.begin(), names.end(), has)) continue;
    fail(ErrorCode::kInvalidArgument, "no head has \"{}\" in its name; there are {}", part, fmt::join(names, ", "));
  }
}

std::vector<HeadVariant> filter_variants(std::vector<HeadVariant> variants, const std::vector<std::string>& parts) {
  if (parts.empty()) return variants;
  std::erase_if(variants, [&](const HeadVariant& variant) {
    return std::none_of(parts.begin(), parts.end(),
                        [&](const std::string& part) { return variant.name.find(part) != std::string::npos; });
  });
  return variants;
}

RunConfig with_vocabulary(RunConfig config, std::int64_t vocabulary) {
  config.model.vocab_size = vocabulary;
  if (config.model.bos_token_id >= vocabulary) config.model.bos_token_id = -1;
  std::erase_if(config.model.eos_token_ids, [&](std::int64_t id) { return id >= vocabulary; });
  return config;
}

}  // namespace fabula::bench
