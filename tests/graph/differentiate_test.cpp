#include <gtest/gtest.h>

#include <set>

#include "base/segments.hpp"
#include "graph/memory_plan.hpp"
#include "graph/models.hpp"
#include "models/token_inputs.hpp"
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

/// The gradient of sum(seed * y) by x that a graph has computed, against central differences of y.
void expect_slopes(const Graph& graph, Values values, Value x, Value y, Value seed, Value d_x) {
  const double step = 1e-6;
  interpret(graph, values);
  for (std::size_t i = 0; i < at(values, x).f.size(); ++i) {
    Values up = values, down = values;
    at(up, x).f[i] += step;
    at(down, x).f[i] -= step;
    interpret(graph, up);
    interpret(graph, down);
    double slope = 0;
    for (std::size_t k = 0; k < at(values, y).f.size(); ++k)
      slope += at(values, seed).f[k] * (at(up, y).f[k] - at(down, y).f[k]) / (2 * step);
    EXPECT_NEAR(at(values, d_x).f[i], slope, 1e-7) << "element " << i;
  }
}

TEST(Differentiate, AddsGradientsThatMeet) {
  Graph graph(ops::op_table());
  const Value x = graph.parameter("x", {3, 5}), seed = graph.state("seed", {3, 5});
  // x meets itself in one node, and three nodes read it: d_x = seed * (2 gelu'(2x) + gelu'(x) + 1).
  const Value twice = graph.op1("add", {x, x});
  const Value y = graph.op1("add", {graph.op1("add", {graph.op1("gelu", {twice}), graph.op1("gelu", {x})}), x});
  const Value d_x = differentiate(graph, std::vector<graph::Seed>{{y, seed}}, std::vector<Value>{x}).front();
  ASSERT_TRUE(d_x);
  expect_slopes(graph, drawn(graph), x, y, seed, d_x);
}

