// The plans of whole training graphs: nothing is overwritten that is still read, and barriers stand between all that
// conflicts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hash.hpp"
#include "graph/barriers.hpp"
#include "graph/models.hpp"
#include "graph/ownership.hpp"
#include "train/trainer.hpp"

namespace fabula::test {
namespace {
using graph::ArenaPlan;
using graph::Graph;
using graph::Node;
using graph::Value;

std::vector<std::vector<graph::Shape>> scratch_shapes(const Graph& graph, const vk::DeviceProfile& profile) {
  std::vector<std::vector<graph::Shape>> result;
  for (const Node& node : graph.nodes()) {
    const std::string variant = variants_of(graph, node, profile).front();
    const auto shapes = node.op->def->scratch;
    result.push_back(shapes ? shapes(graph::NodeView(graph, node), profile, variant) : std::vector<graph::Shape>{});
  }
  return result;
}

struct PlanCase {
  HeadKind head;
  Recompute recompute;
};

train::TrainingPlan small_plan(const PlanCase& of, const vk::DeviceProfile& profile) {
  const models::LanguageModel model(small_config(of.head));
  TrainConfig config;
  config.recompute = of.recompute;
  config.batch_size = 3;
  config.grad_accumulation = 2;
  return train::plan_training(profile, model, config);
}

using vk::HazardTracker;

bool conflict(const HazardTracker::Use& a, const HazardTracker::Use& b) {
  return a.buffer == b.buffer && a.begin < b.end && b.begin < a.end && (a.write || b.write);
}

class TrainingGraph : public testing::TestWithParam<PlanCase> {};

TEST_P(TrainingGraph, KeepsValuesUntilTheirLastReader) {
  const vk::DeviceProfile profile;
  const train::TrainingPlan training = small_plan(GetParam(), profile);
  for (const graph::PlannedGraph& planned : training.workload.graphs()) {
    SCOPED_TRACE(planned.name);
    expect_values_survive(planned.graph, planned.program.arena);
    // Blocks so small that most values are cut.
    for (const std::uint64_t max_block : {std::uint64_t{40000}, std::uint64_t{200001}}) {
      const ArenaPlan plan =
          plan_arena(planned.graph, scratch_shapes(planned.graph, profile), {.max_block = max_block});
      for (const std::uint64_t size : plan.block_sizes) EXPECT_LE(size, max_block);
      expect_values_survive(planned.graph, plan);
    }
  }
}

TEST_P(TrainingGraph, HasABarrierBetweenAllThatConflicts) {
  const train::TrainingPlan training = small_plan(GetParam(), {});
  for (const graph::PlannedGraph& planned : training.workload.graphs()) {
    SCOPED_TRACE(planned.name);
    std::vector<std::vector<HazardTracker::Use>> commands;
    for (const graph::Step& step : planned.program.steps) commands.push_back(uses_of(step));
    HazardTracker tracker;
    std::vector<std::size_t> barriers;  // before or at command i
    for (const auto& uses : commands)
      barriers.push_back((barriers.empty() ? 0 : barriers.back()) + (tracker.add(uses) ? 1 : 0));
    EXPECT_EQ(barriers.back(), barrier_count(planned.program));
    std::size_t conflicts = 0;
    for (std::size_t later = 0; later < commands.size(); ++later)
      for (std::size_t earlier = 0; earlier < later; ++earlier)
        for (const auto& a : commands[earlier])
          for (const auto& b : commands[later]) {
            if (!conflict(a, b)) continue;
            ++conflicts;
            EXPECT_LT(barriers[earlier], barriers[later])
                << planned.program.steps[earlier].label << " and " << planned.program.steps[later].label;
          }
    EXPECT_GT(conflicts, commands.size() / 2);
    EXPECT_LT(barriers.back(), commands.size());
  }
}

TEST_P(TrainingGraph, TheOptimizerTakesFewLaunches) {
  const train::TrainingPlan training = small_plan(GetParam(), {});
  const graph::PlannedGraph& apply = training.workload.graphs().at(training.graphs.apply);
  // Squares of all gradients, their sum, whether it may go on, parameters with weight decay, those without.
  EXPECT_EQ(apply.program.steps.size(), 5u);
}

TEST_P(TrainingGraph, ComputesNothingThatNoOneReads) {
  const train::TrainingPlan training = small_plan(GetParam(), {});
  for (const graph::PlannedGraph& planned : training.workload.graphs()) {
    SCOPED_TRACE(planned.name);
    std::vector<bool> read(planned.graph.values().size(), false);
    for (const Node& node : planned.graph.nodes())
      for (Value input : node.inputs)
        if (input) read[static_cast<std::size_t>(input.id)] = true;
    for (const Node& node : planned.graph.nodes()) {
      bool needed = !mutated_inputs(planned.graph, node).empty();
      for (Value output : node.outputs) {
        const graph::ValueInfo& info = planned.graph.info(output);
        needed = needed || read[static_cast<std::size_t>(output.id)] || info.keep || info.role == graph::Role::kState;
      }
      EXPECT_TRUE(needed) << node.label << " has no reader";
    }
  }
}

// A recorded list has the barriers that the plan has.
TEST(Barriers, AreThoseOfTheRecordedList) {
  const auto device = vk::Device::open({.device = {}, .cache_dir = "none"});
  train::TrainingPlan training = small_plan({HeadKind::kGrouped, Recompute::kBlock}, device->profile());
  graph::Runtime runtime(*device, std::move(training.workload));
  for (std::size_t g = 0; g < runtime.workload().graphs().size(); ++g) {
    runtime.prepare({&g, 1});
    const graph::PlannedGraph& planned = runtime.workload().graphs()[g];
    EXPECT_EQ(runtime.barrier_count(g), barrier_count(planned.program)) << planned.name;
    EXPECT_GT(runtime.barrier_count(g), 0u) << planned.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, TrainingGraph,
                         testing::Values(PlanCase{HeadKind::kFull, Recompute::kNone},
                                         PlanCase{HeadKind::kGrouped, Recompute::kNone},
                                         PlanCase{HeadKind::kGrouped, Recompute::kBlock}),
                         [](const auto& plan) {
                           return fmt::format("{}_{}", head_kind_name(plan.param.head),
                                              recompute_name(plan.param.recompute));
                         });

TEST(TrainingPlan, HasOneGradientGraphUnlessBatchesAreAccumulated) {
  const models::LanguageModel model(small_config(HeadKind::kGrouped));
  TrainConfig config;
  config.batch_size = 2;
  const train::TrainingPlan one = train::plan_training({}, model, config, {.with_extras = false});
  EXPECT_EQ(one.workload.graphs().size(), 2u);
  EXPECT_FALSE(one.graphs.accumulates());
  config.grad_accumulation = 3;
  const train::TrainingPlan more = train::plan_training({}, model, config, {.with_extras = false});
  EXPECT_EQ(more.workload.graphs().size(), 3u);
  EXPECT_TRUE(more.graphs.accumulates());
}

// Where batches are accumulated, a gradient is added and forgotten as soon as it is final.
TEST(Accumulation, KeepsNoGradientToTheEnd) {
  const models::LanguageModel model(small_config(HeadKind::kGrouped));
  TrainConfig config;
  config.batch_size = 1;
  config.grad_accumulation = 2;
  config.recompute = Recompute::kBlock;
  const train::TrainingPlan plan = train::plan_training({}, model, config, {.with_extras = false});
  const graph::PlannedGraph& accumulate = plan.workload.graphs().at(plan.graphs.accumulate.index);
  std::map<Value, std::int32_t> made;
  for (std::size_t n = 0; n < accumulate.graph.nodes().size(); ++n)
    for (const Value output : accumulate.graph.nodes()[n].outputs) made[output] = static_cast<std::int32_t>(n);
  std::size_t added = 0;
  std::int32_t longest = 0;
  for (std::size_t n = 0; n < accumulate.graph.nodes().size(); ++n) {
    const Node& node = accumulate.graph.nodes()[n];
    const bool of_loss =
        node.op->def->name == "add_into" && node.inputs[0] == accumulate.graph.find(models::kLossState);
    if (node.op->def->name != "add_into" || of_loss) continue;
    ++added;
    if (made.contains(node.inputs[1]))
      longest = std::max(longest, static_cast<std::int32_t>(n) - made.at(node.inputs[1]));
  }
  EXPECT_EQ(added, model.parameters().size());
  EXPECT_LT(longest, 10);
  const std::uint64_t overwriting = plan.workload.graphs().at(plan.graphs.overwrite.index).program.arena.live_peak;
  EXPECT_LT(accumulate.program.arena.live_peak, overwriting + plan.workload.report().gradients / 4);
}

// What is added is what a single batch would leave.
TEST(Accumulation, AddsTheVeryGradients) {
  for (const bool tied : {true, false}) {
    const models::LanguageModel model(small_config(HeadKind::kFull, tied));
    const Graph alone = models::gradient_graph(model, 2, 5, models::Gradients::kOverwrite).graph,
                added = models::gradient_graph(model, 2, 5, models::Gradients::kAccumulate).graph;
    const auto words = random_values(alone, model, 10);
    const auto evaluate = [&](const Graph& graph) {
      std::vector<graph::RefTensor<float>> values(graph.values().size());
      for (std::size_t id = 0; id < values.size(); ++id) {
        const graph::ValueInfo& info = graph.values()[id];
        if (info.producer >= 0) continue;
        values[id] = graph::RefTensor<float>(info.shape);
        if (info.role == graph::Role::kState) continue;
        values[id].u = words[static_cast<std::size_t>(alone.find(info.name).id)].u;
        Philox random(1, fnv1a(info.name));
        for (float& number : values[id].f) number = static_cast<float>(0.2 * random.normal());
      }
      interpret(graph, values);
      return values;
    };
    const auto once = evaluate(alone), onto_zero = evaluate(added);
    for (const graph::ParameterSpec& spec : model.parameters()) {
      const std::string name = std::string(graph::kGradientPrefix) + spec.name;
      const auto& gradient = once[static_cast<std::size_t>(alone.find(name).id)].f;
      EXPECT_EQ(onto_zero[static_cast<std::size_t>(added.find(name).id)].f, gradient) << name;
      EXPECT_NE(gradient, std::vector<float>(gradient.size())) << name;
    }
  }
}

// Twice the blocks cost little more than twice the work: no part of planning looks at all pairs of nodes or values.
TEST(TrainingPlan, TakesModelsOfAThousandBlocks) {
  const auto looks_of = [](std::int64_t layers) {
    ModelConfig of = small_config(HeadKind::kGrouped);
    of.layers = layers;
    const models::LanguageModel model(of);
    TrainConfig config;
    config.batch_size = 1;
    config.recompute = Recompute::kBlock;
    const train::TrainingPlan plan = train::plan_training({}, model, config, {.with_extras = false});
    const graph::PlannedGraph& gradients = plan.workload.graphs().at(plan.graphs.overwrite.index);
    EXPECT_GT(gradients.program.steps.size(), static_cast<std::size_t>(25 * layers));
    return gradients.program.arena.looks;
  };
  EXPECT_LT(looks_of(1024), 6 * looks_of(256));
}

// The numbers, and so what a run may be resumed with, do not depend on it.
TEST(TrainingPlan, RecomputationIsNoneOfTheLoweringText) {
  const models::LanguageModel model(small_config(HeadKind::kGrouped));
  TrainConfig config;
  config.batch_size = 2;
  std::set<std::string> texts;
  for (const Recompute recompute : {Recompute::kAuto, Recompute::kNone, Recompute::kBlock}) {
    config.recompute = recompute;
    texts.insert(train::lowering_text({}, model, config));
  }
  EXPECT_EQ(texts.size(), 1u);
  config.batch_size = 3;
  EXPECT_FALSE(texts.contains(train::lowering_text({}, model, config)));
}

}  // namespace
}  // namespace fabula::test
