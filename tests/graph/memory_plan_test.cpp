#include "graph/memory_plan.hpp"

#include <gtest/gtest.h>

#include "base/philox.hpp"
#include "fabula/error.hpp"
#include "graph/ownership.hpp"
#include "graph/taken_memory.hpp"
#include "ops/op_table.hpp"

namespace fabula::graph {
namespace {

/// A random straight-line graph of gelu nodes with skips (gelu_backward reads two earlier values, in place where it
/// may).
Graph random_graph(std::uint64_t seed, int nodes) {
  Philox random(seed);
  Graph graph(ops::op_table());
  std::vector<Value> values{graph.input("x", {64 + random.below(200), 4 + random.below(60)}, DType::kF32)};
  for (int n = 0; n < nodes; ++n) {
    const Value a = values[random.below(static_cast<std::uint32_t>(values.size()))];
    const Value b = values[random.below(static_cast<std::uint32_t>(values.size()))];
    values.push_back(random.below(2) ? graph.op1("gelu", {a}) : graph.op1("gelu_backward", {a, b}));
    if (random.below(10) == 0) graph.keep(values.back());
  }
  return graph;
}

TEST(ArenaPlan, NoTwoLiveValuesOverlap) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Graph graph = random_graph(seed, 60);
    const std::vector<std::vector<Shape>> scratch(graph.nodes().size(), std::vector<Shape>{{64, 8}});
    const ArenaLimits limits{.max_block = seed % 2 ? 1ull << 30 : 40000, .alignment = 256};
    const ArenaPlan plan = plan_arena(graph, scratch, limits);
    for (std::uint64_t size : plan.block_sizes) EXPECT_LE(size, limits.max_block);
    test::expect_values_survive(graph, plan);
    std::uint64_t blocks = 0;
    for (std::uint64_t size : plan.block_sizes) blocks += size;
    EXPECT_GE(blocks, plan.live_peak);
  }
}

TEST(ArenaPlan, ReusesMemoryOfTheDead) {
  Graph graph(ops::op_table());
  Value x = graph.input("x", {256, 64}, DType::kF32);
  for (int i = 0; i < 20; ++i) x = graph.op1("gelu", {x});
  graph.keep(x);
  const ArenaPlan plan = plan_arena(graph, std::vector<std::vector<Shape>>(20), {});
  ASSERT_EQ(plan.block_sizes.size(), 1u);
  EXPECT_EQ(plan.block_sizes[0], 2u * 256 * 64 * 4);
  EXPECT_EQ(plan.live_peak, 2u * 256 * 64 * 4);
}

TEST(ArenaPlan, WritesInPlaceOnlyOverTheDead) {
  Graph graph(ops::op_table());
  const Value x = graph.input("x", {256, 64}, DType::kF32);
  const Value y = graph.op1("gelu", {x});
  const Value z = graph.op1("gelu_backward", {x, y});  // y dies here: z may lie on it
  const Value w = graph.op1("gelu_backward", {x, z});
  const Value v = graph.op1("gelu_backward", {w, z});  // z is still read here, w is not the in-place input
  graph.keep(v);
  const ArenaPlan plan = plan_arena(graph, std::vector<std::vector<Shape>>(4), {});
  EXPECT_EQ(plan.interval_of[static_cast<std::size_t>(y.id)], plan.interval_of[static_cast<std::size_t>(z.id)]);
  EXPECT_NE(plan.interval_of[static_cast<std::size_t>(z.id)], plan.interval_of[static_cast<std::size_t>(w.id)]);
}

TEST(ArenaPlan, WritesOverOneOfTwoDyingInputs) {
  Graph graph(ops::op_table());
  const Value x = graph.input("x", {256, 64}, DType::kF32);
  const Value y = graph.op1("gelu", {x}), z = graph.op1("gelu", {x});
  const Value sum = graph.op1("add", {y, z});  // both die here, and add may write over either
  graph.keep(sum);
  const ArenaPlan plan = plan_arena(graph, std::vector<std::vector<Shape>>(3), {});
  const auto interval = [&](Value value) { return plan.interval_of[static_cast<std::size_t>(value.id)]; };
  EXPECT_NE(interval(y), interval(z));
  EXPECT_TRUE(interval(sum) == interval(y) || interval(sum) == interval(z));
  test::expect_values_survive(graph, plan);
}

TEST(ArenaPlan, NeverWritesOverAKeptValue) {
  Graph graph(ops::op_table());
  const Value x = graph.input("x", {256, 64}, DType::kF32);
  const Value y = graph.op1("gelu", {x});
  graph.keep(y);
  const Value z = graph.op1("gelu_backward", {x, y});  // the last node: y's last reader but for the host
  graph.keep(z);
  const ArenaPlan plan = plan_arena(graph, std::vector<std::vector<Shape>>(2), {});
  EXPECT_NE(plan.interval_of[static_cast<std::size_t>(y.id)], plan.interval_of[static_cast<std::size_t>(z.id)]);
  test::expect_values_survive(graph, plan);
}

