#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/bpe.hpp"

namespace fabula::text {

/// Every way to cut each token into two tokens, with the rank of the whole: merging by these is merging by the rank of
/// the concatenation, as tiktoken and llama2.c do. `ranks` has one for each token, MergeTable::kNoRank for what neither
/// takes part in a merge nor comes of one. In the order of ranks; among one token's ways the order is that of the
/// halves' ids, as other converters write it.
std::vector<Merge> merges_of_ranks(const std::vector<std::string>& tokens, std::span<const uint32_t> ranks);

/// SentencePiece's scores as ranks, the best first; equal ones share a rank.
std::vector<uint32_t> ranks_of_scores(std::span<const float> scores);

/// Numbers the ranks of merges, which are in their order, from 0 on; equal ones stay equal.
void make_ranks_dense(std::vector<Merge>& merges);

}  // namespace fabula::text
