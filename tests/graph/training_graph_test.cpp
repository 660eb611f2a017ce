// The plans of whole training graphs: nothing is overwritten that is still read, and barriers stand between all that
// conflicts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "graph/models.hpp"
#include "graph/ownership.hpp"
#include "graph/program.hpp"
#include "train/trainer.hpp"
#include "vk/hazards.hpp"
#include "vk/shader_table.hpp"

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

struct Use {
  std::pair<graph::Pool, std::uint32_t> block;
  std::uint64_t begin, end;
  bool write;
};

bool conflict(const Use& a, const Use& b) {
  return a.block == b.block && a.begin < b.end && b.begin < a.end && (a.write || b.write);
}

std::vector<Use> uses_of(const graph::Step& step) {
  std::vector<Use> uses;
  const vk::ShaderBinary* shader = step.shader.empty() ? nullptr : vk::find_shader(step.shader);
  const vk::ShaderInterface interface = shader ? vk::reflect({shader->begin, shader->end}) : vk::ShaderInterface{};
  for (std::size_t i = 0; i < step.bindings.size(); ++i) {
    const graph::Range& range = step.bindings[i];
    const bool write = !shader || interface.slots.at(i).access != vk::Access::kRead;
    uses.push_back({{range.pool, range.block}, range.offset, range.offset + range.size, write});
  }
  return uses;
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
    std::vector<std::vector<Use>> commands;
    for (const graph::Step& step : planned.program.steps) commands.push_back(uses_of(step));
    vk::HazardTracker tracker;
    std::vector<std::size_t> barriers;  // before or at command i
    for (const std::vector<Use>& uses : commands) {
      std::vector<vk::HazardTracker::Use> noted;
      for (const Use& use : uses)
        noted.push_back({std::uint64_t(use.block.first) << 32 | use.block.second, use.begin, use.end, use.write});
      barriers.push_back((barriers.empty() ? 0 : barriers.back()) + (tracker.add(noted) ? 1 : 0));
    }
    std::size_t conflicts = 0;
    for (std::size_t later = 0; later < commands.size(); ++later)
      for (std::size_t earlier = 0; earlier < later; ++earlier)
        for (const Use& a : commands[earlier])
          for (const Use& b : commands[later]) {
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
  const graph::PlannedGraph& apply = training.workload.graphs().at(training.apply);
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
  EXPECT_EQ(one.accumulate, one.overwrite);
  EXPECT_FALSE(one.accumulating);
  config.grad_accumulation = 3;
  const train::TrainingPlan more = train::plan_training({}, model, config, {.with_extras = false});
  EXPECT_EQ(more.workload.graphs().size(), 3u);
  EXPECT_NE(more.accumulate, more.overwrite);
  EXPECT_TRUE(more.accumulating);
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
    const graph::PlannedGraph& gradients = plan.workload.graphs().at(plan.overwrite);
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
