#include <cmath>

#include "graph/reference.hpp"
#include "reference/compact_map.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_all_logits(RefCall<T>& call) {
  const auto *u = call.in[0], *scale = call.in[1], *shift = call.in[2], *residual = call.in[3];
  const auto& places = call.in[4]->u;
  auto& z = *call.out[0];
  for (std::int64_t r = 0; r < z.shape.rows; ++r)
    for (std::int64_t i = 0; i < z.shape.cols; ++i) {
      const std::int64_t at = places[2 * i], slot = at % shift->shape.cols, column = places[2 * i + 1];
      const bool valid = at < shift->shape.count() && (!residual || column < residual->shape.cols);
      double sum = valid ? shift->f[at] : NAN;
      if (valid && u) sum += (scale ? static_cast<double>(scale->f[at]) : 1.0) * u->at(r, slot);
      if (valid && residual) sum += residual->at(r, column);
      z.at(r, i) = static_cast<T>(sum);
    }
}
template void grouped_all_logits<float>(RefCall<float>&);
template void grouped_all_logits<double>(RefCall<double>&);

namespace {
struct Given {
  bool u = true, scale = true;
  std::int64_t residual_columns = 0;  ///< 0: no residual
  std::int64_t empty = 0;             ///< slots that no group uses
};
OpCase logits_case(std::string name, std::int64_t rows, std::int64_t groups, std::int64_t slots, Given given) {
  const graph::Shape table{groups, slots};
  const CompactMap map(groups, slots, given.empty);
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {rows, slots}, .present = given.u},
                           {.shape = table, .present = given.scale},
                           {.shape = table},
                           {.shape = {rows, std::max<std::int64_t>(given.residual_columns, 1)},
                            .present = given.residual_columns > 0},
                           {.shape = {1, 2 * map.tokens()}, .dtype = DType::kU32}},
                .gradient = false};
  result.fill = [=](auto& in, Philox& random) {
    for (std::size_t i = 0; i < map.at.size(); ++i) {
      in[4].u[2 * i] = map.at[i];
      in[4].u[2 * i + 1] = given.residual_columns ? random.below(std::uint32_t(given.residual_columns)) : 0xFFFFFFFFu;
    }
  };
  return result;
}
}  // namespace

std::vector<OpCase> grouped_all_logits_cases() {
  OpCase bad = logits_case("non_finite_67x4x9", 67, 4, 9, {.residual_columns = 40});
  bad.fill = [fill = bad.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(0, 1) = NAN;
    in[3].at(66, 0) = INFINITY;
    in[4].u[2 * 3] = 36;      // no such place
    in[4].u[2 * 5 + 1] = 40;  // no such column
  };
  return {bad,
          logits_case("odd_3x5x7", 3, 5, 7, {}),
          logits_case("one", 1, 1, 1, {}),
          logits_case("low_rank_3x5x7", 3, 5, 7, {.residual_columns = 31}),
          logits_case("per_group_3x5x7", 3, 5, 7, {.u = false, .scale = false, .residual_columns = 60}),
          logits_case("no_scale_3x5x7", 3, 5, 7, {.scale = false}),
          logits_case("blocks_130x130x33", 130, 130, 33, {.residual_columns = 77}),
          logits_case("sparse_3x150x64", 3, 150, 64, {.residual_columns = 77, .empty = 56}),
          logits_case("paper_2x224x225", 2, 224, 225, {.residual_columns = 50257})};
}

}  // namespace fabula::reference
