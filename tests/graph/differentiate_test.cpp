#include <gtest/gtest.h>

#include <set>

#include "base/segments.hpp"
#include "graph/memory_plan.hpp"
#include "graph/models.hpp"
#include "models/model.hpp"
#include "ops/op_table.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Shape;
using graph::Value;
using Values = std::vector<graph::RefTensor<double>>;

graph::RefTensor<double>& at(Values& values, Value value) {
  return values.at(static_cast<std::size_t>(value.id));
}

Values drawn(const Graph& graph) {
  Values values(graph.values().size());
  Philox random(3);
  for (std::size_t id = 0; id < values.size(); ++id) {
    const graph::ValueInfo& info = graph.values()[id];
    if (info.producer >= 0) continue;
    values[id] = graph::RefTensor<double>(info.shape);
    for (double& x : values[id].f) x = random.normal();
  }
  return values;
}

std::size_t count_nodes(const Graph& graph, std::string_view op) {
  std::size_t count = 0;
  for (const graph::Node& node : graph.nodes()) count += node.op->def->name == op;
  return count;
}

TEST(Differentiate, AddsGradientsThatMeet) {
  Graph graph(ops::op_table());
  const Value x = graph.parameter("x", {3, 5}), seed = graph.state("seed", {3, 5});
  // x meets itself in one node, and three nodes read it: d_x = seed * (2 gelu'(2x) + gelu'(x) + 1).
  const Value twice = graph.op1("add", {x, x});
  const Value y = graph.op1("add", {graph.op1("add", {graph.op1("gelu", {twice}), graph.op1("gelu", {x})}), x});
  const Value d_x = differentiate(graph, std::vector<graph::Seed>{{y, seed}}, std::vector<Value>{x}).front();
  ASSERT_TRUE(d_x);
  Values values = drawn(graph);
  interpret(graph, values);
  const double step = 1e-6;
  for (std::size_t i = 0; i < 15; ++i) {
    Values up = values, down = values;
    at(up, x).f[i] += step;
    at(down, x).f[i] -= step;
    interpret(graph, up);
    interpret(graph, down);
    const double slope = (at(up, y).f[i] - at(down, y).f[i]) / (2 * step);
    EXPECT_NEAR(at(values, d_x).f[i], at(values, seed).f[i] * slope, 1e-7) << "element " << i;
  }
}

TEST(Differentiate, ANormTakesOverTheGradientThatGoesAroundIt) {
  Graph graph(ops::op_table());
  const Value x = graph.parameter("x", {3, 5}), weight = graph.parameter("weight", {1, 5}),
              bias = graph.parameter("bias", {1, 5}), seed = graph.state("seed", {3, 5});
  const Value y = graph.op1("add", {x, graph.op1("layer_norm", {x, weight, bias}, {{"eps", 1e-5}})});
  const Value d_x = differentiate(graph, std::vector<graph::Seed>{{y, seed}}, std::vector<Value>{x}).front();
  EXPECT_EQ(count_nodes(graph, "add"), 1u) << "the forward one alone";
  Values values = drawn(graph);
  interpret(graph, values);
  const double step = 1e-6;
  for (std::size_t i = 0; i < 15; ++i) {
    Values up = values, down = values;
    at(up, x).f[i] += step;
    at(down, x).f[i] -= step;
    interpret(graph, up);
    interpret(graph, down);
    double slope = 0;
    for (std::size_t k = 0; k < 15; ++k)
      slope += at(values, seed).f[k] * (at(up, y).f[k] - at(down, y).f[k]) / (2 * step);
    EXPECT_NEAR(at(values, d_x).f[i], slope, 1e-7) << "element " << i;
  }
}

TEST(Differentiate, ComputesOnlyWantedGradients) {
  Graph graph(ops::op_table());
  const Value a = graph.parameter("a", {4, 6}), b = graph.parameter("b", {6, 5}), c = graph.parameter("c", {4, 5});
  const Value seed = graph.state("seed", {4, 5});
  const Value product = graph.op1("matmul", {graph.op1("gelu", {a}), b});
  const Value y = graph.op1("add", {product, graph.op1("gelu", {c})});
  const std::size_t forward = graph.nodes().size();
  const std::vector<Value> d = differentiate(graph, std::vector<graph::Seed>{{y, seed}},
                                             std::vector<Value>{b, graph.parameter("unused", {2, 2})});
  EXPECT_TRUE(d[0]);
  EXPECT_FALSE(d[1]);
  std::set<std::string> ops;
  for (std::size_t n = forward; n < graph.nodes().size(); ++n) ops.emplace(graph.nodes()[n].op->def->name);
  EXPECT_FALSE(ops.contains("gelu_backward")) << "neither a nor c was asked for";
  EXPECT_EQ(count_nodes(graph, "matmul"), 2u) << "the product and d_b, not d_a";
}

