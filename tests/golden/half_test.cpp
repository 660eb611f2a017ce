// A model whose activations are stored in 16 bits: one training step on this process's device against the same model by
// the references in double.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.hpp"
#include "golden/machine.hpp"
#include "models/loss_graph.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "train/apply_graph.hpp"
#include "train/schedule.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Value;

constexpr std::int64_t kBatch = 3, kSequence = 11;
/// Gradients of a mean over positions are small for fp16, whose least normal number is 6e-5: the loss is scaled up.
constexpr float kLossScale = 512;

models::LanguageModel small_model(ModelFamily family) {
  ModelConfig config;
  config.family = family;
  config.vocab_size = 143;
  config.n_positions = 24;
  config.hidden = 24;  // a multiple of 8: rows have one stride in every type, and so dropout draws the same numbers
  config.layers = 2;
  config.heads = 2;
  if (family == ModelFamily::kLlama) config.kv_heads = 1;
  if (family == ModelFamily::kGptNeo) {
    config.tie_word_embeddings = false;
    config.head = {.kind = HeadKind::kGrouped, .bias = true, .shortlist = 9, .class_input = true};
  }
  config.embd_dropout = 0.1;
  config.attn_dropout = 0;
  config.resid_dropout = 0.1;
  return models::LanguageModel(config);
}

/// A training step of a model whose body has one type.
class Step {
 public:
  Step(const models::LanguageModel& model, DType dtype, vk::Device* device) : model_(model) {
    std::vector<Graph> graphs;
    graphs.push_back(gradients(dtype));
    graphs.push_back(train::apply_graph(model.parameters(), {}).graph);
    if (device)
      machine_ = std::make_unique<DeviceMachine>(*device, std::move(graphs));
    else
      machine_ = std::make_unique<ReferenceMachine>(std::move(graphs));
    Philox random(7);
    for (const graph::ParameterSpec& spec : model.parameters()) {
      std::vector<float> data(static_cast<std::size_t>(spec.shape.count()));
      const double base = spec.init == graph::Init::kOnes ? 1 : 0;
      for (float& v : data) v = static_cast<float>(base + 0.1 * random.normal());
      machine_->upload(spec.name, data);
      for (const char* moment : {"m.", "v."})
        machine_->upload(std::string(graph::kOptimizerPrefix) + moment + spec.name, std::vector<float>(data.size()));
    }
    machine_->upload(train::kHaltedState, std::vector<float>{0});
    machine_->upload_constants(model.constants());
    set_batch();
  }

  double loss() {
    machine_->run(0);
    return machine_->read(0, loss_).at(0) / kLossScale;
  }
  std::vector<double> gradient(const std::string& name) {
    return machine_->download(std::string(graph::kGradientPrefix) + name);
  }
  void apply() {
    TrainConfig config;
    const auto hyper = train::adamw_hyper(config, 1e-2, 1);
    machine_->set_input(1, "hyper", std::vector<float>(hyper.begin(), hyper.end()));
    machine_->set_input(1, "limits", std::vector<float>{1, 0, 0, 0});
    machine_->run(1);
  }
  int stored_in_16_bits() const { return halves_; }

 private:
  Graph gradients(DType dtype) {
    Graph graph(ops::op_table());
    const std::int64_t N = kBatch * kSequence;
    const models::BodyInputs inputs = models::token_inputs(graph, model_, N, heads::LossUse::kGradient);
    const Value hidden =
        model_.body().hidden(graph, {.batch = kBatch, .sequence = kSequence, .training = true, .dtype = dtype}, inputs);
    const Value scale = graph.input("loss_scale", {1, 4}, DType::kF32);
    loss_ = model_.head().loss(graph, hidden, heads::LossUse::kGradient, scale).mean;
    graph.keep(loss_);
    graph.store_as_state(loss_, models::kLossState);
    std::vector<Value> parameters;
    for (const graph::ParameterSpec& spec : model_.parameters())
      parameters.push_back(graph.parameter(spec.name, spec.shape));
    const Value one = graph.op1("fill", {}, {{"rows", 1}, {"cols", 1}, {"value", 1}});
    const std::vector<Value> d = differentiate(graph, std::vector<graph::Seed>{{loss_, one}}, parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      EXPECT_EQ(graph.shape(d[i]).dtype, DType::kF32) << model_.parameters()[i].name;
      graph.store_as_state(d[i], std::string(graph::kGradientPrefix) + model_.parameters()[i].name);
    }
    for (const graph::ValueInfo& info : graph.values()) halves_ += is_half(info.shape.dtype);
    return graph;
  }

  void set_batch() {
    Philox random(5);
    std::vector<std::uint32_t> ids(kBatch * kSequence), labels(ids.size());
    for (std::size_t n = 0; n < ids.size(); ++n) ids[n] = random.below(40), labels[n] = random.below(143);
    for (const heads::NamedWords& input : batch_words(model_, ids, labels, heads::LossUse::kGradient).inputs)
      machine_->set_input(0, input.name, input.words);
    machine_->set_input(0, "seed", std::vector<std::uint32_t>{1, 2, 3, 4});
    machine_->set_input(0, "loss_scale", std::vector<float>{kLossScale / float(ids.size()), 0, 0, 0});
  }

  const models::LanguageModel& model_;
  std::unique_ptr<Machine> machine_;
  Value loss_;
  int halves_ = 0;
};

double relative_difference(const std::vector<double>& actual, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (actual.at(i) - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

class HalfStep : public testing::TestWithParam<std::tuple<ModelFamily, DType>> {};

TEST_P(HalfStep, IsThatOfFp32ButForRounding) {
  const auto [family, dtype] = GetParam();
  const models::LanguageModel model = small_model(family);
  Step expected(model, DType::kF32, nullptr), actual(model, dtype, &device());
  EXPECT_EQ(expected.stored_in_16_bits(), 0);
  // Every value stored in 16 bits is off by one unit at most; the errors are independent, so that they add up as the
  // root of their number does. What a path through the model makes of one is of the order of one.
  const double allowed = std::sqrt(actual.stored_in_16_bits()) * storage_error(dtype);
  const double first = expected.loss();
  EXPECT_NEAR(actual.loss(), first, storage_error(dtype) * first);  // a mean over positions
  double worst = 0;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    const double difference = relative_difference(actual.gradient(spec.name), expected.gradient(spec.name));
    EXPECT_LE(difference, allowed) << spec.name;
    worst = std::max(worst, difference);
  }
  EXPECT_GT(worst, storage_error(dtype) / 16) << "nothing seems to be stored in 16 bits";
  expected.apply();
  actual.apply();
  const double second = expected.loss();
  EXPECT_LT(second, first);
  EXPECT_NEAR(actual.loss(), second, allowed * second);
}

std::string type_name(const testing::TestParamInfo<HalfStep::ParamType>& entry) {
  const auto [family, dtype] = entry.param;
  return fmt::format("{}_{}", family_name(family), to_string(dtype));
}
INSTANTIATE_TEST_SUITE_P(Types, HalfStep,
                         testing::Combine(testing::ValuesIn(kModelFamilies),
                                          testing::Values(DType::kF16, DType::kBF16)),
                         type_name);

}  // namespace
}  // namespace fabula::test
