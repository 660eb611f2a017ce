// A table with two uses (tied weights): the second gradient is added into the first by the op that mutates it.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/segments.hpp"
#include "expect_error.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {
using namespace graph;

constexpr std::int64_t kVocabulary = 37, kColumns = 9, kPositions = 200;

struct Use {
  std::vector<std::uint32_t> ids;
  Value ids_input, order, segments, y, d_y;
};

Use use_table(Graph& graph, Value table, const std::string& name, std::uint32_t spread) {
  Use use;
  Philox random(spread);
  use.ids.resize(kPositions);
  for (auto& id : use.ids) id = random.below(spread);
  use.ids_input = graph.input(name + ".ids", {1, kPositions}, DType::kU32);
  use.order = graph.input(name + ".order", {1, kPositions}, DType::kU32);
  use.segments = graph.input(name + ".segments", {1, SegmentCapacity{kPositions, kVocabulary}.words()}, DType::kU32);
  use.y = graph.op1("embedding", {use.ids_input, table, use.order, use.segments});
  use.d_y = graph.state(name + ".d_y", {kPositions, kColumns});
  return use;
}

TEST(Embedding, TwoUsesOfATableAddTheirGradients) {
  Graph graph(ops::op_table());
  const Value table = graph.parameter("table", {kVocabulary, kColumns});
  Use first = use_table(graph, table, "first", 37), second = use_table(graph, table, "second", 2);
  const std::vector<Value> wrt{table};
  const Value d_table =
      differentiate(graph, std::vector<Seed>{{first.y, first.d_y}, {second.y, second.d_y}}, wrt).front();
  ASSERT_TRUE(bool(d_table));
  EXPECT_EQ(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                          [](const Node& node) { return node.op->def->name == "embedding_backward_add"; }),
            1);
  graph.keep(d_table);

  Workload workload(device().profile());
  workload.add("tied", graph);
  Runtime runtime(device(), std::move(workload));
  std::vector<double> expected(kVocabulary * kColumns);
  for (const auto& [use, name] : {std::pair(&first, "first"), std::pair(&second, "second")}) {
    const std::string prefix(name);
    const SegmentPlan plan = plan_segments(use->ids, kVocabulary);
    runtime.set_input(0, prefix + ".ids", std::span<const std::uint32_t>(use->ids));
    runtime.set_input(0, prefix + ".order", std::span<const std::uint32_t>(plan.order));
    runtime.set_input(0, prefix + ".segments", std::span<const std::uint32_t>(plan.segments));
    std::vector<float> d_y(kPositions * kColumns);
    Philox random(prefix.size());
    for (auto& v : d_y) v = static_cast<float>(random.normal());
    runtime.upload(prefix + ".d_y", d_y);
    for (std::size_t i = 0; i < d_y.size(); ++i) expected[use->ids[i / kColumns] * kColumns + i % kColumns] += d_y[i];
  }
  runtime.submit({0});
  const std::vector<float> actual = runtime.read(0, d_table);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-4) << "word " << i;
}

TEST(Embedding, AGradientWithoutAPlanIsRefused) {
  Graph graph(ops::op_table());
  const Value table = graph.parameter("table", {5, 4}), ids = graph.input("ids", {1, 3}, DType::kU32);
  const Value y = graph.op1("embedding", {ids, table}), d_y = graph.state("d_y", {3, 4});
  const std::vector<Value> wrt{table};
  expect_error(ErrorCode::kInvalidArgument, {"embedding", "order and segments"}, [&] {
    differentiate(graph, std::vector<Seed>{{y, d_y}}, wrt);
  });
}

TEST(Embedding, APlanOfAnotherShapeIsRefused) {
  Graph graph(ops::op_table());
  const Value table = graph.parameter("table", {5, 4}), ids = graph.input("ids", {1, 3}, DType::kU32);
  const Value order = graph.input("order", {1, 3}, DType::kU32),
              segments = graph.input("segments", {1, 8}, DType::kU32);
  expect_error(ErrorCode::kInvalidArgument, {"embedding", "SegmentPlan"}, [&] {
    graph.op("embedding", {ids, table, order, segments});
  });
}

}  // namespace
}  // namespace fabula::test