TEST(Differentiate, ANormTakesOverTheGradientThatGoesAroundIt) {
  Graph graph(ops::op_table());
  const Value x = graph.parameter("x", {3, 5}), weight = graph.parameter("weight", {1, 5}),
              bias = graph.parameter("bias", {1, 5}), seed = graph.state("seed", {3, 5});
  const Value y = graph.op1("add", {x, graph.op1("layer_norm", {x, weight, bias}, {{"eps", 1e-5}})});
  const Value d_x = differentiate(graph, std::vector<graph::Seed>{{y, seed}}, std::vector<Value>{x}).front();
  EXPECT_EQ(count_nodes(graph, "add"), 1u) << "the forward one alone";
  expect_slopes(graph, drawn(graph), x, y, seed, d_x);
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

TEST(Differentiate, AGradientHandedThroughACastIsAddedIntoInPlace) {
  Graph graph(ops::op_table());
  const Value table = graph.parameter("table", {6, 3}), h = graph.parameter("h", {4, 3});
  const Value ids = graph.input("ids", {1, 4}, DType::kU32), order = graph.input("order", {1, 4}, DType::kU32);
  const Value segments = graph.input("segments", {1, SegmentCapacity{4, 6}.words()}, DType::kU32);
  const Value rows = graph.op1("embedding", {ids, table, order, segments});
  const Value scores = graph.op1("matmul", {h, graph.op1("cast", {table}, {{"out", 0}})}, {{"transpose_b", 1}});
  const Value row_seed = graph.state("row_seed", {4, 3}), score_seed = graph.state("score_seed", {4, 6});
  const std::vector<graph::Seed> seeds{{rows, row_seed}, {scores, score_seed}};
  ASSERT_TRUE(differentiate(graph, seeds, std::vector<Value>{table}).front());
  EXPECT_EQ(count_nodes(graph, "embedding_backward_add"), 1u);
  EXPECT_EQ(count_nodes(graph, "embedding_backward") + count_nodes(graph, "add"), 0u);
}

/// A whole model's loss and its gradients, dropout on.
struct Differentiated {
  Graph graph{ops::op_table()};
  std::vector<Value> gradients;
  std::size_t forward_nodes = 0;

  Differentiated(const models::LanguageModel& model, const graph::DifferentiateOptions& options) {
    const models::BodyInputs inputs = models::token_inputs(graph, model, kPositions, heads::LossUse::kGradient);
    const Value hidden = model.body().hidden(graph, {kBatch, kPositions / kBatch, true}, inputs);
    const Value scale = graph.input("loss_scale", {1, 4}, DType::kF32);
    const Value loss = model.head().loss(graph, hidden, heads::LossUse::kGradient, scale).loss;
    std::vector<Value> parameters;
    for (const auto& spec : model.parameters()) parameters.push_back(graph.parameter(spec.name, spec.shape));
    const Value seed = graph.state("d_loss", graph.shape(loss));
    forward_nodes = graph.nodes().size();
    gradients = differentiate(graph, std::vector<graph::Seed>{{loss, seed}}, parameters, options);
  }
  std::vector<std::vector<double>> evaluate(const models::LanguageModel& model) const {
    Values values = random_values(graph, model, kPositions);
    interpret(graph, values);
    std::vector<std::vector<double>> result;
    for (Value value : gradients) result.push_back(at(values, value).f);
    return result;
  }
  std::uint64_t live_peak() const {
    return plan_arena(graph, std::vector<std::vector<Shape>>(graph.nodes().size()), {}).live_peak;
  }

  static constexpr std::int64_t kBatch = 2, kPositions = 14;
};

std::vector<ModelConfig> recomputed_models() {
  std::vector<ModelConfig> configs{small_config(HeadKind::kFull), small_config(HeadKind::kGrouped)};
  configs.push_back(configs.back());
  configs.back().family = ModelFamily::kGptNeo;
  configs.back().attention_layers = {AttentionKind::kGlobal, AttentionKind::kLocal, AttentionKind::kGlobal};
  configs.push_back(small_config(HeadKind::kFull));
  configs.back().family = ModelFamily::kLlama;
  configs.back().kv_heads = 1;
  for (ModelConfig& config : configs) config.layers = 3;
  return configs;
}

TEST(Differentiate, RecomputingGivesTheSameGradientsInLessMemory) {
  for (const ModelConfig& config : recomputed_models()) {
    const models::LanguageModel model(config);
    const Differentiated none(model, {.recompute_cheap = false});
    const Differentiated cheap(model, {});
    const Differentiated blocks(model, {.recompute_segments = true});
    const char* activation = config.family == ModelFamily::kLlama ? "gated_activation" : "gelu";
    EXPECT_EQ(count_nodes(none.graph, activation), 3u);
    EXPECT_EQ(count_nodes(cheap.graph, activation), 6u);
    EXPECT_EQ(count_nodes(blocks.graph, activation), 6u);
    EXPECT_EQ(count_nodes(cheap.graph, "attention"), 3u);
    EXPECT_EQ(count_nodes(blocks.graph, "attention"), 6u);
    EXPECT_LT(cheap.live_peak(), none.live_peak());
    EXPECT_LT(blocks.live_peak(), cheap.live_peak());
    const std::vector<std::vector<double>> expected = none.evaluate(model);
    for (const Differentiated* other : {&cheap, &blocks}) {
      const std::vector<std::vector<double>> gradients = other->evaluate(model);
      ASSERT_EQ(gradients.size(), expected.size());
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        EXPECT_EQ(gradients[i], expected[i]) << model.parameters()[i].name;
        double norm = 0;
        for (const double g : gradients[i]) norm += g * g;
        EXPECT_GT(norm, 0) << model.parameters()[i].name;
      }
    }
  }
}

TEST(Differentiate, OfARecomputedSegmentOnlyItsInputsAreKept) {
  for (const ModelConfig& config : recomputed_models()) {
    const models::LanguageModel model(config);
    const Differentiated built(model, {.recompute_segments = true});
    const std::vector<graph::Node>& nodes = built.graph.nodes();
    const auto segment_of = [&](Value value) {
      const std::int32_t producer = value ? built.graph.info(value).producer : -1;
      return producer < 0 ? -1 : nodes[static_cast<std::size_t>(producer)].segment;
    };
    std::set<Value> crossing;  // what leaves a segment: the next one's input
    for (std::size_t n = 0; n < built.forward_nodes; ++n)
      for (Value input : nodes[n].inputs)
        if (segment_of(input) >= 0 && segment_of(input) != nodes[n].segment) crossing.insert(input);
    EXPECT_EQ(crossing.size(), 3u) << "one value a block";
    for (std::size_t n = built.forward_nodes; n < nodes.size(); ++n) {
      EXPECT_EQ(nodes[n].segment, -1) << nodes[n].label;
      for (Value input : nodes[n].inputs)
        EXPECT_TRUE(segment_of(input) < 0 || crossing.contains(input))
            << nodes[n].label << " reads " << built.graph.info(input).name << " of the forward pass";
    }
  }
}

}  // namespace
}  // namespace fabula::test
