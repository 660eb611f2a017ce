#include <algorithm>
#include <array>

#include "base/labels.hpp"
#include "graph/reference.hpp"
#include "reference/compact_map.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_log_softmax(RefCall<T>& call) {
  const auto &a = *call.in[0], &z = *call.in[1];
  const auto &starts = call.in[2]->u, &entries = call.in[3]->u;
  auto& log_p = *call.out[0];
  const std::int64_t groups = call.in[2]->shape.cols - 1, shortlist = a.shape.cols - groups;
  for (std::int64_t r = 0; r < a.shape.rows; ++r) {
    std::vector<SoftmaxRow> level;
    for (std::int64_t g = 0; g < groups; ++g)
      level.push_back(
          softmax_row(std::int64_t{starts[g + 1]} - starts[g], [&](std::int64_t i) { return z.at(r, starts[g] + i); }));
    for (std::int64_t v = 0; v < log_p.shape.cols; ++v) {
      const std::int64_t c = entries[2 * v], i = entries[2 * v + 1];
      const bool grouped = i != kIgnoredLabel;
      if (c >= a.shape.cols || (grouped && (c < shortlist || i >= z.shape.cols)))
        log_p.at(r, v) = static_cast<T>(NAN);
      else
        log_p.at(r, v) = static_cast<T>(a.at(r, c) + (grouped ? level[c - shortlist].log_p(z.at(r, i)) : 0.0));
    }
  }
}
template void grouped_log_softmax<float>(RefCall<float>&);
template void grouped_log_softmax<double>(RefCall<double>&);

namespace {
OpCase decode_case(std::string name, std::int64_t rows, std::int64_t shortlist, const CompactMap& map) {
  const auto groups = static_cast<std::int64_t>(map.starts.size()) - 1, tokens = shortlist + map.tokens();
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {rows, shortlist + groups}},
                           {.shape = {rows, map.tokens()}},
                           {.shape = {1, groups + 1}, .dtype = DType::kU32},
                           {.shape = {1, 2 * tokens}, .dtype = DType::kU32}},
                .gradient = false};
  result.fill = [=](auto& in, Philox& random) {
    in[2].u = map.starts;
    std::vector<std::array<std::uint32_t, 2>> entries;
    for (std::int64_t k = 0; k < shortlist; ++k) entries.push_back({std::uint32_t(k), kIgnoredLabel});
    for (std::int64_t g = 0; g < groups; ++g)
      for (std::uint32_t i = map.starts[g]; i < map.starts[g + 1]; ++i)
        entries.push_back({std::uint32_t(shortlist + g), i});
    for (std::size_t v = entries.size(); v > 1; --v)  // token ids in no order
      std::swap(entries[v - 1], entries[random.below(static_cast<std::uint32_t>(v))]);
    for (std::size_t v = 0; v < entries.size(); ++v) std::copy_n(entries[v].begin(), 2, in[3].u.begin() + 2 * v);
  };
  return result;
}
}  // namespace

std::vector<OpCase> grouped_log_softmax_cases() {
  OpCase non_finite = decode_case("non_finite_67x3_4x9", 67, 3, {4, 9});
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(0, 1) = NAN;
    in[0].at(1, 5) = NAN;
    in[1].at(7, 2) = INFINITY;
    in[1].at(66, 32) = NAN;
    in[3].u[2 * 4] = 7;                    // no such class
    in[3].u[2 * 9] = 3, in[3].u[19] = 33;  // no such member
  };
  CompactMap uneven(3, 1000);  // groups of 1, none and 2,990 members
  uneven.starts = {0, 1, 1, static_cast<std::uint32_t>(uneven.tokens())};
  return {non_finite,
          decode_case("odd_3x6_5x7", 3, 6, {5, 7}),
          decode_case("no_shortlist_5x6x11", 5, 0, {6, 11}),
          decode_case("one", 1, 0, {1, 1}),
          decode_case("uneven_3x2", 3, 2, uneven),
          decode_case("blocks_130x7_50x21", 130, 7, {50, 21}),
          decode_case("paper_2x512_224x223", 2, 512, {224, 223})};
}

}  // namespace fabula::reference
