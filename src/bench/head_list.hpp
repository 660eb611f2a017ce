#pragma once
#include <string>
#include <vector>

#include "formats/run_config.hpp"

namespace fabula::bench {

/// A head to compare: the base config with another head.
struct HeadVariant {
  std::string name;
  RunConfig config;
};

inline constexpr const char *kFullTied = "full tied", *kFusedTied = "fused tied";
inline constexpr const char* kGrouped = "grouped";  ///< the paper's: scale_shift over ranges of ids

/// The heads that comparisons go through, the body and the training the same. Of the base's head they take what fits
/// them: group_size, prototypes, class_input, bias_init, cutoffs and div_value. A head of the base's own that is none of them comes
/// first, as "configured". The shortlist has 512 tokens, at most a quarter of the vocabulary; the rank is at most D.
/// What a vocabulary is too small for is left out. The base needs its vocab_size.
std::vector<HeadVariant> head_variants(const RunConfig& base);

/// The paper's head with groups of S, as "grouped S=<S>". Throws kInvalidArgument unless 1 <= S <= V.
HeadVariant grouped_variant(const RunConfig& base, std::int64_t group_size);

/// Throws kInvalidArgument, listing the names, for a part that no name contains.
void check_filter(const std::vector<std::string>& names, const std::vector<std::string>& parts);

/// Those whose name contains one of the parts; no parts: all.
std::vector<HeadVariant> filter_variants(std::vector<HeadVariant> variants, const std::vector<std::string>& parts);

/// The same run for another vocabulary: special tokens beyond it are dropped.
RunConfig with_vocabulary(RunConfig config, std::int64_t vocabulary);

}  // namespace fabula::bench
