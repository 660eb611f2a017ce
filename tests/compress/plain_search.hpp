#pragma once
#include <algorithm>
#include <vector>

#include "compress/additive_target.hpp"

namespace fabula::compress {

/// A sweep of beam search in which each loss is E of a whole row, computed from its codes. Codes [outputs, groups, M].
inline std::vector<std::uint16_t> plain_search(const AdditiveTarget& target, const Codebooks& codebooks,
                                               const SearchOrder& order, std::size_t beam) {
  const auto groups = static_cast<std::size_t>(target.groups), columns = static_cast<std::size_t>(target.columns);
  const auto books = static_cast<std::size_t>(codebooks.format.codebooks),
             g = static_cast<std::size_t>(codebooks.format.group),
             entries = static_cast<std::size_t>(codebooks.format.entries());
  using Codes = std::vector<std::uint16_t>;
  const auto loss = [&](std::size_t row, const Codes& codes) {
    std::vector<double> off(columns);
    for (std::size_t c = 0; c < columns; ++c) {
      double sum = 0;
      for (std::size_t m = 0; m < books; ++m)
        sum += codebooks.numbers[(m * entries + codes[c / g * books + m]) * g + c % g];
      off[c] = target.weights[row * columns + c] - target.scales[row] * sum;
    }
    double sum = 0;
    for (std::size_t a = 0; a < columns; ++a)
      for (std::size_t b = 0; b < columns; ++b) sum += off[a] * target.moments[a * columns + b] * off[b];
    return sum;
  };
  struct Way {
    double loss = 0;
    Codes codes;
  };
  Codes result;
  for (std::size_t row = 0; row < static_cast<std::size_t>(target.outputs); ++row) {
    const auto begin = target.codes.begin() + static_cast<std::ptrdiff_t>(row * groups * books);
    std::vector<Way> ways = {{0, Codes(begin, begin + static_cast<std::ptrdiff_t>(groups * books))}};
    for (std::size_t place = 0; place < groups; ++place)
      for (std::size_t step = 0; step < books; ++step) {
        const auto m = static_cast<std::size_t>(order.books[place * books + step]);
        std::vector<Way> children;
        for (const Way& way : ways)
          for (std::size_t k = 0; k < entries; ++k) {
            Way child = way;
            child.codes[static_cast<std::size_t>(order.groups[place]) * books + m] = static_cast<std::uint16_t>(k);
            child.loss = loss(row, child.codes);
            children.push_back(child);
          }
        std::stable_sort(children.begin(), children.end(), [](const Way& a, const Way& b) { return a.loss < b.loss; });
        children.resize(std::min(beam, children.size()));
        ways = children;
      }
    result.insert(result.end(), ways[0].codes.begin(), ways[0].codes.end());
  }
  return result;
}

}  // namespace fabula::compress
