#include "text/ranked_merges.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace fabula::text {

std::vector<Merge> merges_of_ranks(const std::vector<std::string>& tokens, std::span<const uint32_t> ranks) {
  std::unordered_map<std::string_view, uint32_t> ids;
  ids.reserve(tokens.size());
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty() && ranks[id] != MergeTable::kNoRank) ids.emplace(tokens[id], id);
  }
  std::vector<Merge> merges;
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    const std::string_view whole = tokens[id];
    if (whole.empty() || ids.find(whole) == ids.end() || ids[whole] != id) continue;
    for (size_t cut = 1; cut < whole.size(); ++cut) {
      const auto left = ids.find(whole.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(whole.substr(cut));
      if (right != ids.end()) merges.push_back({left->second, right->second, id, ranks[id]});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.rank, a.result, a.left, a.right) < std::tie(b.rank, b.result, b.left, b.right);
  });
  return merges;
}

std::vector<uint32_t> ranks_of_scores(std::span<const float> scores) {
  std::vector<float> order(scores.begin(), scores.end());  // the best first, each once
  std::sort(order.begin(), order.end(), std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<uint32_t> ranks;
  ranks.reserve(scores.size());
  for (const float score : scores)
    ranks.push_back(static_cast<uint32_t>(std::lower_bound(order.begin(), order.end(), score, std::greater<>()) -
                                          order.begin()));
  return ranks;
}

void make_ranks_dense(std::vector<Merge>& merges) {
  uint32_t next = 0, last = MergeTable::kNoRank;
  for (Merge& merge : merges) {
    if (last != MergeTable::kNoRank && merge.rank != last) ++next;
    last = std::exchange(merge.rank, next);
  }
}

}  // namespace fabula::text
