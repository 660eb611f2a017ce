#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace fabula::graph {

/// Stretches of memory, joined where they meet.
class Stretches {
 public:
  struct Stretch {
    std::uint64_t begin, end;
  };
  void add(std::uint64_t begin, std::uint64_t end);
  /// The first one that ends behind `offset`; null: none does.
  const Stretch* first_behind(std::uint64_t offset) const;

 private:
  std::vector<Stretch> joined_;  ///< rising, none touches the next
};

/// What of a block of memory is taken during which nodes of a graph. A binary tree over the nodes holds, for each span
/// of time, what is taken throughout and what at some time within it: a question looks at some 4 log(nodes) unions of
/// stretches, not at everything that was placed before.
class TakenMemory {
 public:
  explicit TakenMemory(std::int32_t last_node);
  /// Takes bytes [begin, end) while nodes [first, last] run.
  void take(std::uint64_t begin, std::uint64_t end, std::int32_t first, std::int32_t last);
  /// The lowest offset from which `need` bytes are free while nodes [first, last] run.
  std::uint64_t lowest_gap(std::uint64_t need, std::int32_t first, std::int32_t last);
  std::uint64_t size() const { return size_; }    ///< the end of what was ever taken
  std::uint64_t looks() const { return looks_; }  ///< stretches looked for: what placing has cost

 private:
  struct Span {
    Stretches throughout, sometime;
  };
  struct Nodes {
    std::int32_t first, last;
    bool within(const Nodes& other) const { return other.first <= first && last <= other.last; }
    bool meets(const Nodes& other) const { return first <= other.last && other.first <= last; }
  };
  void take(std::uint32_t span, Nodes of, Nodes during, const Stretches::Stretch& stretch);
  void collect(std::uint32_t span, Nodes of, Nodes during, std::vector<const Stretches*>& into) const;

  std::unordered_map<std::uint32_t, Span> spans_;  ///< by number: 1 is all nodes, 2 i and 2 i + 1 are i's halves
  Nodes all_;
  std::uint64_t size_ = 0, looks_ = 0;
};

}  // namespace fabula::graph
