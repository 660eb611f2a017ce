// Whole models against PyTorch: bodies, heads, gradients and the optimizer, by the references in double and on this process's device.
#include <gtest/gtest.h>

#include <cmath>

#include "base/segments.hpp"
#include "golden/fixture.hpp"
#include "golden/machine.hpp"
#include "heads/head.hpp"
#include "models/model.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "train/apply_graph.hpp"
#include "train/schedule.hpp"

namespace fabula::test {
namespace {

using graph::DType;
using graph::Graph;
using graph::Value;

/// Allowed |actual - expected| over |expected|, as vectors. Expected values are stored as fp32, which alone is 3e-8.
struct Tolerance {
  double gradient, loss, log_probs, weights;
};
constexpr Tolerance kReference{.gradient = 1e-6, .loss = 1e-6, .log_probs = 1e-6, .weights = 1e-6};
constexpr Tolerance kDevice{.gradient = 1e-4, .loss = 1e-4, .log_probs = 1e-4, .weights = 1e-4};

double relative_error(const std::vector<double>& actual, const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += double{expected[i]} * expected[i];
  }
  return std::sqrt(difference / norm);  // NaN, which no tolerance allows, when either is
}

/// A fixture's model and its graphs on a machine.
class GoldenRun {
 public:
  enum Graphs : std::size_t { kGradients, kApply, kDecode };

  GoldenRun(const GoldenFixture& fixture, vk::Device* device) : fixture_(fixture), head_(heads::make_head(fixture.model())) {
    parameters_ = models::body_parameters(fixture.model());
    for (graph::ParameterSpec& spec : head_->parameters()) parameters_.push_back(std::move(spec));
    std::vector<Graph> graphs;
    graphs.push_back(gradient_graph());
    train::ApplyGraph apply = train::apply_graph(parameters_, fixture.train());
    clip_ = apply.clip;
    graphs.push_back(std::move(apply.graph));
    graphs.push_back(decode_graph());
    if (device) machine_ = std::make_unique<DeviceMachine>(*device, std::move(graphs));
    else machine_ = std::make_unique<ReferenceMachine>(std::move(graphs));
    start();
  }

  Machine& machine() { return *machine_; }
  const std::vector<graph::ParameterSpec>& parameters() const { return parameters_; }

  /// Loss and gradients of the batch of a step, from 0.
  double loss(std::int64_t step) {
    const std::vector<std::uint32_t> ids = fixture_.words("ids", step), labels = fixture_.words("labels", step);
    const SegmentPlan plan = plan_segments(ids, fixture_.model().vocab_size);
    machine_->set_input(kGradients, "ids", ids);
    machine_->set_input(kGradients, "order", plan.order);
    machine_->set_input(kGradients, "segments", plan.segments);
    for (const heads::InputWords& input : head_->batch_inputs(labels, heads::LossUse::kGradient)) {
      machine_->set_input(kGradients, input.name, input.words);
    }
    const auto counted = static_cast<float>(labels.size() - std::count(labels.begin(), labels.end(), kIgnoredLabel));
    machine_->set_input(kGradients, "scale", std::vector<float>{1 / counted, 0, 0, 0});
    machine_->run(kGradients);
    return machine_->read(kGradients, mean_).at(0);
  }
  std::vector<double> position_losses() { return machine_->read(kGradients, losses_); }

  /// The optimizer's step (from 0) with the gradients at hand; the gradient's norm.
  double apply(std::int64_t step, double rate) {
    const auto hyper = train::adamw_hyper(fixture_.train(), rate, step + 1);
    machine_->set_input(kApply, "hyper", std::vector<float>(hyper.begin(), hyper.end()));
    machine_->set_input(kApply, "limits", std::vector<float>{static_cast<float>(fixture_.train().clip_norm), 0, 0, 0});
    machine_->run(kApply);
    return machine_->read(kApply, clip_).at(1);
  }

  /// Log-probabilities of every token at the last position of each sequence of the first batch.
  std::vector<double> last_log_probs() {
    machine_->set_input(kDecode, "ids", fixture_.words("ids", 0));
    for (const heads::InputWords& input : head_->decode_inputs()) machine_->set_input(kDecode, input.name, input.words);
    machine_->run(kDecode);
    const std::vector<double> all = machine_->read(kDecode, log_probs_);
    const std::int64_t v = fixture_.model().vocab_size;
    std::vector<double> last;
    for (std::int64_t b = 1; b <= fixture_.batch(); ++b) {
      const auto end = all.begin() + b * fixture_.sequence() * v;
      last.insert(last.end(), end - v, end);
    }
    return last;
  }

 private:
  models::BodyShape shape() const { return {fixture_.batch(), fixture_.sequence(), true}; }
  std::int64_t positions() const { return fixture_.batch() * fixture_.sequence(); }

