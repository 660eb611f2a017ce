// Whole models against PyTorch: bodies, heads, gradients and the optimizer, by the references in double and on this
// process's device.
#include <gtest/gtest.h>

#include <cmath>

#include "golden/fixture.hpp"
#include "golden/machine.hpp"
#include "models/loss_graph.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "train/apply_graph.hpp"
#include "train/schedule.hpp"

namespace fabula::test {
namespace {

using graph::Graph;
using graph::Value;

/// Allowed |actual - expected| over |expected|, as vectors. Expected values are stored as fp32, which alone is 3e-8.
struct Tolerance {
  double gradient, loss, log_probs, weights;
  double norm;  ///< of later steps: a gradient's norm amplifies what rounding did to the weights before
};
constexpr Tolerance kReference{.gradient = 1e-6, .loss = 1e-6, .log_probs = 1e-6, .weights = 1e-6, .norm = 2e-5};
constexpr Tolerance kDevice{.gradient = 1e-4, .loss = 1e-4, .log_probs = 1e-4, .weights = 1e-4, .norm = 1e-3};

double relative_error(const std::vector<double>& actual, const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += double{expected[i]} * expected[i];
  }
  return std::sqrt(difference / norm);  // NaN, which no tolerance allows, when either is
}

/// A fixture's model and the graphs that train, evaluate and sample it, on a machine.
class GoldenRun {
 public:
  GoldenRun(const GoldenFixture& fixture, vk::Device* device) : fixture_(fixture), model_(fixture.model()) {
    const std::int64_t batch = fixture.batch(), sequence = fixture.sequence();
    models::LossGraph gradients = gradient_graph(model_, batch, sequence, models::Gradients::kOverwrite);
    models::LossGraph accumulate = gradient_graph(model_, batch, sequence, models::Gradients::kAccumulate);
    models::LossGraph evaluation = evaluation_graph(model_, batch, sequence, true);
    train::ApplyGraph apply = train::apply_graph(model_.parameters(), fixture.train());
    loss_ = gradients.values.loss;
    position_losses_ = evaluation.values.per_position.loss;
    clip_ = apply.clip;
    std::vector<Graph> graphs;
    for (Graph* g : {&gradients.graph, &accumulate.graph, &evaluation.graph, &apply.graph})
      graphs.push_back(std::move(*g));
    graphs.push_back(decode_graph());
    if (device)
      machine_ = std::make_unique<DeviceMachine>(*device, std::move(graphs));
    else
      machine_ = std::make_unique<ReferenceMachine>(std::move(graphs));
    start();
  }

  const models::LanguageModel& model() const { return model_; }
  std::vector<double> parameter(const std::string& name) { return machine_->download(name); }
  std::vector<double> gradient(const std::string& name) {
    return machine_->download(std::string(graph::kGradientPrefix) + name);
  }

  /// Loss and gradients of the batch of a step (from 0).
  double loss(std::int64_t step) { return run_batch(kGradients, step, 1); }

  /// The same gradients as the sum of two halves.
  void accumulate(std::int64_t step) {
    run_batch(kGradients, step, 0.5f);
    run_batch(kAccumulate, step, 0.5f);
  }

  /// -log p of the labels of the first batch.
  std::vector<double> position_losses() {
    set_batch(kEvaluation, 0, heads::LossUse::kValue);
    machine_->run(kEvaluation);
    return machine_->read(kEvaluation, position_losses_);
  }

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
    for (const heads::NamedWords& input : models::token_words(model_, fixture_.words("ids", 0), heads::LossUse::kValue))
      machine_->set_input(kDecode, input.name, input.words);
    machine_->run(kDecode);
    const std::vector<double> all = machine_->read(kDecode, log_probs_);
    const std::int64_t v = model_.config().vocab_size;
    std::vector<double> last;
    for (std::int64_t b = 1; b <= fixture_.batch(); ++b) {
      const auto end = all.begin() + b * fixture_.sequence() * v;
      last.insert(last.end(), end - v, end);
    }
    return last;
  }

 private:
  enum Graphs : std::size_t { kGradients, kAccumulate, kEvaluation, kApply, kDecode };

  Graph decode_graph() {
    Graph graph(ops::op_table());
    const models::BodyShape shape{fixture_.batch(), fixture_.sequence(), false};
    const models::BodyInputs inputs =
        models::token_inputs(graph, model_, shape.batch * shape.sequence, heads::LossUse::kValue);
    log_probs_ = model_.head().log_probs(graph, model_.body().hidden(graph, shape, inputs));
    graph.keep(log_probs_);
    return graph;
  }

