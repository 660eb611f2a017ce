// Joined nodes give the numbers of the nodes they replace, and nothing is joined that someone else still needs.
#include "graph/fuse.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/philox.hpp"
#include "graph/memory_plan.hpp"
#include "graph/models.hpp"
#include "ops/op_table.hpp"

namespace fabula::test {
namespace {
using graph::Graph;
using graph::Shape;
using graph::Value;
using Values = std::vector<graph::RefTensor<double>>;

Values evaluate(const Graph& graph) {
  Values values(graph.values().size());
  for (std::size_t id = 0; id < values.size(); ++id) {
    const graph::ValueInfo& info = graph.values()[id];
    if (info.role == graph::Role::kActivation) continue;
    values[id] = graph::RefTensor<double>(info.shape, info.shape.dtype);
    Philox random(id + 1);
    for (double& x : values[id].f) x = random.normal();
  }
  interpret(graph, values);
  return values;
}

/// Joins a copy of `graph` and compares all values in `kept`; the joined graph.
Graph joined(const Graph& graph, std::size_t expected, std::initializer_list<Value> kept) {
  Graph result = graph;
  EXPECT_EQ(fuse(result), expected);
  EXPECT_EQ(result.nodes().size() + expected, graph.nodes().size());
  const Values before = evaluate(graph), after = evaluate(result);
  for (Value value : kept)
    EXPECT_EQ(after[static_cast<std::size_t>(value.id)].f, before[static_cast<std::size_t>(value.id)].f)
        << graph.info(value).name;
  return result;
}

std::uint64_t live_peak(const Graph& graph) {
  return plan_arena(graph, std::vector<std::vector<Shape>>(graph.nodes().size()), {}).live_peak;
}

/// y = gelu(x w + b) v and its gradients, as a feed-forward layer has them.
struct FeedForward {
  Graph graph{ops::op_table()};
  Value x = graph.parameter("x", {6, 5}), w = graph.parameter("w", {5, 9}), b = graph.parameter("b", {1, 9}),
        v = graph.parameter("v", {9, 5});
  Value inner = graph.op1("matmul", {x, w, b});
  Value active = graph.op1("gelu", {inner});
  Value y = graph.op1("matmul", {active, v});
};

TEST(Fuse, ForwardGeluTakesTheProductsPlace) {
  FeedForward f;
  f.graph.keep(f.y);
  const Graph result = joined(f.graph, 1, {f.active, f.y});
  EXPECT_EQ(count_nodes(result, "gelu"), 0u);
  EXPECT_EQ(result.nodes()[0].outputs, std::vector<Value>{f.active}) << "no one reads the product itself";
}

TEST(Fuse, TrainingJoinsBothDirectionsAndKeepsTheProduct) {
  FeedForward f;
  const Value seed = f.graph.state("seed", {6, 5});
  const std::vector<Value> d =
      differentiate(f.graph, std::vector<graph::Seed>{{f.y, seed}}, std::vector<Value>{f.x, f.w, f.b, f.v});
  for (Value value : d) f.graph.keep(value);
  const Graph result = joined(f.graph, 2, {f.inner, f.active, f.y, d[0], d[1], d[2], d[3]});
  EXPECT_EQ(count_nodes(result, "gelu"), 1u) << "computed again for the weight's gradient, not kept";
  EXPECT_EQ(count_nodes(result, "gelu_backward"), 0u);
  EXPECT_EQ(result.nodes()[0].outputs, (std::vector<Value>{f.active, f.inner}));
  EXPECT_LE(live_peak(result), live_peak(f.graph));
}

TEST(Fuse, LeavesANodeThatReadsWhatIsStored) {
  FeedForward f;
  const Value again = f.graph.op1("gelu", {f.inner});
  f.graph.keep_apart(f.active);
  f.graph.keep(f.y);
  f.graph.keep(again);
  const Graph result = joined(f.graph, 1, {f.inner, f.active, f.y, again});
  EXPECT_EQ(result.nodes()[0].outputs, (std::vector<Value>{again, f.inner}));
  EXPECT_EQ(result.nodes()[1].outputs, std::vector<Value>{f.active});
}

TEST(Fuse, LeavesAProductThatIsReadTwice) {
  FeedForward f;
  const Value d_active = f.graph.op1("matmul", {f.y, f.v}, {{"transpose_b", 1}});
  const Value d_inner = f.graph.op1("gelu_backward", {f.inner, d_active});
  const Value again = f.graph.op1("add", {d_active, d_inner});
  f.graph.keep(again);
  const Graph result = joined(f.graph, 1, {again});
  EXPECT_EQ(count_nodes(result, "gelu_backward"), 1u);
}

TEST(Fuse, LeavesAProductThatTheHostReads) {
  FeedForward f;
  const Value d_active = f.graph.op1("matmul", {f.y, f.v}, {{"transpose_b", 1}});
  f.graph.keep(d_active);
  f.graph.keep(f.graph.op1("gelu_backward", {f.inner, d_active}));
  const Graph result = joined(f.graph, 1, {d_active});
  EXPECT_EQ(count_nodes(result, "gelu_backward"), 1u);
}

TEST(Fuse, LeavesAProductOnBothSidesOfItsReader) {
  Graph graph(ops::op_table());
  const Value x = graph.state("x", {4, 4}), w = graph.state("w", {4, 4});
  const Value product = graph.op1("matmul", {x, w});
  const Value y = graph.op1("gelu_backward", {product, product});
  graph.keep(y);
  joined(graph, 0, {y});
}

TEST(Fuse, LeavesAProductWhoseOperandIsOverwrittenMeanwhile) {
  Graph graph(ops::op_table());
  const Value x = graph.state("x", {4, 4}), w = graph.state("w", {4, 4}), z = graph.state("z", {4, 4});
  const Value product = graph.op1("matmul", {x, w});
  graph.op("add_into", {x, z});
  const Value y = graph.op1("gelu_backward", {z, product});
  graph.keep(y);
  joined(graph, 0, {y});
}

TEST(Fuse, OneActivationANode) {
  Graph graph(ops::op_table());
  const Value x = graph.state("x", {4, 4}), w = graph.state("w", {4, 4});
  const Value y = graph.op1("gelu", {graph.op1("gelu", {graph.op1("matmul", {x, w})})});
  graph.keep(y);
  const Graph result = joined(graph, 1, {y});
  EXPECT_EQ(count_nodes(result, "gelu"), 1u);
}

}  // namespace
}  // namespace fabula::test