TEST(ArenaPlan, GivesAnInputToOneOutputOnly) {
  const OpDef split{.name = "split",
                    .inputs = {"x", "y"},
                    .infer =
                        [](InferCall& call) {
                          call.output(call.in(0));
                          call.output(call.in(0));
                        },
                    .in_place = {{0, 0}, {1, 0}, {1, 1}}};
  std::vector<OpEntry> entries = ops::op_table().entries();
  entries.push_back({&split, nullptr, nullptr, nullptr});
  const OpTable table(std::move(entries));
  Graph graph(table);
  const Value x = graph.input("x", {256, 64}, DType::kF32);
  const Value a = graph.op1("gelu", {x}), b = graph.op1("gelu", {x});
  const std::vector<Value> both = graph.op("split", {a, b});  // no one reads either output
  const std::vector<Value> same = graph.op("split", {b, graph.op1("gelu", {x})});
  graph.keep(same[0]);
  const ArenaPlan plan = plan_arena(graph, std::vector<std::vector<Shape>>(graph.nodes().size()), {});
  EXPECT_NE(plan.interval_of[static_cast<std::size_t>(both[0].id)],
            plan.interval_of[static_cast<std::size_t>(both[1].id)]);
  EXPECT_NE(plan.interval_of[static_cast<std::size_t>(same[0].id)],
            plan.interval_of[static_cast<std::size_t>(same[1].id)]);
  test::expect_values_survive(graph, plan);
}

/// Values that the way back reads in the opposite order, as a training graph's are.
Graph there_and_back(int layers) {
  Graph graph(ops::op_table());
  std::vector<Value> kept{graph.input("x", {256, 64}, DType::kF32)};
  for (int i = 0; i < layers; ++i) kept.push_back(graph.op1("gelu", {kept.back()}));
  Value d = kept.back();
  for (int i = layers; i-- > 0;) d = graph.op1("gelu_backward", {kept[static_cast<std::size_t>(i)], d});
  graph.keep(d);
  return graph;
}

TEST(ArenaPlan, PlacingGrowsAsTheGraphDoes) {
  const auto plan = [](int layers) {
    const Graph graph = there_and_back(layers);
    return plan_arena(graph, std::vector<std::vector<Shape>>(graph.nodes().size(), {{64, 8}}), {});
  };
  const auto size = [](std::uint64_t layers) { return std::vector<std::uint64_t>{layers * 256 * 64 * 4 + 64 * 8 * 4}; };
  const ArenaPlan some = plan(1000), many = plan(4000);
  EXPECT_EQ(some.block_sizes, size(1000));
  EXPECT_EQ(many.block_sizes, size(4000));
  EXPECT_LT(many.looks, 6 * some.looks) << "four times the values; sixteen times the pairs of values";
  EXPECT_LT(many.looks, 4000 * 200u);
}

TEST(TakenMemory, FindsTheLowestGapAmongWhatIsAlive) {
  struct Slot {
    std::uint64_t begin, end;
    std::int32_t first, last;
  };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Philox random(seed);
    const std::int32_t nodes = 1 + static_cast<std::int32_t>(random.below(90));
    TakenMemory memory(nodes);
    std::vector<Slot> slots;
    std::uint64_t size = 0;
    for (int n = 0; n < 300; ++n) {
      const auto a = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(nodes) + 1));
      const auto b = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(nodes) + 1));
      const std::int32_t first = std::min(a, b), last = random.below(3) == 0 ? std::max(a, b) : first;
      const std::uint64_t need = 1 + random.below(5);
      // By trying one offset after the other.
      std::uint64_t expected = 0;
      const auto in_the_way = [&](const Slot& slot) {
        return slot.first <= last && first <= slot.last && slot.begin < expected + need && expected < slot.end;
      };
      while (std::any_of(slots.begin(), slots.end(), in_the_way)) ++expected;
      ASSERT_EQ(memory.lowest_gap(need, first, last), expected) << "seed " << seed << ", value " << n;
      memory.take(expected, expected + need, first, last);
      slots.push_back({expected, expected + need, first, last});
      size = std::max(size, expected + need);
      ASSERT_EQ(memory.size(), size);
    }
  }
}

TEST(LinearLayout, CutsByRowsAndRefusesWhatCannotFit) {
  LinearLayout layout(1 << 20, 256);
  const Placement placement = layout.place(Pool::kStore, "table", {5000, 100});
  std::int64_t next = 0;
  for (const Piece& piece : placement.pieces) {
    EXPECT_EQ(piece.row_begin, next);
    EXPECT_EQ(piece.row_begin % kRowQuantum, 0);
    EXPECT_EQ(piece.offset % 256, 0u);
    next = piece.row_end;
  }
  EXPECT_EQ(next, 5000);
  for (std::uint64_t size : layout.block_sizes()) EXPECT_LE(size, 1u << 20);
  EXPECT_THROW(layout.place(Pool::kStore, "wide", {64, 1 << 20}), Error);
}

}  // namespace
}  // namespace fabula::graph
