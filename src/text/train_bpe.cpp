#include "text/train_bpe.hpp"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/parallel.hpp"
#include "text/byte_alphabet.hpp"
#include "text/pre_tokenizer.hpp"

namespace fabula::text {
namespace {

using PieceCounts = std::unordered_map<std::string_view, uint64_t>;

/// How often each piece occurs, in the order of the pieces' bytes, so that nothing later depends on threads or hashing.
std::vector<std::pair<std::string_view, uint64_t>> count_pieces(std::span<const std::string_view> documents,
                                                                const TrainBpeOptions& options) {
  constexpr size_t kDocumentsPerItem = 64;
  const PreTokenizer pre_tokenizer({std::string(named_pattern(options.vocabulary))});
  const size_t items = (documents.size() + kDocumentsPerItem - 1) / kDocumentsPerItem;
  const size_t threads = std::min(thread_count_or_default(options.threads), std::max<size_t>(items, 1));
  std::vector<PieceCounts> counts(threads);
  parallel_for(threads, items, [&](size_t worker, size_t item) {
    const size_t end = std::min(documents.size(), (item + 1) * kDocumentsPerItem);
    for (size_t i = item * kDocumentsPerItem; i < end; ++i) {
      pre_tokenizer.split(documents[i], [&](std::string_view piece) { ++counts[worker][piece]; });
    }
  });
  for (size_t worker = 1; worker < threads; ++worker) {
    for (const auto& [piece, count] : counts[worker]) counts[0][piece] += count;
    counts[worker].clear();
  }
  std::vector<std::pair<std::string_view, uint64_t>> sorted(counts[0].begin(), counts[0].end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

struct Pair {
  uint32_t left, right;
  bool operator==(const Pair&) const = default;
  auto operator<=>(const Pair&) const = default;
};
struct PairHash {
  size_t operator()(const Pair& pair) const {
    return static_cast<size_t>((uint64_t{pair.left} << 32 | pair.right) * 0x9E3779B97F4A7C15ull >> 17);
  }
};

/// The merging itself: words shrink as pairs merge, and only the counts of pairs that touch a merge change.
class Trainer {
 public:
  Trainer(const std::vector<std::pair<std::string_view, uint64_t>>& pieces, uint64_t min_count)
      : min_count_(min_count) {
    uint32_t byte_ids[256];
    for (uint32_t id = 0; id < 256; ++id) {
      const uint8_t byte = gpt2_byte_order()[id];
      byte_ids[byte] = id;
      tokens_.push_back(std::string(1, static_cast<char>(byte)));
    }
    for (const auto& [piece, count] : pieces) {
      if (piece.size() < 2) continue;
      Word word{{}, count};
      for (const char byte : piece) word.ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
      for (size_t i = 0; i + 1 < word.ids.size(); ++i) add({word.ids[i], word.ids[i + 1]}, words_.size(), count);
      words_.push_back(std::move(word));
    }
    for (const auto& [pair, statistics] : pairs_) offer(pair, statistics.count);
  }

  /// Makes the next merge; false when no pair occurs often enough.
  bool merge_next() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      Statistics& statistics = pairs_.at(best.pair);
      if (statistics.count != best.count) {  // it has changed since it was queued: queue it where it belongs now
        offer(best.pair, statistics.count);
        continue;
      }
      if (statistics.count < min_count_) return false;
      merge(best.pair, std::move(statistics.words));
      return true;
    }
    return false;
  }

  std::vector<std::string>& tokens() { return tokens_; }
  std::vector<Merge>& merges() { return merges_; }

 private:
  struct Word {
    std::vector<uint32_t> ids;
    uint64_t count;
  };
  struct Statistics {
    uint64_t count = 0;
    std::vector<size_t> words;  // in rising order; a word may have lost the pair since
  };
  struct Candidate {
    uint64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {  // std::priority_queue gives the largest
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void add(Pair pair, size_t word, uint64_t count) {
    Statistics& statistics = pairs_[pair];
    statistics.count += count;
    if (statistics.words.empty() || statistics.words.back() != word) statistics.words.push_back(word);
  }

  void offer(Pair pair, uint64_t count) {
    if (count >= min_count_) queue_.push({count, pair});
  }

  void merge(Pair pair, std::vector<size_t> words) {
    const auto merged = static_cast<uint32_t>(tokens_.size());
    tokens_.push_back(tokens_[pair.left] + tokens_[pair.right]);
    merges_.push_back({pair.left, pair.right, merged, static_cast<uint32_t>(merges_.size())});
    for (const size_t index : words) merge_in_word(pair, merged, index);
    pairs_.erase(pair);
    // New pairs hold the new token, so each is in these two lists of its neighbours and is queued once with its final
    // count.
    std::sort(fresh_.begin(), fresh_.end());
    fresh_.erase(std::unique(fresh_.begin(), fresh_.end()), fresh_.end());
    for (const Pair& next : fresh_) offer(next, pairs_.at(next).count);
    fresh_.clear();
  }

  void merge_in_word(Pair pair, uint32_t merged, size_t index) {
    Word& word = words_[index];
    std::vector<uint32_t>& ids = word.ids;
    size_t kept = 0;
    for (size_t i = 0; i < ids.size();) {
      if (i + 1 >= ids.size() || ids[i] != pair.left || ids[i + 1] != pair.right) {
        ids[kept++] = ids[i++];
        continue;
      }
      if (kept > 0) {
        // What stands before may be a merge of this very word ("aaaa"): then that pair was counted with the new token.
        subtract({ids[kept - 1], pair.left}, word.count);
        add_fresh({ids[kept - 1], merged}, index, word.count);
      }
      if (i + 2 < ids.size()) {
        subtract({pair.right, ids[i + 2]}, word.count);
        add_fresh({merged, ids[i + 2]}, index, word.count);
      }
      ids[kept++] = merged;
      i += 2;
    }
    ids.resize(kept);
  }

  void subtract(Pair pair, uint64_t count) {
    const auto found = pairs_.find(pair);
    if (found != pairs_.end()) found->second.count -= count;
  }

  void add_fresh(Pair pair, size_t word, uint64_t count) {
    add(pair, word, count);
    fresh_.push_back(pair);
  }

  const uint64_t min_count_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Statistics, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> fresh_;
  std::vector<std::string> tokens_;
  std::vector<Merge> merges_;
};

}  // namespace

Tokenizer train_bpe(std::span<const std::string_view> documents, const TrainBpeOptions& options) {
  constexpr uint32_t kSmallest = 256 + 1;
  if (options.vocab_size < kSmallest || options.vocab_size > kMaxVocabulary) {
    fail(ErrorCode::kInvalidArgument, "a vocabulary of {} tokens cannot be trained; choose {} (256 bytes and {}) to {}",
         options.vocab_size, kSmallest, kEndOfText, kMaxVocabulary);
  }
  const auto pieces = count_pieces(documents, options);
  if (pieces.empty()) {
    fail(ErrorCode::kInvalidArgument, "there is no text to train a tokenizer on: {} documents, all empty",
         documents.size());
  }
  Trainer trainer(pieces, std::max<uint64_t>(options.min_count, 1));
  while (trainer.tokens().size() + 1 < options.vocab_size && trainer.merge_next()) {
  }
  TokenizerParts parts;
  parts.tokens = std::move(trainer.tokens());
  parts.merges = std::move(trainer.merges());
  parts.added = {{static_cast<uint32_t>(parts.tokens.size()), std::string(kEndOfText)}};
  parts.tokens.emplace_back(kEndOfText);
  parts.patterns = {std::string(named_pattern(options.vocabulary))};
  return Tokenizer(std::move(parts));
}

}  // namespace fabula::text
