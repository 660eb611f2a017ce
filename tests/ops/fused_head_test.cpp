// The fused loss against the one that stores all logits: the same numbers to rounding, in less memory.
#include <gtest/gtest.h>

#include <cmath>

#include "expect_error.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Value;

struct Sizes {
  std::int64_t positions, vocabulary, hidden;
};
struct HeadGraph {
  Graph graph;
  std::vector<Value> kept;  // mean, loss, then the gradients of h, weight and bias
};

HeadGraph head_graph(const Sizes& sizes, bool fused) {
  HeadGraph result{Graph(ops::op_table()), {}};
  Graph& graph = result.graph;
  const Value h = graph.parameter("h", {sizes.positions, sizes.hidden});
  const Value weight = graph.parameter("weight", {sizes.vocabulary, sizes.hidden});
  const Value bias = graph.parameter("bias", {1, sizes.vocabulary});
  const Value labels = graph.input("labels", {1, sizes.positions}, DType::kU32);
  const Value scale = graph.input("scale", {1, 4}, DType::kF32);
  Value mean, loss;
  if (fused) {
    const std::vector<Value> out = graph.op("fused_cross_entropy", {h, weight, labels, bias, scale});
    mean = out[0], loss = out[1];
  } else {
    const Value logits = graph.op1("matmul", {h, weight, bias}, {{"transpose_b", 1}});
    loss = graph.op1("cross_entropy", {logits, labels});
    mean = graph.op1("mean_loss", {loss, scale});
  }
  const Value one = graph.op1("fill", {}, {{"rows", 1}, {"cols", 1}, {"value", 1}});
  result.kept = {mean, loss};
  for (Value d :
       graph::differentiate(graph, std::vector<graph::Seed>{{mean, one}}, std::vector<Value>{h, weight, bias}))
    result.kept.push_back(d);
  for (Value value : result.kept) graph.keep(value);
  return result;
}

using Results = std::vector<std::vector<float>>;
Results run(const Sizes& sizes, bool fused, std::uint64_t max_storage_range,
            std::uint64_t max_allocation = UINT64_MAX) {
  HeadGraph head = head_graph(sizes, fused);
  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = std::min(profile.limits.max_storage_range, max_storage_range);
  profile.limits.max_allocation = std::min(profile.limits.max_allocation, max_allocation);
  graph::Workload workload(profile);
  workload.add("head", std::move(head.graph));
  graph::Runtime runtime(device(), std::move(workload));
  Philox random(3);
  for (const auto& [name, stored] : runtime.workload().stored()) {
    std::vector<float> data(static_cast<std::size_t>(stored.shape.count()));
    for (float& x : data) x = static_cast<float>(0.4 * random.normal());
    runtime.upload(name, data);
  }
  std::vector<std::uint32_t> labels(static_cast<std::size_t>(sizes.positions));
  for (std::size_t n = 0; n < labels.size(); ++n)
    labels[n] = n % 11 == 4 ? 0xFFFFFFFFu : random.below(static_cast<std::uint32_t>(sizes.vocabulary));
  runtime.set_input(0, "labels", std::span<const std::uint32_t>(labels));
  const std::vector<float> scale{1.0f / static_cast<float>(sizes.positions), 0, 0, 0};
  runtime.set_input(0, "scale", std::span<const float>(scale));
  runtime.fill_arena(0x7FC0DEAD);
  runtime.submit({0});
  Results results;
  for (Value value : head.kept) results.push_back(runtime.read(0, value));
  return results;
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double(a[i]) - b.at(i), 2);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

TEST(FusedHead, EqualsTheFullHeadHoweverItIsCut) {
  const Sizes sizes{330, 2100, 24};
  const Results full = run(sizes, false, UINT64_MAX);
  for (const std::uint64_t range : {UINT64_MAX, std::uint64_t{256} << 10}) {  // one block; chunks and blocks
    const Results fused = run(sizes, true, range);
    EXPECT_NEAR(fused[0][0], full[0][0], 1e-5);
    EXPECT_LT(relative_difference(fused[1], full[1]), 1e-5) << "losses";
    for (std::size_t i = 2; i < full.size(); ++i)
      EXPECT_LT(relative_difference(fused[i], full[i]), 1e-5) << "gradient " << i - 2;
  }
}

// A chunk's logits lie in one piece of memory, whatever the piece's size: no block of columns may straddle two.
TEST(FusedHead, EqualsTheFullHeadInSmallAllocations) {
  const Sizes sizes{330, 2100, 24};
  const Results full = run(sizes, false, UINT64_MAX);
  for (const std::uint64_t allocation : {std::uint64_t{700} << 10, std::uint64_t{1100} << 10}) {
    const Results fused = run(sizes, true, std::uint64_t{192} << 10, allocation);
    EXPECT_NEAR(fused[0][0], full[0][0], 1e-5);
    for (std::size_t i = 2; i < full.size(); ++i)
      EXPECT_LT(relative_difference(fused[i], full[i]), 1e-5) << "gradient " << i - 2;
  }
}

TEST(FusedHead, AVocabularyBeyondAnAllocationIsRefused) {
  expect_error(ErrorCode::kUnsupported, {"2100 tokens", "at once"}, [] {
    run({64, 2100, 24}, true, UINT64_MAX, std::uint64_t{256} << 10);
  });
}

std::uint64_t planned_bytes(const Sizes& sizes, bool fused) {
  graph::Workload workload(device().profile());
  workload.add("head", head_graph(sizes, fused).graph);
  return workload.report().activations;
}

// What is left is a chunk, whatever N and V are.
TEST(FusedHead, MemoryDoesNotGrowWithPositionsTimesVocabulary) {
  constexpr std::uint64_t kChunk = 256ull << 20;
  const auto results = [](const Sizes& s) {  // what is kept: gradients and losses
    return 4ull * static_cast<std::uint64_t>(s.positions * (s.hidden + 4) + s.vocabulary * (s.hidden + 4));
  };
  for (const Sizes sizes : {Sizes{16384, 50257, 64}, Sizes{4096, 200'000, 32}, Sizes{32768, 10'000, 64}})
    EXPECT_LT(planned_bytes(sizes, true), kChunk + results(sizes) + (2 << 20))
        << sizes.positions << " x " << sizes.vocabulary;
  const Sizes paper{4096, 50257, 64};
  EXPECT_GE(planned_bytes(paper, false) + kChunk, planned_bytes(paper, true) + 4096ull * 50260 * 4);
}

}  // namespace
}  // namespace fabula::test
