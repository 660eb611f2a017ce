// The heads' ops on a device whose storage range holds neither the logits nor the tables whole: the same bits as in one
// piece.
#include <gtest/gtest.h>

#include "graph/runtime.hpp"
#include "ops/op_table.hpp"
#include "reference/grouped_batch.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Shape;
using graph::Value;

struct Outcome {
  std::vector<std::vector<std::uint32_t>> words;  // of every kept value, padding included
  std::size_t commands = 0;
};

/// Runs the forward and backward pass of the losses on [n, columns] logits, and decoding, with the given storage
/// range.
Outcome run_heads(std::uint64_t max_storage_range) {
  const std::int64_t n = 300, groups = 150, slots = 225;
  Graph graph(ops::op_table());
  const Value u = graph.parameter("u", {n, slots}), a = graph.parameter("a", {n, groups});
  const Value scale = graph.parameter("scale", {groups, slots}), shift = graph.parameter("shift", {groups, slots});
  const Value labels = graph.input("labels", {1, n}, DType::kU32),
              targets = graph.input("targets", {1, 4 * n}, DType::kU32);
  const Value plan = graph.input("plan", {1, GroupPlanLayout(n, groups).words}, DType::kU32);
  const Value slot_labels = graph.input("slot_labels", {1, n}, DType::kU32),
              counts = graph.input("counts", {1, n}, DType::kU32);
  const Value residual = graph.parameter("residual", {n, slots});
  const Value factor = graph.parameter("factor", {1, 4}), one = graph.parameter("one", {1, 1});

  const std::vector<Value> first = graph.op("cross_entropy", {a, labels});
  const std::vector<Value> second = graph.op("grouped_cross_entropy", {u, scale, shift, targets, plan});
  const Value z = graph.op1("group_affine", {u, scale, shift, targets, plan, residual});
  const std::vector<Value> apart = graph.op("cross_entropy", {z, slot_labels, counts});
  const Value scores = graph.op1("prototype_scores", {a}, {{"plain", 6}, {"prototypes", 3}});
  const Value score_loss = graph.op1("cross_entropy", {scores, graph.input("score_labels", {1, n}, DType::kU32)});
  const Value losses =
      graph.op1("add", {graph.op1("add", {first[0], second[0]}), graph.op1("add", {apart[0], score_loss})});
  const Value mean = graph.op1("mean_loss", {losses, factor});
  const std::vector<Value> wrt{a, u, scale, shift, residual};
  std::vector<Value> kept = graph::differentiate(graph, std::vector<graph::Seed>{{mean, one}}, wrt);
  kept.insert(kept.end(),
              {mean, first[0], first[2], second[0], second[2], z, apart[0], apart[2], scores, graph.op1("row_max", {a}),
               graph.op1("log_softmax", {a}), graph.op1("slice_rows", {u}, {{"begin", 33}, {"count", 211}}),
               graph.op1("concat_rows", {u, scale}), graph.op1("concat_columns", {a, scores})});
  for (Value value : kept) graph.keep(value);

  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = std::min(profile.limits.max_storage_range, max_storage_range);
  graph::Workload workload(profile);
  workload.add("heads", std::move(graph));
  graph::Runtime runtime(device(), std::move(workload));
  Philox random(5);
  for (const auto& [name, stored] : runtime.workload().stored()) {
    std::vector<float> data(static_cast<std::size_t>(stored.shape.count()));
    for (float& x : data) x = static_cast<float>(random.normal());
    runtime.upload(name, data);
  }
  const auto drawn = reference::random_targets(n, groups, slots, random);
  std::vector<std::uint32_t> group_labels, slot_words, count_words, class_words;
  for (const GroupTarget& target : drawn) {
    const bool counted = target.group != kIgnoredLabel;
    group_labels.push_back(target.group);
    slot_words.push_back(counted ? target.slot : kIgnoredLabel);
    count_words.push_back(target.slots);
    class_words.push_back(counted ? target.group / 3 : kIgnoredLabel);
  }
  const auto set = [&](const char* name, const std::vector<std::uint32_t>& words) {
    runtime.set_input(0, name, std::span<const std::uint32_t>(words));
  };
  set("labels", group_labels);
  set("targets", reference::target_words(drawn));
  set("plan", make_group_plan(drawn, groups));
  set("slot_labels", slot_words);
  set("counts", count_words);
  set("score_labels", class_words);
  runtime.fill_arena(0x7FC0DEAD);
  runtime.submit({0});
  Outcome outcome{.words = {}, .commands = runtime.workload().graphs()[0].program.steps.size()};
  for (Value value : kept) outcome.words.push_back(runtime.read_padded(0, value));
  return outcome;
}

TEST(HeadsInBlocks, SmallStorageRangesGiveTheSameBits) {
  const Outcome whole = run_heads(UINT64_MAX), blocks = run_heads(132 << 10);
  EXPECT_GT(blocks.commands, whole.commands + 5) << "the limit cut nothing: the test tests nothing";
  ASSERT_EQ(whole.words.size(), blocks.words.size());
  for (std::size_t i = 0; i < whole.words.size(); ++i) EXPECT_EQ(whole.words[i], blocks.words[i]) << "kept value " << i;
}

}  // namespace
}  // namespace fabula::test
