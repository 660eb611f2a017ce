#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/grouped_batch.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

/// x, weight, rows, shift, plan, scale; then mean, loss, correct, d_x, d_weight, d_shift.
template <class T>
void fused_grouped_cross_entropy(RefCall<T>& call) {
  const auto &x = *call.in[0], &weight = *call.in[1], &shift = *call.in[3];
  const auto& rows = call.in[2]->u;
  const auto* scale = call.in.size() > 5 ? call.in[5] : nullptr;
  const std::int64_t slots = shift.shape.cols, depth = x.shape.cols;
  std::vector<double> d_weight(scale ? weight.f.size() : 0), d_shift(scale ? shift.f.size() : 0);
  double total = 0;
  const auto visit = [&](std::int64_t n, std::int64_t group, std::int64_t real_slots, std::int64_t label) {
    const auto row_of = [&](std::int64_t s) { return std::int64_t(rows[std::size_t(group * slots + s)]); };
    std::vector<T> z(static_cast<std::size_t>(real_slots));
    for (std::int64_t s = 0; s < real_slots; ++s) {
      double sum = shift.at(group, s);
      for (std::int64_t k = 0; k < depth; ++k) sum += double(x.at(n, k)) * double(weight.at(row_of(s), k));
      z[std::size_t(s)] = static_cast<T>(sum);
    }
    const auto entry = [&](std::int64_t s) { return z[std::size_t(s)]; };
    const SoftmaxRow row = softmax_row(real_slots, entry);
    const double loss = -row.log_p(entry(label));
    call.out[1]->f[std::size_t(n)] = static_cast<T>(loss);
    call.out[2]->f[std::size_t(n)] = row.finite && is_argmax(real_slots, label, entry) ? 1 : 0;
    total += loss;
    if (!scale) return;
    std::vector<double> d_x(static_cast<std::size_t>(depth));
    for (std::int64_t s = 0; s < real_slots; ++s) {
      const double d = (std::exp(double(entry(s)) - row.log_sum_exp) - (s == label ? 1 : 0)) * scale->f[0];
      d_shift[std::size_t(group * slots + s)] += d;
      for (std::int64_t k = 0; k < depth; ++k) {
        d_x[std::size_t(k)] += d * weight.at(row_of(s), k);
        d_weight[std::size_t(row_of(s) * depth + k)] += d * x.at(n, k);
      }
    }
    for (std::int64_t k = 0; k < depth; ++k) call.out[3]->at(n, k) = static_cast<T>(d_x[std::size_t(k)]);
  };
  for_each_grouped(call.in[4]->u, {x.shape.rows, shift.shape.rows, slots}, visit);
  call.out[0]->f[0] = static_cast<T>(scale ? double(scale->f[0]) * total : total);
  for (std::size_t i = 0; i < d_weight.size(); ++i) call.out[4]->f[i] = static_cast<T>(d_weight[i]);
  for (std::size_t i = 0; i < d_shift.size(); ++i) call.out[5]->f[i] = static_cast<T>(d_shift[i]);
}
template void fused_grouped_cross_entropy<float>(RefCall<float>&);
template void fused_grouped_cross_entropy<double>(RefCall<double>&);

