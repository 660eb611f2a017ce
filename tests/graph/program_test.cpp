// What a lowered graph is known by: the digest that a resumed run compares, and what a measured choice is kept under.
#include "graph/program.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/hash.hpp"
#include "graph/models.hpp"
#include "train/training_plan.hpp"
#include "vk/shader_table.hpp"

namespace fabula::test {
namespace {
using graph::Node;
using graph::Step;

train::TrainingPlan plan_of(Precision precision, Recompute recompute) {
  const models::LanguageModel model(small_config(HeadKind::kGrouped), {}, precision);
  TrainConfig config;
  config.batch_size = 2;
  config.recompute = recompute;
  return train::plan_training({}, model, config);
}

std::vector<Step> gradient_steps() {
  const train::TrainingPlan plan = plan_of(Precision::kFp32, Recompute::kNone);
  return plan.workload.graphs().at(plan.graphs.overwrite.index).program.steps;
}

TEST(Digest, IsOfTheKernelsCodeNotOfTheirNames) {
  const train::TrainingPlan plan = plan_of(Precision::kFp32, Recompute::kNone);
  const graph::Program& program = plan.workload.graphs().at(plan.graphs.overwrite.index).program;
  EXPECT_EQ(digest_of(program.steps, vk::shader_digest), program.digest);
  const auto with_other = [](std::string_view changed) {
    return [changed](std::string_view shader) -> std::optional<std::uint64_t> {
      return shader == changed ? 1 : vk::shader_digest(shader);
    };
  };
  EXPECT_NE(digest_of(program.steps, with_other("gelu")), program.digest);
  EXPECT_EQ(digest_of(program.steps, with_other("adamw")), program.digest) << "no kernel of this graph";
  std::vector<Step> renamed = program.steps;
  for (Step& step : renamed)
    if (step.shader == "gelu") step.shader = "gelu_of_old";
  const auto old_name = [](std::string_view shader) {
    return vk::shader_digest(shader == "gelu_of_old" ? "gelu" : shader);
  };
  EXPECT_EQ(digest_of(renamed, old_name), program.digest);
}

TEST(Digest, IsOfWhatSpecialisesTheCode) {
  const std::vector<Step> steps = gradient_steps();
  const std::uint64_t digest = digest_of(steps, vk::shader_digest);
  const auto first = [](std::vector<Step>& in, const auto& has) { return std::find_if(in.begin(), in.end(), has); };
  std::vector<Step> constant = steps, type = steps, cleared = steps;
  first(constant, [](const Step& step) { return !step.constants.empty(); })->constants.front() += 1;
  first(type, [](const Step& step) { return !step.shader.empty(); })->types.push_back(1);
  first(cleared, [](const Step& step) { return !step.shader.empty(); })->shader.clear();
  for (const auto& changed : {constant, type, cleared}) EXPECT_NE(digest_of(changed, vk::shader_digest), digest);
}

TEST(ShaderDigest, IsThatOfTheWordsOfEveryVariant) {
  std::set<std::uint64_t> digests;
  for (const vk::ShaderBinary& shader : vk::shader_table()) {
    const std::vector<std::uint32_t> words = vk::device_words(shader);
    EXPECT_EQ(vk::shader_digest(shader.name), fnv1a(words.data(), words.size() * 4)) << shader.name;
    EXPECT_EQ(vk::shader_digest(std::string(shader.name)), vk::shader_digest(shader.name)) << "and of no other memory";
    digests.insert(*vk::shader_digest(shader.name));
  }
  EXPECT_GT(digests.size(), vk::shader_table().size() / 2);
  EXPECT_FALSE(vk::shader_digest("no_such_shader"));
}

// On the choice for a product depends the order of its sums: it must be one, whatever a product is joined with.
TEST(NodeSignature, IsTheSameWhateverIsRecomputed) {
  const auto products = [](Precision precision, Recompute recompute) {
    const train::TrainingPlan plan = plan_of(precision, recompute);
    const graph::Graph& graph = plan.workload.graphs().at(plan.graphs.overwrite.index).graph;
    std::set<std::string> signatures;
    for (const Node& node : graph.nodes())
      if (node.op->def->name == "matmul") signatures.insert(node_signature(graph, node, {"a", "b"}));
    return signatures;
  };
  for (const Precision precision : {Precision::kFp32, Precision::kFp16}) {
    const std::set<std::string> none = products(precision, Recompute::kNone);
    EXPECT_EQ(products(precision, Recompute::kBlock), none);
    EXPECT_GT(none.size(), 8u) << "shapes and layouts are told apart";
  }
}

}  // namespace
}  // namespace fabula::test