  /// Sets the words of a step's batch; the number of labels that count.
  std::int64_t set_batch(Graphs graph, std::int64_t step, heads::LossUse use) {
    const models::BatchWords words =
        batch_words(model_, fixture_.words("ids", step), fixture_.words("labels", step), use);
    for (const heads::NamedWords& input : words.inputs) machine_->set_input(graph, input.name, input.words);
    return words.counted;
  }

  double run_batch(Graphs graph, std::int64_t step, float part) {
    const auto counted = static_cast<float>(set_batch(graph, step, heads::LossUse::kGradient));
    machine_->set_input(graph, "loss_scale", std::vector<float>{part / counted, 0, 0, 0});
    machine_->run(graph);
    return machine_->read(kGradients, loss_).at(0);
  }

  void start() {
    machine_->upload(train::kHaltedState, std::vector<float>{0});
    machine_->upload_constants(model_.constants());
    for (const graph::ParameterSpec& spec : model_.parameters()) {
      machine_->upload(spec.name, fixture_.weight(spec.name));
      const std::vector<float> zeros(static_cast<std::size_t>(spec.shape.count()));
      for (const char* moment : {"m.", "v."}) {
        machine_->upload(std::string(graph::kOptimizerPrefix) + moment + spec.name, zeros);
      }
    }
  }

  const GoldenFixture& fixture_;
  models::LanguageModel model_;
  std::unique_ptr<Machine> machine_;
  Value loss_, position_losses_, clip_, log_probs_;
};

void check_gradients(GoldenRun& run, const GoldenFixture& fixture, double tolerance) {
  for (const graph::ParameterSpec& spec : run.model().parameters()) {
    EXPECT_LE(relative_error(run.gradient(spec.name), fixture.expected("grad." + spec.name)), tolerance) << spec.name;
  }
}

void check(const GoldenFixture& fixture, vk::Device* device, const Tolerance& tolerance) {
  GoldenRun run(fixture, device);
  ASSERT_EQ(fixture.weights().names().size(), run.model().parameters().size());

  EXPECT_LE(relative_error(run.last_log_probs(), fixture.expected("log_probs")), tolerance.log_probs);
  std::vector<double> position_losses = run.position_losses();
  for (double& loss : position_losses) loss = -loss;
  EXPECT_LE(relative_error(position_losses, fixture.expected("token_log_probs")), tolerance.log_probs);
  EXPECT_LE(relative_error({run.loss(0)}, fixture.expected("loss")), tolerance.loss);
  check_gradients(run, fixture, tolerance.gradient);
  run.accumulate(0);
  check_gradients(run, fixture, tolerance.gradient);

  const std::vector<float> rates = fixture.expected("rates"), losses = fixture.expected("losses"),
                           norms = fixture.expected("norms");
  ASSERT_EQ(losses.size(), static_cast<std::size_t>(fixture.steps()));
  for (std::int64_t step = 0; step < fixture.steps(); ++step) {
    const auto i = static_cast<std::size_t>(step);
    EXPECT_LE(relative_error({run.loss(step)}, {losses[i]}), tolerance.loss) << "step " << step + 1;
    EXPECT_LE(relative_error({run.apply(step, rates[i])}, {norms[i]}), tolerance.norm) << "step " << step + 1;
  }
  const std::vector<std::string> names = fixture.trained_weights();
  EXPECT_EQ(names.size(), 2u);
  for (const std::string& name : names)
    EXPECT_LE(relative_error(run.parameter(name), fixture.expected(kFinalPrefix + name)), tolerance.weights) << name;
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
                                         "gpt_neo_full_untied_bias", "gpt_neo_grouped", "gpt2_fused_tied_bias",
                                         "gpt_neo_low_rank", "gpt2_per_group_shortlist",
                                         "gpt_neo_per_group_tied_shortlist", "gpt2_shortlist_prototypes",
                                         "gpt_neo_adaptive", "gpt2_adaptive_bias", "llama_full_tied",
                                         "llama_full_untied", "llama_grouped", "gpt2_class_input",
                                         "llama_class_input_tied_shortlist", "gpt_neo_class_input_adaptive"),
                         [](const auto& fixture) { return std::string(fixture.param); });

}  // namespace

void register_dynamic_tests() {}

}  // namespace fabula::test
