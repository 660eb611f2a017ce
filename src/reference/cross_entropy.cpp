#include "graph/reference.hpp"
#include "reference/counts.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void cross_entropy(RefCall<T>& call) {
  const auto& logits = *call.in[0];
  for (std::int64_t n = 0; n < logits.shape.rows; ++n) {
    const std::uint32_t label = call.in[1]->u[n];
    if (label == 0xFFFFFFFFu) continue;  // ignored: all three stay zero
    const std::int64_t columns = existing_columns(logits.shape.cols, call.in[2], n);
    const auto x = [&](std::int64_t c) { return logits.at(n, c); };
    SoftmaxRow row = softmax_row(columns, x);
    if (label >= columns) row = softmax_row(0, x);
    call.out[0]->f[n] = static_cast<T>(row.finite ? -row.log_p(x(label)) : row.log_sum_exp);
    call.out[1]->f[n] = static_cast<T>(row.log_sum_exp);
    call.out[2]->f[n] = row.finite && is_argmax(columns, label, x) ? 1 : 0;
  }
}
template void cross_entropy<float>(RefCall<float>&);
template void cross_entropy<double>(RefCall<double>&);

namespace {
/// Labels at random, every fifth ignored.
void fill_labels(std::vector<graph::RefTensor<double>>& in, Philox& random) {
  for (std::size_t n = 0; n < in[1].u.size(); ++n) {
    in[1].u[n] = n % 5 == 3 ? 0xFFFFFFFFu : random.below(static_cast<std::uint32_t>(in[0].shape.cols));
  }
}
OpCase logits_case(std::string name, graph::Shape logits) {
  return {.name = std::move(name),
          .inputs = {{.shape = logits}, {.shape = {1, logits.rows}, .dtype = DType::kU32}},
          .fill = fill_labels};
}
/// The same with counts: of any size from 1 on, all columns in some rows, more than there are in one.
OpCase counts_case(std::string name, graph::Shape logits) {
  OpCase result = logits_case(std::move(name), logits);
  result.inputs.push_back({.shape = {1, logits.rows}, .dtype = DType::kU32});
  result.fill = [](auto& in, Philox& random) {
    fill_labels(in, random);
    fill_counts(in[1].u, in[2].u, in[0].shape.cols, random);
    for (std::int64_t n = 0; n < in[0].shape.rows; ++n)  // what does not exist does not matter
      for (std::int64_t c = in[2].u[n]; c < in[0].shape.cols; ++c) in[0].at(n, c) = NAN;
  };
  return result;
}
}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  OpCase sharp = logits_case("sharp_9x225", {9, 225});  // arguments of exp down to -200
  sharp.fill = [](auto& in, Philox& random) {
    fill_labels(in, random);
    for (auto& v : in[0].f) v *= 30;
  };
  sharp.gradient = false;
  OpCase ties = logits_case("ties_11x9", {11, 9});  // every logit is one of two numbers: the first largest wins
  ties.fill = [](auto& in, Philox& random) {
    fill_labels(in, random);
    for (auto& v : in[0].f) v = v > 0 ? 1 : 0;
  };
  ties.gradient = false;
  OpCase non_finite = logits_case("non_finite_9x225", {9, 225});  // those rows must say so, and no other
  non_finite.fill = [](auto& in, Philox& random) {
    fill_labels(in, random);
    in[0].at(0, 17) = NAN;
    in[0].at(1, 224) = INFINITY;
    in[0].at(2, 0) = -INFINITY;
    in[0].at(3, 5) = NAN;  // ignored: no loss
    in[0].at(5, in[1].u[5]) = NAN;
    in[1].u[7] = 225;  // no such column
  };
  non_finite.gradient = false;
  OpCase vocabulary = logits_case("vocabulary_5x50257", {5, 50257});
  vocabulary.gradient = false;
  OpCase many = logits_case("rows_700x3", {700, 3});
  many.gradient = false;
  OpCase bad_counts = counts_case("bad_counts_9x33", {9, 33});
  bad_counts.fill = [fill = bad_counts.fill](auto& in, Philox& random) {
    fill(in, random);
    in[2].u[0] = 0;           // no column at all
    in[2].u[1] = in[1].u[1];  // the label's is the first that does not exist
    in[2].u[3] = 0;           // ignored: no loss
    in[0].at(4, 0) = INFINITY;
  };
  bad_counts.gradient = false;
  return {logits_case("odd_7x33", {7, 33}),
          logits_case("one", {1, 1}),
          logits_case("groups_13x224", {13, 224}),
          sharp,
          ties,
          non_finite,
          vocabulary,
          many,
          counts_case("counts_37x33", {37, 33}),
          counts_case("counts_9x4", {9, 4}),
          counts_case("counts_130x1100", {130, 1100}),
          bad_counts};
}

}  // namespace fabula::reference
