#include "graph/taken_memory.hpp"

#include <algorithm>
#include <bit>

namespace fabula::graph {

void Stretches::add(std::uint64_t begin, std::uint64_t end) {
  const auto from = std::lower_bound(joined_.begin(), joined_.end(), begin,
                                     [](const Stretch& stretch, std::uint64_t at) { return stretch.end < at; });
  auto to = from;
  for (; to != joined_.end() && to->begin <= end; ++to) {
    begin = std::min(begin, to->begin);
    end = std::max(end, to->end);
  }
  if (from == to) {
    joined_.insert(from, {begin, end});
  } else {
    *from = {begin, end};
    joined_.erase(from + 1, to);
  }
}

const Stretches::Stretch* Stretches::first_behind(std::uint64_t offset) const {
  const auto found = std::upper_bound(joined_.begin(), joined_.end(), offset,
                                      [](std::uint64_t at, const Stretch& stretch) { return at < stretch.end; });
  return found == joined_.end() ? nullptr : &*found;
}

TakenMemory::TakenMemory(std::int32_t last_node)
    : all_{0, static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint32_t>(last_node) + 1)) - 1} {}

void TakenMemory::take(std::uint64_t begin, std::uint64_t end, std::int32_t first, std::int32_t last) {
  take(1, all_, {first, last}, {begin, end});
  size_ = std::max(size_, end);
}

void TakenMemory::take(std::uint32_t span, Nodes of, Nodes during, const Stretches::Stretch& stretch) {
  if (!of.meets(during)) return;
  Span& here = spans_[span];
  here.sometime.add(stretch.begin, stretch.end);
  ++looks_;
  if (of.within(during)) {
    here.throughout.add(stretch.begin, stretch.end);
    return;
  }
  const std::int32_t middle = of.first + (of.last - of.first) / 2;
  take(2 * span, {of.first, middle}, during, stretch);
  take(2 * span + 1, {middle + 1, of.last}, during, stretch);
}

void TakenMemory::collect(std::uint32_t span, Nodes of, Nodes during, std::vector<const Stretches*>& into) const {
  const auto here = spans_.find(span);
  if (!of.meets(during) || here == spans_.end()) return;  // a span that is not there has no halves either
  if (of.within(during)) {
    into.push_back(&here->second.sometime);
    return;
  }
  into.push_back(&here->second.throughout);
  const std::int32_t middle = of.first + (of.last - of.first) / 2;
  collect(2 * span, {of.first, middle}, during, into);
  collect(2 * span + 1, {middle + 1, of.last}, during, into);
}

std::uint64_t TakenMemory::lowest_gap(std::uint64_t need, std::int32_t first, std::int32_t last) {
  std::vector<const Stretches*> taken;
  collect(1, all_, {first, last}, taken);
  std::uint64_t offset = 0;
  std::size_t free_of = 0;  // so many of them, one after the other, leave the bytes from `offset` on free
  for (std::size_t i = 0; free_of < taken.size(); i = (i + 1) % taken.size(), ++free_of) {
    const Stretches::Stretch* stretch = taken[i]->first_behind(offset);
    for (++looks_; stretch && stretch->begin < offset + need; ++looks_) {
      offset = stretch->end;
      free_of = 0;
      stretch = taken[i]->first_behind(offset);
    }
  }
  return offset;
}

}  // namespace fabula::graph
