#include <numeric>

#include "graph/reference.hpp"
#include "reference/compact_map.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_joint(RefCall<T>& call) {
  const auto &a = *call.in[0], &shift = *call.in[3];
  const auto *u = call.in[1], *scale = call.in[2], *residual = call.in[4];
  const auto &starts = call.in[5]->u, &entries = call.in[6]->u;
  auto& log_p = *call.out[0];
  const std::int64_t groups = call.in[5]->shape.cols - 1, shortlist = a.shape.cols - groups;
  for (std::int64_t r = 0; r < a.shape.rows; ++r) {
    const SoftmaxRow classes = softmax_row(a.shape.cols, [&](std::int64_t c) { return a.at(r, c); });
    for (std::int64_t k = 0; k < shortlist; ++k)
      log_p.at(r, entries[2 * k]) = static_cast<T>(classes.log_p(a.at(r, k)));
    for (std::int64_t g = 0; g < groups; ++g) {
      const auto logit = [&](std::int64_t s) {
        const std::int64_t column = entries[2 * (shortlist + starts[g] + s) + 1];
        double z = shift.at(g, s);
        if (u) z += (scale ? static_cast<double>(scale->at(g, s)) : 1.0) * u->at(r, s);
        if (residual) z += column < residual->shape.cols ? static_cast<double>(residual->at(r, column)) : NAN;
        return z;
      };
      const std::int64_t size = std::int64_t{starts[g + 1]} - starts[g];
      const SoftmaxRow group = softmax_row(size, logit);
      for (std::int64_t s = 0; s < size; ++s)
        log_p.at(r, entries[2 * (shortlist + starts[g] + s)]) =
            static_cast<T>(classes.log_p(a.at(r, shortlist + g)) + group.log_p(logit(s)));
    }
  }
}
template void grouped_joint<float>(RefCall<float>&);
template void grouped_joint<double>(RefCall<double>&);

namespace {
struct JointParts {
  bool u = true, scale = true;
  std::int64_t residual_columns = 0;  ///< 0: no residual
};
OpCase joint_case(std::string name, std::int64_t rows, std::int64_t shortlist, std::int64_t slots,
                  const CompactMap& map, JointParts parts) {
  const auto groups = static_cast<std::int64_t>(map.starts.size()) - 1, tokens = shortlist + map.tokens();
  const graph::Shape table{groups, slots};
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {rows, shortlist + groups}},
                           {.shape = {rows, slots}, .present = parts.u},
                           {.shape = table, .present = parts.scale},
                           {.shape = table},
                           {.shape = {rows, std::max<std::int64_t>(parts.residual_columns, 1)},
                            .present = parts.residual_columns > 0},
                           {.shape = {1, groups + 1}, .dtype = DType::kU32},
                           {.shape = {1, 2 * tokens}, .dtype = DType::kU32}},
                .gradient = false};
  result.fill = [=](auto& in, Philox& random) {
    in[5].u = map.starts;
    std::vector<std::uint32_t> ids(static_cast<std::size_t>(tokens));  // token ids in no order
    std::iota(ids.begin(), ids.end(), 0u);
    for (std::size_t v = ids.size(); v > 1; --v)
      std::swap(ids[v - 1], ids[random.below(static_cast<std::uint32_t>(v))]);
    for (std::size_t v = 0; v < ids.size(); ++v) {
      in[6].u[2 * v] = ids[v];
      in[6].u[2 * v + 1] =
          parts.residual_columns ? random.below(static_cast<std::uint32_t>(parts.residual_columns)) : 0xFFFFFFFFu;
    }
  };
  return result;
}
}  // namespace

std::vector<OpCase> grouped_joint_cases() {
  OpCase non_finite = joint_case("non_finite_9x3_4x9", 9, 3, 9, {4, 9}, {.residual_columns = 40});
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(0, 1) = NAN;
    in[0].at(1, 5) = INFINITY;
    in[1].at(4, 2) = NAN;
    in[4].at(8, 0) = INFINITY;
    in[6].u[2 * 7 + 1] = 40;  // no such column
  };
  CompactMap uneven(3, 1000);  // groups of 1, none and 2,996 members
  uneven.starts = {0, 1, 1, static_cast<std::uint32_t>(uneven.tokens())};
  return {
      non_finite,
      joint_case("odd_3x6_5x7", 3, 6, 7, {5, 7}, {}),
      joint_case("one", 1, 0, 1, {1, 1}, {}),
      joint_case("no_shortlist_5x6x11", 5, 0, 11, {6, 11}, {.scale = false}),
      joint_case("low_rank_3x2_5x7", 3, 2, 7, {5, 7}, {.residual_columns = 31}),
      joint_case("per_group_64x5_30x21", 64, 5, 21, {30, 21}, {.u = false, .scale = false, .residual_columns = 630}),
      joint_case("uneven_3x2", 3, 2, 2996, uneven, {}),
      joint_case("blocks_130x7_50x21", 130, 7, 21, {50, 21}, {}),
      joint_case("paper_1x0_224x225", 1, 0, 225, {224, 225}, {}),
      joint_case("paper_2x512_224x223", 2, 512, 223, {224, 223},
                 {.u = false, .scale = false, .residual_columns = 50257})};
}

}  // namespace fabula::reference
