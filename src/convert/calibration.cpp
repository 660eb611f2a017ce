#include "convert/calibration.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "models/token_inputs.hpp"
#include "models/weights.hpp"
#include "ops/op_table.hpp"

namespace fabula::convert {
using graph::Graph;
using graph::Value;

namespace {
constexpr std::int64_t kChunkPositions = 4096;  // sums over more in fp32 would lose digits; 8,192 at most
constexpr const char* kStates = "states";
}  // namespace

CalibrationText::CalibrationText(const text::TokenFile& tokens, std::int64_t sequence, std::int64_t positions) {
  sequence_ = sequence;
  const auto all = static_cast<std::int64_t>(tokens.size());
  if (all < sequence_)
    fail(ErrorCode::kInvalidArgument,
         "{} has {} tokens, and one window of {} is the least that tells what linear layers read; name a longer text",
         tokens.path().string(), all, sequence_);
  const std::int64_t there = all / sequence_, wanted = std::max<std::int64_t>(1, positions / sequence_);
  const std::int64_t taken = std::min(there, wanted);
  batch_ = std::clamp<std::int64_t>(kChunkPositions / sequence_, 1, taken);
  for (std::int64_t chunk = 0; chunk < taken / batch_; ++chunk) {
    std::vector<std::uint32_t>& ids = chunks_.emplace_back(static_cast<std::size_t>(batch_ * sequence_));
    for (std::int64_t b = 0; b < batch_; ++b) {
      const std::int64_t window = (chunk * batch_ + b) * there / taken;
      tokens.read(static_cast<std::uint64_t>(window * sequence_),
                  std::span(ids).subspan(static_cast<std::size_t>(b * sequence_), static_cast<std::size_t>(sequence_)));
    }
  }
}

Calibration::Sums Calibration::sums_of(Graph& graph, Value x, std::vector<std::string> readers) {
  Sums sums{.readers = std::move(readers), .inputs = graph.shape(x).cols};
  sums.second = graph.op1("matmul", {x, x}, {{"transpose_a", 1}});
  sums.sum = graph.op1("sum_rows", {x});
  graph.keep(sums.second);
  graph.keep(sums.sum);
  return sums;
}

/// A product with a parameter is a linear layer, and its other operand what the layer reads.
std::vector<Calibration::Sums> Calibration::sums_of_linears(Graph& graph) {
  std::vector<std::pair<Value, std::vector<std::string>>> found;
  for (const graph::Node& node : graph.nodes()) {
    if (node.op->def->name != "matmul") continue;
    const graph::ValueInfo& weight = graph.info(node.inputs.at(1));
    if (weight.role != graph::Role::kParameter) continue;
    const auto same = std::find_if(found.begin(), found.end(), [&](auto& one) { return one.first == node.inputs[0]; });
    if (same == found.end())
      found.push_back({node.inputs[0], {weight.name}});
    else
      same->second.push_back(weight.name);
  }
  std::vector<Sums> sums;
  for (auto& [x, readers] : found) sums.push_back(sums_of(graph, x, std::move(readers)));
  return sums;
}

Calibration::Stage Calibration::add_layer(graph::Workload& workload, std::int64_t layer) const {
  const models::BodyShape shape{text_.batch(), text_.sequence(), false};
  const graph::Shape states{text_.batch() * text_.sequence(), model_.config().hidden};
  Stage stage;
  Graph look(ops::op_table()), advance(ops::op_table());
  model_.body().layer(look, shape, layer, look.input(kStates, states, graph::DType::kF32));
  stage.sums = sums_of_linears(look);
  look.remove_unread();
  stage.states = model_.body().layer(advance, shape, layer, advance.input(kStates, states, graph::DType::kF32));
  advance.keep(stage.states);
  stage.look = workload.add(fmt::format("inputs of layer {}", layer), std::move(look));
  stage.advance = workload.add(fmt::format("layer {}", layer), std::move(advance));
  return stage;
}

Calibration::Calibration(vk::Device& device, const graph::Target& target, const models::LanguageModel& model,
                         const CalibrationText& text, GoOn go_on)
    : model_(model), text_(text), go_on_(std::move(go_on)) {
  ensure(model.precision() == Precision::kFp32, "a model is gone through in fp32");
  const std::int64_t N = text.batch() * text.sequence();
  const models::BodyShape shape{text.batch(), text.sequence(), false};
  graph::Workload workload(target);
  Graph first(ops::op_table());
  first_states_ =
      model.body().first_states(first, shape, models::token_inputs(first, model, N, heads::LossUse::kValue));
  first.keep(first_states_);
  first_ = workload.add("states of tokens", std::move(first));
  for (std::int64_t layer = 0; layer < model.config().layers; ++layer) layers_.push_back(add_layer(workload, layer));
  Graph last(ops::op_table());
  hidden_.push_back(sums_of(
      last, model.body().last_norm(last, shape, last.input(kStates, {N, model.config().hidden}, graph::DType::kF32)),
      {}));
  last_ = workload.add("inputs of the head", std::move(last));
  runtime_.emplace(device, std::move(workload));
  models::upload_constants(*runtime_, model);
}

void Calibration::set(const graph::ParameterSpec& spec, std::span<const float> numbers) {
  if (runtime_->workload().stored().contains(spec.name)) runtime_->upload(spec.name, numbers);
}

void Calibration::check() const {
  if (go_on_ && !go_on_()) fail(ErrorCode::kInterrupted, "stopped while the model went over the text");
}

void Calibration::start() {
  states_.clear();
  for (std::size_t chunk = 0; chunk < text_.chunks(); ++chunk) {
    models::set_inputs(*runtime_, first_, models::token_words(model_, text_.ids(chunk), heads::LossUse::kValue));
    runtime_->submit({first_});
    states_.push_back(runtime_->read(first_, first_states_));
    check();
  }
}

std::vector<std::shared_ptr<const InputMoments>> Calibration::run(std::size_t graph, const std::vector<Sums>& sums) {
  ensure(states_.size() == text_.chunks(), "there are no states to go on from");
  const auto positions = static_cast<double>(text_.positions());
  std::vector<std::shared_ptr<InputMoments>> moments;
  for (const Sums& of : sums) {
    moments.push_back(std::make_shared<InputMoments>(InputMoments{of.inputs, text_.positions(), {}, {}}));
    moments.back()->second.resize(static_cast<std::size_t>(of.inputs * of.inputs));
    moments.back()->mean.resize(static_cast<std::size_t>(of.inputs));
  }
  const auto add = [&](std::vector<double>& to, const std::vector<float>& part) {
    for (std::size_t i = 0; i < part.size(); ++i) to[i] += double{part[i]} / positions;
  };
  for (const std::vector<float>& states : states_) {
    runtime_->set_input(graph, kStates, states);
    runtime_->submit({graph});
    for (std::size_t i = 0; i < sums.size(); ++i) {
      add(moments[i]->second, runtime_->read(graph, sums[i].second));
      add(moments[i]->mean, runtime_->read(graph, sums[i].sum));
    }
    check();
  }
  for (const auto& of : moments)
    if (!std::all_of(of->second.begin(), of->second.end(), [](double value) { return std::isfinite(value); }))
      fail(ErrorCode::kNumeric, "what the linear layers read is not finite: look for bad numbers in the weights");
  return {moments.begin(), moments.end()};
}

MomentsOf Calibration::look(std::int64_t layer) {
  const Stage& stage = layers_.at(static_cast<std::size_t>(layer));
  const auto moments = run(stage.look, stage.sums);
  MomentsOf result;
  for (std::size_t i = 0; i < moments.size(); ++i)
    for (const std::string& reader : stage.sums[i].readers) result[reader] = moments[i];
  return result;
}

void Calibration::advance(std::int64_t layer) {
  const Stage& stage = layers_.at(static_cast<std::size_t>(layer));
  for (std::vector<float>& states : states_) {
    runtime_->set_input(stage.advance, kStates, states);
    runtime_->submit({stage.advance});
    states = runtime_->read(stage.advance, stage.states);
    check();
  }
}

std::shared_ptr<const InputMoments> Calibration::look_at_hidden() {
  return run(last_, hidden_).front();
}

}  // namespace fabula::convert
