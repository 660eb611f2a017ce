// What the host gives a graph: constants once for all graphs, inputs for each; and nothing is read that was never
// given.
#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "graph/device_test.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Runtime;
using graph::Value;
using graph::Workload;

const std::vector<float> kTable{0, 1, 10, 11, 20, 21};

/// Rows of a parameter [3, 2], those that the constant "rows" says, plus the input "shift".
struct Rows {
  Graph graph{ops::op_table()};
  Value table = graph.parameter("table", {3, 2});
  Value rows = graph.constant("rows", {1, 2, DType::kU32});
  Value sum = graph.op1("add", {graph.op1("embedding", {rows, table}), graph.input("shift", {2, 2}, DType::kF32)});
  Rows() { graph.keep(sum); }
};

class Constants : public DeviceTest {
 protected:
  Constants() {
    Workload workload(device_->profile());
    for (const char* name : {"first", "second"}) workload.add(name, Rows().graph);
    runtime_.emplace(*device_, std::move(workload));
    runtime_->upload("table", kTable);
  }
  std::vector<float> run(std::size_t graph) {
    runtime_->submit({graph});
    return runtime_->read(graph, Rows().sum);
  }
  const std::vector<std::uint32_t> words_{2, 0};
  const std::vector<float> shift_{0.5f, 0, 0, 0};
  std::optional<Runtime> runtime_;
};

TEST_F(Constants, AreGivenOnceToAllGraphs) {
  EXPECT_EQ(runtime_->workload().report().constants, 16u);
  runtime_->upload("rows", words_);
  for (const std::size_t graph : {0, 1}) {
    runtime_->set_input(graph, "shift", shift_);
    EXPECT_EQ(run(graph), (std::vector<float>{20.5f, 21, 0, 1})) << "graph " << graph;
  }
}

TEST_F(Constants, NeverGivenAreAnErrorAtTheFirstRun) {
  for (const std::size_t graph : {0, 1}) runtime_->set_input(graph, "shift", shift_);
  expect_error(ErrorCode::kInternal, {"\"first\"", "constant \"rows\"", "never given"}, [&] { run(0); });
  expect_error(ErrorCode::kInternal, {"\"second\"", "constant \"rows\"", "never given"}, [&] { run(1); });
  EXPECT_EQ(runtime_->last_run(0), 0u) << "what was refused did not run";
  runtime_->upload("rows", words_);
  for (const std::size_t graph : {0, 1}) EXPECT_EQ(run(graph).front(), 20.5f);
}

TEST_F(Constants, AndInputsToo) {
  runtime_->upload("rows", words_);
  runtime_->set_input(0, "shift", shift_);
  EXPECT_EQ(run(0).front(), 20.5f);
  expect_error(ErrorCode::kInternal, {"\"second\"", "input \"shift\"", "never given"}, [&] { run(1); });
  EXPECT_EQ(run(0).front(), 20.5f) << "an input stays as it was set";
}

TEST_F(Constants, WhatNoNodeReadsNeedNotBeGiven) {
  Rows graphs;
  graphs.graph.constant("unread", {1, 4, DType::kU32});
  graphs.graph.input("unread input", {1, 4}, DType::kU32);
  Workload workload(device_->profile());
  workload.add("reads", std::move(graphs.graph));
  runtime_.emplace(*device_, std::move(workload));
  runtime_->upload("rows", words_);
  runtime_->set_input(0, "shift", shift_);
  EXPECT_EQ(run(0), (std::vector<float>{0.5f, 0, 0, 0})) << "a parameter starts as zeros";
}

TEST(ConstantValues, AreNotWritten) {
  Graph graph(ops::op_table());
  const Value constant = graph.constant("c", {1, 4});
  expect_error(ErrorCode::kInternal, {"add_into", "constant \"c\""}, [&] {
    graph.op("add_into", {constant, graph.parameter("p", {1, 4})});
  });
}

TEST(ConstantValues, TakeNoGradient) {
  Graph graph(ops::op_table());
  const Value a = graph.parameter("a", {2, 3}), c = graph.constant("c", {3, 4});
  const Value y = graph.op1("matmul", {a, c});
  const std::size_t forward = graph.nodes().size();
  const std::vector<Value> d =
      differentiate(graph, std::vector<graph::Seed>{{y, graph.parameter("d_y", {2, 4})}}, std::vector<Value>{a, c});
  EXPECT_TRUE(d[0]);
  EXPECT_FALSE(d[1]);
  EXPECT_EQ(graph.nodes().size(), forward + 1) << "only d_a is computed";
}

TEST(ConstantValues, AreNoStatesOfAnotherGraph) {
  Workload workload(vk::DeviceProfile{});
  const auto add = [&](const char* name, bool constant) {
    Graph graph(ops::op_table());
    constant ? graph.constant("x", {1, 4}) : graph.state("x", {1, 4});
    workload.add(name, std::move(graph));
  };
  add("first", true);
  expect_error(ErrorCode::kInternal, {"\"first\"", "constant [1, 4]", "\"second\"", "state [1, 4]"},
               [&] { add("second", false); });
}

TEST(ConstantValues, MustBeFilledForTheReferences) {
  const Rows rows;
  std::vector<graph::RefTensor<double>> values(rows.graph.values().size());
  for (std::size_t id = 0; id < values.size(); ++id)
    if (rows.graph.values()[id].role != graph::Role::kConstant)
      values[id] = graph::RefTensor<double>(rows.graph.values()[id].shape);
  expect_error(ErrorCode::kInternal, {"\"rows\"", "not filled"}, [&] { interpret(rows.graph, values); });
}

}  // namespace
}  // namespace fabula::test
