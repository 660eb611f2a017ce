// Llama bodies as a whole: gradients by differences, angles, what shared keys and values mean.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/models.hpp"
#include "models/block.hpp"

namespace fabula::models {
namespace {

constexpr std::int64_t kBatch = 2, kSequence = 7;

ModelConfig small_llama(HeadKind head, std::int64_t kv_heads, std::int64_t head_size = 0) {
  ModelConfig config = test::small_config(head);
  config.family = ModelFamily::kLlama;
  config.heads = 4;
  config.hidden = 24;
  config.inner = 30;
  config.kv_heads = kv_heads;
  config.head_size = head_size;
  config.embd_dropout = config.resid_dropout = 0;
  return config;
}

/// A gradient graph by the references in double.
class Evaluation {
 public:
  explicit Evaluation(const LanguageModel& model)
      : loss_(gradient_graph(model, kBatch, kSequence, Gradients::kOverwrite)),
        values_(test::random_values(loss_.graph, model, kBatch * kSequence)) {
    at("loss_scale") = {1.0 / double(kBatch * kSequence), 0, 0, 0};
  }
  std::vector<double>& at(std::string_view name) {
    return values_[static_cast<std::size_t>(loss_.graph.find(name).id)].f;
  }
  /// The same batch as that of another model.
  void take_inputs(const Evaluation& other) {
    for (std::size_t id = 0; id < values_.size(); ++id) {
      const graph::ValueInfo& info = loss_.graph.values()[id];
      if (info.role != graph::Role::kInput) continue;
      const graph::Value from = other.loss_.graph.find(info.name);
      values_[id] = other.values_.at(static_cast<std::size_t>(from.id));
    }
  }
  double run() {
    graph::interpret(loss_.graph, values_);
    return at("step.loss").front();
  }

 private:
  LossGraph loss_;
  std::vector<graph::RefTensor<double>> values_;
};

TEST(Llama, GradientsAreThoseOfDifferences) {
  for (const ModelConfig& config :
       {small_llama(HeadKind::kFull, 0), small_llama(HeadKind::kGrouped, 2), small_llama(HeadKind::kFull, 1, 10)}) {
    const LanguageModel model(config);
    Evaluation evaluation(model);
    for (const graph::ParameterSpec& spec : model.parameters()) {
      evaluation.run();
      const std::vector<double> gradient = evaluation.at("grad." + spec.name);
      const auto largest =
          static_cast<std::size_t>(std::max_element(gradient.begin(), gradient.end(),
                                                    [](double a, double b) { return std::abs(a) < std::abs(b); }) -
                                   gradient.begin());
      double& value = evaluation.at(spec.name)[largest];
      const double step = 1e-4, here = value;
      value = here + step;
      const double above = evaluation.run();
      value = here - step;
      const double below = evaluation.run();
      value = here;
      EXPECT_NEAR((above - below) / (2 * step), gradient[largest], 1e-5 * std::abs(gradient[largest])) << spec.name;
      EXPECT_NE(gradient[largest], 0) << spec.name;
    }
  }
}

// Two heads of keys and values are four of which each pair is alike.
TEST(Llama, SharedKeysAndValuesAreRepeatedOnes) {
  const LanguageModel shared(small_llama(HeadKind::kFull, 2)), repeated(small_llama(HeadKind::kFull, 4));
  Evaluation two(shared), four(repeated);
  four.take_inputs(two);
  const auto size = static_cast<std::ptrdiff_t>(shared.config().head_dim() * shared.config().hidden);
  for (const graph::ParameterSpec& spec : shared.parameters()) {
    const std::vector<double>& from = two.at(spec.name);
    std::vector<double>& to = four.at(spec.name);
    if (to.size() == from.size()) {
      to = from;
      continue;
    }
    ASSERT_EQ(to.size(), 2 * from.size()) << spec.name;
    for (std::ptrdiff_t head = 0; head < 4; ++head)
      std::copy_n(from.begin() + head / 2 * size, size, to.begin() + head * size);
  }
  EXPECT_NEAR(two.run(), four.run(), 1e-12);
}

// Turning is by the distance of two positions alone: the first position of a sequence is at angle 0.
TEST(Llama, AnglesStartAtZeroAndSlowDownByThePair) {
  ModelConfig config = small_llama(HeadKind::kFull, 0);
  config.head_size = 8;
  config.rope_theta = 100;
  const std::vector<float> angles = rotary_angles(config);
  ASSERT_EQ(angles.size(), static_cast<std::size_t>(config.n_positions * 8));
  const auto at = [&](std::int64_t position, std::int64_t i) {
    return angles[static_cast<std::size_t>(position * 8 + i)];
  };
  for (std::int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(at(0, i), 1);
    EXPECT_EQ(at(0, 4 + i), 0);
    const double angle = 5 * std::pow(100.0, -double(i) / 4);
    EXPECT_NEAR(at(5, i), std::cos(angle), 1e-7);
    EXPECT_NEAR(at(5, 4 + i), std::sin(angle), 1e-7);
  }
}

TEST(Llama, IsDescribed) {
  EXPECT_NE(describe(LanguageModel(small_llama(HeadKind::kFull, 2)))
                .find("llama 2 layers, hidden 24, 4 attention heads "
                      "on 2 of keys and values, 143 tokens"),
            std::string::npos);
}

}  // namespace
}  // namespace fabula::models
