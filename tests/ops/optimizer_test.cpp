// clip_scale and adamw together, as a training step uses them.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "graph/runtime.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {
using namespace graph;

constexpr Shape kMatrix{19, 7}, kVector{1, 7};
constexpr double kRate = 0.01, kBeta1 = 0.9, kBeta2 = 0.95, kEps = 1e-8, kDecay = 0.1;

/// Two tensors, one gradient norm. Parameter "a" decays, "b" does not.
class OptimizerStep {
 public:
  OptimizerStep() : runtime_(device(), workload()) {
    for (const auto& [name, shape] : {std::pair("a", kMatrix), std::pair("b", kVector)}) {
      for (const char* prefix : {"m.", "v."})
        runtime_.upload(prefix + std::string(name), std::vector<float>(static_cast<std::size_t>(shape.count())));
    }
  }

  void upload(const std::string& name, const std::vector<float>& data) { runtime_.upload(name, data); }
  std::vector<float> download(const std::string& name) {
    std::vector<float> data(static_cast<std::size_t>((name.back() == 'a' ? kMatrix : kVector).count()));
    runtime_.download(name, data);
    return data;
  }
  /// Runs step t, counted from 1; {scale, norm, 0, non-finite}.
  std::vector<float> run(int t, double max_norm) {
    const std::vector<float> hyper{kRate,
                                   kBeta1,
                                   kBeta2,
                                   kEps,
                                   static_cast<float>(1 - std::pow(kBeta1, t)),
                                   static_cast<float>(1 - std::pow(kBeta2, t)),
                                   0,
                                   0};
    runtime_.set_input(0, "hyper", std::span<const float>(hyper));
    runtime_.set_input(0, "limits", std::span<const float>(std::vector<float>{static_cast<float>(max_norm), 0, 0, 0}));
    runtime_.fill_arena(0x7FC0DEAD);
    runtime_.submit({0});
    return runtime_.read(0, clip_);
  }

 private:
  Workload workload() {
    Graph graph(ops::op_table());
    const Value hyper = graph.input("hyper", {1, 8}, DType::kF32), limits = graph.input("limits", {1, 4}, DType::kF32);
    const Value a = graph.state("grad.a", kMatrix), b = graph.state("grad.b", kVector);
    clip_ = graph.op1("clip_scale", {limits, a, b});
    graph.keep(clip_);
    graph.op("adamw",
             {hyper, clip_, graph.parameter("a", kMatrix), a, graph.state("m.a", kMatrix), graph.state("v.a", kMatrix)},
             {{"decay", kDecay}});
    graph.op("adamw",
             {hyper, clip_, graph.parameter("b", kVector), b, graph.state("m.b", kVector), graph.state("v.b", kVector)},
             {{"decay", 0}});
    Workload result(device().profile());
    result.add("step", std::move(graph));
    return result;
  }

  Value clip_;
  Runtime runtime_;
};

std::vector<float> draws(const Shape& shape, std::uint64_t seed) {
  Philox random(seed);
  std::vector<float> result(static_cast<std::size_t>(shape.count()));
  for (float& v : result) v = static_cast<float>(random.normal());
  return result;
}

/// One tensor's AdamW in double.
struct HostAdamW {
  std::vector<double> p, m, v;
  double decay;
  HostAdamW(const std::vector<float>& start, double decay_rate)
      : p(start.begin(), start.end()), m(p.size()), v(p.size()), decay(decay_rate) {}
  void step(int t, const std::vector<float>& grad, double scale) {
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double g = scale * grad[i];
      m[i] = kBeta1 * m[i] + (1 - kBeta1) * g;
      v[i] = kBeta2 * v[i] + (1 - kBeta2) * g * g;
      p[i] -= kRate * decay * p[i];
      p[i] -= kRate * (m[i] / (1 - std::pow(kBeta1, t))) / (std::sqrt(v[i] / (1 - std::pow(kBeta2, t))) + kEps);
    }
  }
};

TEST(Optimizer, TenClippedStepsFollowAdamW) {
  OptimizerStep step;
  const std::vector<float> a = draws(kMatrix, 1), b = draws(kVector, 2);
  step.upload("a", a);
  step.upload("b", b);
  HostAdamW host_a(a, kDecay), host_b(b, 0);
  for (int t = 1; t <= 10; ++t) {
    const std::vector<float> grad_a = draws(kMatrix, 100 + t), grad_b = draws(kVector, 200 + t);
    step.upload("grad.a", grad_a);
    step.upload("grad.b", grad_b);
    double sum = 0;
    for (float g : grad_a) sum += static_cast<double>(g) * g;
    for (float g : grad_b) sum += static_cast<double>(g) * g;
    const double max_norm = t % 3 == 0 ? 0 : 5, norm = std::sqrt(sum),
                 scale = max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1;
    const std::vector<float> clip = step.run(t, max_norm);
    EXPECT_NEAR(clip[0], scale, 1e-6) << "step " << t;
    EXPECT_NEAR(clip[1], norm, 1e-5 * norm) << "step " << t;
    EXPECT_EQ(clip[3], 0.0f);
    host_a.step(t, grad_a, scale);
    host_b.step(t, grad_b, scale);
  }
  const std::vector<float> got_a = step.download("a"), got_b = step.download("b");
  for (std::size_t i = 0; i < got_a.size(); ++i) EXPECT_NEAR(got_a[i], host_a.p[i], 2e-6) << "a, word " << i;
  for (std::size_t i = 0; i < got_b.size(); ++i) EXPECT_NEAR(got_b[i], host_b.p[i], 2e-6) << "b, word " << i;
}

TEST(Optimizer, ANonFiniteGradientStopsTheWholeStep) {
  for (const float bad :
       {std::bit_cast<float>(0x7FC00000u), std::bit_cast<float>(0xFFC12345u), INFINITY, -INFINITY, 1e30f}) {
    OptimizerStep step;
    const std::vector<float> a = draws(kMatrix, 3), b = draws(kVector, 4);
    step.upload("a", a);
    step.upload("b", b);
    std::vector<float> grad_b = draws(kVector, 5);
    grad_b[6] = bad;  // 1e30 is finite, the norm is not
    step.upload("grad.a", draws(kMatrix, 6));
    step.upload("grad.b", grad_b);
    const std::vector<float> clip = step.run(1, 1.0);
    EXPECT_EQ(clip, (std::vector<float>{0, 0, 0, 1})) << bad;
    EXPECT_EQ(step.download("a"), a) << bad;
    EXPECT_EQ(step.download("b"), b) << bad;
    EXPECT_EQ(step.download("m.a"), std::vector<float>(a.size(), 0.0f)) << bad;
    EXPECT_EQ(step.download("v.b"), std::vector<float>(b.size(), 0.0f)) << bad;
  }
}

}  // namespace
}  // namespace fabula::test
