#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"
#include "reference/gelu.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

namespace {

/// What is stored of one element's sum.
template <class T>
void store(RefCall<T>& call, std::int64_t m, std::int64_t n, double sum) {
  const std::int64_t activation = call.attrs.integer_or("activation", 0);
  if (call.out.size() > 1) call.out[1]->at(m, n) = static_cast<T>(sum);
  if (activation == 1) sum = gelu_of(sum);
  if (activation == 2) sum *= gelu_slope(double(call.in[4]->at(m, n)));
  call.out[0]->at(m, n) = static_cast<T>(sum);
}

}  // namespace

template <class T>
void matmul(RefCall<T>& call) {
  const auto &a = *call.in[0], &b = *call.in[1];
  const auto* bias = call.in.size() > 2 ? call.in[2] : nullptr;
  const auto* residual = call.in.size() > 3 ? call.in[3] : nullptr;
  const auto& y = *call.out[0];
  const bool transpose_a = call.attrs.integer_or("transpose_a", 0),
             transpose_b = call.attrs.integer_or("transpose_b", 0);
  const std::int64_t depth = transpose_a ? a.shape.rows : a.shape.cols;
  std::vector<double> sum(static_cast<std::size_t>(y.shape.cols));
  for (std::int64_t m = 0; m < y.shape.rows; ++m) {
    for (std::int64_t n = 0; n < y.shape.cols; ++n)
      sum[static_cast<std::size_t>(n)] =
          (bias ? double(bias->at(0, n)) : 0.0) + (residual ? double(residual->at(m, n)) : 0.0);
    if (transpose_b) {
      for (std::int64_t n = 0; n < y.shape.cols; ++n)
        for (std::int64_t k = 0; k < depth; ++k)
          sum[static_cast<std::size_t>(n)] += double(a.at(m, k)) * double(b.at(n, k));
    } else {
      for (std::int64_t k = 0; k < depth; ++k) {
        const double left = transpose_a ? a.at(k, m) : a.at(m, k);
        for (std::int64_t n = 0; n < y.shape.cols; ++n) sum[static_cast<std::size_t>(n)] += left * double(b.at(k, n));
      }
    }
    for (std::int64_t n = 0; n < y.shape.cols; ++n) store(call, m, n, sum[static_cast<std::size_t>(n)]);
  }
}
template void matmul<float>(RefCall<float>&);
template void matmul<double>(RefCall<double>&);

namespace {

struct Extras {
  bool bias = false, residual = false;
};

/// One layout: 0 NN, 1 NT, 2 TN.
OpCase layout_case(int layout, std::int64_t m, std::int64_t n, std::int64_t k, Extras extras = {}) {
  static const char* const kNames[] = {"nn", "nt", "tn"};
  OpCase c;
  c.name = std::string(kNames[layout]) + "_" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) +
           (extras.bias ? "_bias" : "") + (extras.residual ? "_residual" : "");
  if (layout == 1) c.attrs.set("transpose_b", 1);
  if (layout == 2) c.attrs.set("transpose_a", 1);
  c.inputs = {{.shape = layout == 2 ? Shape{k, m} : Shape{m, k}}, {.shape = layout == 1 ? Shape{n, k} : Shape{k, n}}};
  if (extras.bias || extras.residual) c.inputs.push_back({.shape = {1, n}, .present = extras.bias});
  if (extras.residual) c.inputs.push_back({.shape = {m, n}});
  c.relative = 2e-6 * std::max(1.0, std::sqrt(double(k) / 256));  // a random walk of roundings along K
  c.gradient = m * n * k <= 4096;
  c.large = m * n * k > 64'000'000;
  return c;
}

OpCase gelu_case(OpCase c, bool keep_pre) {
  c.name += keep_pre ? "_gelu_keep" : "_gelu";
  c.attrs.set("activation", 1);
  if (keep_pre) c.attrs.set("keep_pre", 1);
  c.gradient = c.gradient && keep_pre;
  return c;
}

OpCase gelu_backward_case(OpCase c, Shape y) {
  c.name += "_gelu_backward";
  c.attrs.set("activation", 2);
  c.inputs.resize(4, {.shape = {1, 1}, .present = false});
  c.inputs.push_back({.shape = y});
  c.gradient = false;
  return c;
}

}  // namespace

std::vector<OpCase> matmul_cases() {
  std::vector<OpCase> cases;
  for (int layout = 0; layout < 3; ++layout) {
    cases.push_back(layout_case(layout, 1, 1, 1));
    cases.push_back(layout_case(layout, 1, 3, 2, {.bias = true}));
    cases.push_back(layout_case(layout, 7, 9, 13, {.bias = true, .residual = true}));
    cases.push_back(layout_case(layout, 33, 17, 5, {.residual = true}));
    cases.push_back(
        layout_case(layout, 65, 67, 33, {.bias = true, .residual = true}));  // over one tile of 64, K over two steps
    cases.push_back(layout_case(layout, 130, 129, 70, {.bias = true}));      // over one tile of 128
    cases.push_back(layout_case(layout, 128, 64, 64));                       // whole tiles
    cases.push_back(layout_case(layout, 300, 225, 96, {.bias = true, .residual = true}));
    cases.push_back(
        layout_case(layout, 37, 50, 1030, {.bias = true, .residual = true}));  // K is split, its last piece is odd
    cases.push_back(gelu_case(layout_case(layout, 7, 9, 13, {.bias = true}), true));
    cases.push_back(gelu_case(layout_case(layout, 130, 129, 70, {.bias = true}), false));
    cases.push_back(gelu_backward_case(layout_case(layout, 130, 129, 70), {130, 129}));
    cases.push_back(gelu_case(layout_case(layout, 37, 50, 1030, {.bias = true}), true));  // K is split
    cases.push_back(gelu_backward_case(layout_case(layout, 37, 50, 1030), {37, 50}));
    cases.push_back(layout_case(layout, 96, 100, 2048));
    cases.push_back(layout_case(layout, 1030, 260, 520, {.bias = true}));  // many tiles, the last band of them short
  }
  return cases;
}

}  // namespace fabula::reference