  Graph gradient_graph() {
    Graph graph(ops::op_table());
    const SegmentCapacity capacity{positions(), fixture_.model().vocab_size};
    const models::BodyInputs inputs{.ids = graph.input("ids", {1, positions()}, DType::kU32),
                                    .order = graph.input("order", {1, positions()}, DType::kU32),
                                    .segments = graph.input("segments", {1, capacity.words()}, DType::kU32),
                                    .seed = {}};
    const Value hidden = models::body(graph, fixture_.model(), shape(), inputs);
    losses_ = head_->loss(graph, hidden, heads::LossUse::kGradient).loss;
    mean_ = graph.op1("mean_loss", {losses_, graph.input("scale", {1, 4}, DType::kF32)});
    graph.keep(losses_);
    graph.keep(mean_);
    const Value one = graph.op1("fill", {}, {{"rows", 1}, {"cols", 1}, {"value", 1}});
    std::vector<Value> wanted;
    for (const graph::ParameterSpec& spec : parameters_) wanted.push_back(graph.parameter(spec.name, spec.shape));
    const std::vector<Value> gradients = differentiate(graph, std::vector<graph::Seed>{{mean_, one}}, wanted);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      graph.store_as_state(gradients[i], std::string(graph::kGradientPrefix) + parameters_[i].name);
    }
    return graph;
  }

  Graph decode_graph() {
    Graph graph(ops::op_table());
    const Value ids = graph.input("ids", {1, positions()}, DType::kU32);
    models::BodyShape evaluation = shape();
    evaluation.training = false;
    const Value hidden = models::body(graph, fixture_.model(), evaluation, {.ids = ids, .order = {}, .segments = {}, .seed = {}});
    log_probs_ = head_->log_probs(graph, hidden);
    graph.keep(log_probs_);
    return graph;
  }

  void start() {
    for (const graph::ParameterSpec& spec : parameters_) {
      machine_->upload(spec.name, fixture_.weight(spec.name));
      const std::vector<float> zeros(static_cast<std::size_t>(spec.shape.count()));
      for (const char* moment : {"m.", "v."}) {
        machine_->upload(std::string(graph::kOptimizerPrefix) + moment + spec.name, zeros);
      }
    }
  }

  const GoldenFixture& fixture_;
  std::unique_ptr<heads::Head> head_;
  std::vector<graph::ParameterSpec> parameters_;
  std::unique_ptr<Machine> machine_;
  Value losses_, mean_, clip_, log_probs_;
};

void check(const GoldenFixture& fixture, vk::Device* device, const Tolerance& tolerance) {
  GoldenRun run(fixture, device);
  ASSERT_EQ(fixture.weights().names().size(), run.parameters().size());

  EXPECT_LE(relative_error(run.last_log_probs(), fixture.expected("log_probs")), tolerance.log_probs);

  EXPECT_LE(relative_error({run.loss(0)}, fixture.expected("loss")), tolerance.loss);
  std::vector<double> position_losses = run.position_losses();
  for (double& loss : position_losses) loss = -loss;
  EXPECT_LE(relative_error(position_losses, fixture.expected("token_log_probs")), tolerance.log_probs);
  for (const graph::ParameterSpec& spec : run.parameters()) {
    const std::string name = std::string(graph::kGradientPrefix) + spec.name;
    EXPECT_LE(relative_error(run.machine().download(name), fixture.expected(name)), tolerance.gradient) << name;
  }

  const std::vector<float> rates = fixture.expected("rates"), losses = fixture.expected("losses"),
                           norms = fixture.expected("norms");
  ASSERT_EQ(losses.size(), static_cast<std::size_t>(fixture.steps()));
  for (std::int64_t step = 0; step < fixture.steps(); ++step) {
    const auto i = static_cast<std::size_t>(step);
    EXPECT_LE(relative_error({run.loss(step)}, {losses[i]}), tolerance.loss) << "step " << step + 1;
    EXPECT_LE(relative_error({run.apply(step, rates[i])}, {norms[i]}), tolerance.loss) << "step " << step + 1;
  }
  for (const char* name : {"transformer.wpe.weight", "transformer.ln_f.bias"}) {
    EXPECT_LE(relative_error(run.machine().download(name), fixture.expected(std::string("final.") + name)), tolerance.weights)
        << name;
  }
}

class Golden : public testing::TestWithParam<const char*> {
 protected:
  GoldenFixture fixture() const {
    return GoldenFixture(std::filesystem::path(FABULA_SOURCE_DIR) / "tests/golden/fixtures" / GetParam());
  }
};

TEST_P(Golden, ReferencesAgreeWithPyTorch) {
  const GoldenFixture golden = fixture();
  check(golden, nullptr, kReference);
}

TEST_P(Golden, DeviceAgreesWithPyTorch) {
  const GoldenFixture golden = fixture();
  check(golden, &device(), kDevice);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Golden,
                         testing::Values("gpt2_full_tied", "gpt2_full_untied_bias", "gpt2_grouped", "gpt_neo_full_tied",
                                         "gpt_neo_full_untied_bias", "gpt_neo_grouped"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace

void register_dynamic_tests() {}

}  // namespace fabula::test
