#include "graph/reference.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

namespace {
/// h, weight, labels, bias, scale; then mean, loss, correct, d_h, d_weight, d_bias.
template <class T>
void backward(RefCall<T>& call, std::int64_t n, const std::vector<double>& d_z, std::vector<double>& d_weight) {
  const auto &h = *call.in[0], &weight = *call.in[1];
  std::vector<double> d_h(static_cast<std::size_t>(h.shape.cols), 0);
  for (std::int64_t v = 0; v < weight.shape.rows; ++v) {
    const double d = d_z[v];
    for (std::int64_t k = 0; k < h.shape.cols; ++k) {
      d_h[k] += d * weight.at(v, k);
      d_weight[v * h.shape.cols + k] += d * h.at(n, k);
    }
  }
  for (std::int64_t k = 0; k < h.shape.cols; ++k) call.out[3]->at(n, k) = static_cast<T>(d_h[k]);
}
}  // namespace

template <class T>
void fused_cross_entropy(RefCall<T>& call) {
  const auto &h = *call.in[0], &weight = *call.in[1];
  const auto* bias = call.in.size() > 3 ? call.in[3] : nullptr;
  const auto* scale = call.in.size() > 4 ? call.in[4] : nullptr;
  const std::int64_t positions = h.shape.rows, tokens = weight.shape.rows;
  std::vector<T> z(static_cast<std::size_t>(tokens));
  std::vector<double> d_z(z.size()), d_bias(z.size(), 0), d_weight(scale ? weight.f.size() : 0, 0);
  double total = 0;
  for (std::int64_t n = 0; n < positions; ++n) {
    const std::uint32_t label = call.in[2]->u[n];
    if (label == 0xFFFFFFFFu) continue;  // ignored: everything stays zero
    for (std::int64_t v = 0; v < tokens; ++v) {
      double sum = bias ? double(bias->f[v]) : 0.0;
      for (std::int64_t k = 0; k < h.shape.cols; ++k) sum += double(h.at(n, k)) * double(weight.at(v, k));
      z[v] = static_cast<T>(sum);
    }
    const auto x = [&](std::int64_t v) { return z[v]; };
    const SoftmaxRow row = softmax_row(label < tokens ? tokens : 0, x);
    const double loss = row.finite ? -row.log_p(x(label)) : row.log_sum_exp;
    call.out[1]->f[n] = static_cast<T>(loss);
    call.out[2]->f[n] = row.finite && is_argmax(tokens, label, x) ? 1 : 0;
    total += loss;
    if (!scale) continue;
    for (std::int64_t v = 0; v < tokens; ++v) {
      const double d = (std::exp(double(z[v]) - row.log_sum_exp) - (v == label ? 1 : 0)) * scale->f[0];
      d_z[v] = static_cast<T>(d);
      d_bias[v] += d_z[v];
    }
    backward(call, n, d_z, d_weight);
  }
  call.out[0]->f[0] = static_cast<T>(scale ? double(scale->f[0]) * total : total);
  if (!scale) return;
  for (std::size_t i = 0; i < d_weight.size(); ++i) call.out[4]->f[i] = static_cast<T>(d_weight[i]);
  if (bias)
    for (std::size_t v = 0; v < d_bias.size(); ++v) call.out[5]->f[v] = static_cast<T>(d_bias[v]);
}
template void fused_cross_entropy<float>(RefCall<float>&);
template void fused_cross_entropy<double>(RefCall<double>&);

namespace {
struct Sizes {
  std::int64_t positions, tokens, hidden;
};
OpCase head_case(std::string name, Sizes sizes, bool bias, bool gradient) {
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {sizes.positions, sizes.hidden}},
                           {.shape = {sizes.tokens, sizes.hidden}},
                           {.shape = {1, sizes.positions}, .dtype = DType::kU32},
                           {.shape = {1, sizes.tokens}, .present = bias},
                           {.shape = {1, 4}, .present = gradient}}};
  result.fill = [=](auto& in, Philox& random) {
    for (auto& v : in[1].f) v /= std::sqrt(double(sizes.hidden));
    for (std::size_t n = 0; n < in[2].u.size(); ++n)
      in[2].u[n] = n % 5 == 3 ? 0xFFFFFFFFu : random.below(static_cast<std::uint32_t>(sizes.tokens));
    // In fp16 as training does it: without a loss scale most gradients of logits would be subnormal.
    const double loss_scale = in[0].shape.dtype == DType::kF16 ? 4096 : 1;
    if (gradient) in[4].f = {loss_scale / static_cast<double>(sizes.positions), 0, 0, 0};
  };
  result.gradient = gradient && sizes.positions * sizes.tokens * sizes.hidden <= 4096;
  // Sums over all tokens or positions: a random walk of roundings.
  result.relative = 2e-6 * std::max(1.0, std::sqrt(double(std::max(sizes.tokens, sizes.positions)) / 256));
  result.large = sizes.positions * sizes.tokens * sizes.hidden > 60'000'000;
  return result;
}
/// The labels of the first `count` positions count, and no others.
OpCase counted_case(std::string name, Sizes sizes, std::uint32_t count) {
  OpCase result = head_case(std::move(name), sizes, true, true);
  result.inputs.push_back({.shape = {1, 1}, .dtype = DType::kU32});
  result.fill = [fill = result.fill, count](auto& in, Philox& random) {
    fill(in, random);
    in[5].u = {count};
    for (std::size_t n = count; n < in[2].u.size(); ++n) in[2].u[n] = 0xFFFFFFFFu;
  };
  result.gradient = result.gradient && count > 0;
  return result;
}
}  // namespace

std::vector<OpCase> fused_cross_entropy_cases() {
  OpCase non_finite = head_case("non_finite_9x70x5", {9, 70, 5}, true, true);
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(1, 2) = NAN;
    in[0].at(3, 0) = NAN;  // ignored: no loss, no gradient of its own
    in[2].u[7] = 70;       // no such token
  };
  non_finite.gradient = false;
  return {head_case("odd_9x70x5", {9, 70, 5}, true, true),
          head_case("odd_tied_13x37x7", {13, 37, 7}, false, true),
          head_case("one", {1, 1, 1}, true, true),
          head_case("evaluation_33x129x12", {33, 129, 12}, true, false),
          non_finite,
          head_case("chunks_257x1000x20", {257, 1000, 20}, true, true),
          head_case("positions_3000x65x9", {3000, 65, 9}, false, true),
          counted_case("count_none", {70, 33, 5}, 0),
          counted_case("count_some_3000x9000x5", {3000, 9000, 5}, 100),
          counted_case("count_all_9x70x5", {9, 70, 5}, 9),
          head_case("vocabulary_70x50257x6", {70, 50257, 6}, true, true)};
}

}  // namespace fabula::reference