namespace {
struct Sizes {
  std::int64_t positions, depth;
  std::vector<std::int64_t> groups;  ///< slots of each
  std::int64_t spare_rows = 0;       ///< of weight, that no slot names
};
enum class Labels { kDrawn, kIgnored, kLargest };

OpCase head_case(std::string name, const Sizes& sizes, bool gradient, Labels labels = Labels::kDrawn) {
  const std::int64_t N = sizes.positions, G = std::int64_t(sizes.groups.size());
  const std::int64_t S = *std::max_element(sizes.groups.begin(), sizes.groups.end());
  const std::int64_t tokens = std::accumulate(sizes.groups.begin(), sizes.groups.end(), sizes.spare_rows);
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {N, sizes.depth}},
                           {.shape = {tokens, sizes.depth}},
                           {.shape = {1, G * S}, .dtype = DType::kU32},
                           {.shape = {G, S}},
                           {.shape = {1, GroupPlanLayout(N, G, S).words}, .dtype = DType::kU32},
                           {.shape = {1, 4}, .present = gradient}}};
  result.fill = [=](auto& in, Philox& random) {
    for (auto& v : in[1].f) v /= std::sqrt(double(sizes.depth));
    if (gradient) in[5].f = {1 / static_cast<double>(N), 0, 0, 0};
    std::vector<std::uint32_t> order(static_cast<std::size_t>(tokens));
    std::iota(order.begin(), order.end(), 0u);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(std::uint32_t(i))]);
    in[2].u.assign(static_cast<std::size_t>(G * S), 0xFFFFFFF0u);  // nonsense in the phantom slots
    auto next = order.begin();
    for (std::int64_t g = 0; g < G; ++g)
      for (std::int64_t s = 0; s < sizes.groups[std::size_t(g)]; ++s) in[2].u[std::size_t(g * S + s)] = *next++;
    const auto largest = std::max_element(sizes.groups.begin(), sizes.groups.end()) - sizes.groups.begin();
    std::vector<GroupTarget> targets;
    for (std::int64_t n = 0; n < N; ++n) {
      const auto group = labels == Labels::kLargest ? std::uint32_t(largest) : random.below(std::uint32_t(G));
      const auto real_slots = std::uint32_t(sizes.groups[group]);
      const bool ignored = labels == Labels::kIgnored || n % 5 == 3;
      targets.push_back(ignored ? GroupTarget{kIgnoredLabel, 0, 0}
                                : GroupTarget{group, random.below(real_slots), real_slots});
    }
    in[4].u = make_group_plan(targets, std::uint32_t(G), std::uint32_t(S));
  };
  result.gradient = gradient && N * S * sizes.depth <= 8192;
  // Sums over the slots of a group or the positions of one: a random walk of roundings.
  result.relative = 2e-6 * std::max(1.0, std::sqrt(double(std::max({S, N, sizes.depth})) / 256));
  result.large = N * S * sizes.depth > 60'000'000;
  return result;
}
}  // namespace

std::vector<OpCase> fused_grouped_cross_entropy_cases() {
  OpCase non_finite = head_case("non_finite_40x5", {40, 5, {7, 3, 9}}, true);
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(1, 2) = NAN;
    in[0].at(3, 0) = NAN;  // ignored: no loss, no gradient of its own
  };
  non_finite.gradient = false;
  std::vector<std::int64_t> paper(224, 224);
  std::vector<std::int64_t> by_mass(30, 17);
  by_mass.insert(by_mass.end(), 20, 89);
  by_mass.insert(by_mass.end(), 4, 1801);
  return {head_case("one", {1, 1, {1}}, true),
          head_case("odd_37x13", {37, 13, {3, 1, 11, 8}, 3}, true),
          head_case("evaluation_70x12", {70, 12, {5, 30, 1}}, false),
          head_case("nothing_counts_9x5", {9, 5, {4, 2}}, true, Labels::kIgnored),
          head_case("tiles_200x64", {200, 64, {65, 64, 7, 130}, 1}, true),
          head_case("windows_1700x18", {1700, 18, {9, 2}}, true),
          head_case("blocks_700x40", {700, 40, std::vector<std::int64_t>(60, 9), 5}, true),
          head_case("rounds_300x33", {300, 33, {1500, 1, 4, 700}}, true, Labels::kLargest),
          head_case("by_mass_500x40", {500, 40, by_mass, 50}, true),
          non_finite,
          head_case("paper_300x100", {300, 100, paper, 77}, true),
          head_case("worst_2100x24", {2100, 24, {2302, 40}}, true, Labels::kLargest)};
}

}  // namespace fabula::reference