TEST(Differentiate, NeverWritesOverAGradientThatAnotherValueShares) {
  Graph graph(ops::op_table());
  const std::vector<std::uint32_t> ids{2, 0, 2, 5};
  const Value table = graph.parameter("table", {6, 3}), other = graph.parameter("other", {6, 3});
  const Value id_words = graph.input("ids", {1, 4}, DType::kU32), order = graph.input("order", {1, 4}, DType::kU32);
  const Value segments = graph.input("segments", {1, SegmentCapacity{4, 6}.words()}, DType::kU32);
  const Value rows = graph.op1("embedding", {id_words, table, order, segments});
  const Value sum = graph.op1("gelu", {graph.op1("add", {table, other})});
  const Value row_seed = graph.state("row_seed", {4, 3}), sum_seed = graph.state("sum_seed", {6, 3});
  // The walk meets `sum` first: table and other then have one gradient in common, into which the embedding must not
  // add.
  const std::vector<Value> d = differentiate(graph, std::vector<graph::Seed>{{rows, row_seed}, {sum, sum_seed}},
                                             std::vector<Value>{table, other});
  Values values = drawn(graph);
  const SegmentPlan plan = plan_segments(ids, 6);
  at(values, id_words).u = ids;
  at(values, order).u = plan.order;
  at(values, segments).u = plan.segments;
  interpret(graph, values);
  for (std::int64_t row = 0; row < 6; ++row)
    for (std::int64_t col = 0; col < 3; ++col) {
      double expected = at(values, d[1]).at(row, col);
      for (std::size_t n = 0; n < ids.size(); ++n)
        if (ids[n] == row) expected += at(values, row_seed).at(static_cast<std::int64_t>(n), col);
      EXPECT_NEAR(at(values, d[0]).at(row, col), expected, 1e-12) << row << ", " << col;
    }
}

TEST(Differentiate, RecomputingGivesTheSameGradientsInLessMemory) {
  for (const HeadKind head : {HeadKind::kFull, HeadKind::kGrouped}) {
    const models::LanguageModel model(small_config(head));
    const std::int64_t batch = 2, sequence = 7, positions = batch * sequence;
    std::vector<std::vector<double>> gradients[2];
    std::uint64_t live[2];
    std::size_t gelus[2];
    for (const bool recompute : {false, true}) {
      Graph graph(ops::op_table());
      models::BodyInputs inputs;
      inputs.ids = graph.input("ids", {1, positions}, DType::kU32);
      inputs.order = graph.input("order", {1, positions}, DType::kU32);
      inputs.segments =
          graph.input("segments", {1, SegmentCapacity{positions, model.config().vocab_size}.words()}, DType::kU32);
      inputs.seed = graph.input("seed", {1, 4}, DType::kU32);
      const Value hidden = models::body(graph, model.config(), {batch, sequence, true}, inputs);
      const Value scale = graph.input("loss_scale", {1, 4}, DType::kF32);
      const Value loss = model.head().loss(graph, hidden, heads::LossUse::kGradient, scale).loss;
      std::vector<Value> parameters;
      for (const auto& spec : model.parameters()) parameters.push_back(graph.parameter(spec.name, spec.shape));
      const Value seed = graph.state("d_loss", graph.shape(loss));
      const std::vector<Value> d =
          differentiate(graph, std::vector<graph::Seed>{{loss, seed}}, parameters, {.recompute_cheap = recompute});
      Values values = random_values(graph, model, positions);
      interpret(graph, values);
      for (Value value : d) {
        ASSERT_TRUE(value);
        gradients[recompute].push_back(at(values, value).f);
      }
      live[recompute] = plan_arena(graph, std::vector<std::vector<Shape>>(graph.nodes().size()), {}).live_peak;
      gelus[recompute] = count_nodes(graph, "gelu");
    }
    EXPECT_EQ(gelus[0], 2u);
    EXPECT_EQ(gelus[1], 4u);
    EXPECT_LT(live[1], live[0]);
    ASSERT_EQ(gradients[0].size(), gradients[1].size());
    for (std::size_t i = 0; i < gradients[0].size(); ++i) {
      EXPECT_EQ(gradients[0][i], gradients[1][i]) << model.parameters()[i].name;
      double norm = 0;
      for (const double g : gradients[0][i]) norm += g * g;
      EXPECT_GT(norm, 0) << model.parameters()[i].name;
    }
  }
}

}  // namespace
}  // namespace fabula::test
