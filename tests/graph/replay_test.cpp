// Graphs replayed in one submission compute what they compute one by one, and are recorded when they are first needed.
#include <gtest/gtest.h>

#include <utility>

#include "expect_error.hpp"
#include "graph/device_test.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"
#include "vk/device_impl.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Runtime;
using graph::RuntimeOptions;
using graph::Value;
using graph::Workload;

constexpr std::int64_t kRows = 7, kCols = 13;

std::vector<float> numbers(float scale) {
  std::vector<float> result(kRows * kCols);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = scale * static_cast<float>(i % 11) - 0.3f;
  return result;
}

/// x += gelu(x) + d, many times over: more commands than one segment of a list has.
struct Walk {
  Graph graph{ops::op_table()};
  Value last;
  Walk() {
    const Value x = graph.state("x", {kRows, kCols}), d = graph.input("d", {kRows, kCols}, DType::kF32);
    for (int i = 0; i < 10; ++i) {
      last = graph.op1("add", {graph.op1("gelu", {x}), d});
      graph.op("add_into", {x, last});
    }
    graph.keep(last);
  }
};

/// The walk on a device, from one start.
class Walker {
 public:
  explicit Walker(vk::Device& device, const RuntimeOptions& options = {})
      : runtime_(device, workload(device), options) {
    runtime_.upload("x", numbers(0.01f));
    set(0.001f);
  }
  void set(float scale) { runtime_.set_input(0, "d", numbers(scale)); }
  Runtime& runtime() { return runtime_; }
  std::vector<float> result(std::optional<std::uint64_t> run = {}) { return runtime_.read(0, Walk().last, run); }
  std::vector<float> state() {
    std::vector<float> x(kRows * kCols);
    runtime_.download("x", x);
    return x;
  }

 private:
  static Workload workload(vk::Device& device) {
    Workload workload(device.profile());
    workload.add("walk", Walk().graph);
    return workload;
  }
  Runtime runtime_;
};

VKAPI_ATTR VkResult VKAPI_CALL no_submission(VkQueue, std::uint32_t, const VkSubmitInfo*, VkFence) {
  return VK_ERROR_OUT_OF_HOST_MEMORY;
}

class Replay : public DeviceTest {};

TEST_F(Replay, WhatCouldNotBeSubmittedIsNoRun) {
  Walker walker(*device_), never_failed(*device_);
  walker.runtime().prepare(std::vector<std::size_t>{0});
  const auto submit = std::exchange(device_->impl().table.vkQueueSubmit, no_submission);
  expect_error(ErrorCode::kOutOfMemory, {"walk"}, [&] { walker.runtime().submit({0}); });
  device_->impl().table.vkQueueSubmit = submit;
  expect_error(ErrorCode::kInternal, {"run 0 of graph walk is not there"}, [&] { walker.result(); });
  for (Walker* each : {&walker, &never_failed}) each->runtime().submit({0});
  EXPECT_EQ(walker.result(1), never_failed.result(1));
}

TEST_F(Replay, EightAtOnceAreEightOneByOne) {
  Walker one_by_one(*device_), at_once(*device_);
  for (int i = 0; i < 8; ++i) one_by_one.runtime().submit({0});
  at_once.runtime().replay(0, 8);
  EXPECT_EQ(at_once.result(), one_by_one.result());
  EXPECT_EQ(at_once.state(), one_by_one.state());
  EXPECT_EQ(at_once.runtime().last_run(0), 1u);
  Walker once(*device_), submitted(*device_);
  once.runtime().replay(0, 1);
  submitted.runtime().submit({0});
  EXPECT_EQ(once.result(), submitted.result());
  EXPECT_EQ(once.state(), submitted.state());
  EXPECT_NE(once.state(), at_once.state()) << "the state does not change: the test shows nothing";
}

TEST_F(Replay, InputsAndResultsAreThoseOfTheirRun) {
  Walker one_by_one(*device_), at_once(*device_);
  std::vector<std::vector<float>> expected;
  for (const auto& [scale, times] : {std::pair{0.001f, 3}, std::pair{-0.002f, 5}}) {
    one_by_one.set(scale);
    for (int i = 0; i < times; ++i) one_by_one.runtime().submit({0});
    expected.push_back(one_by_one.result());
    at_once.set(scale);
    at_once.runtime().replay(0, times);  // the second is sent while the first may be under way
  }
  EXPECT_EQ(at_once.result(1), expected[0]);
  EXPECT_EQ(at_once.result(2), expected[1]);
  EXPECT_EQ(at_once.state(), one_by_one.state());
}

TEST_F(Replay, MayBeTimed) {
  Walker plain(*device_), timed(*device_, {.timed = true, .spans = true});
  plain.runtime().replay(0, 3);
  timed.runtime().replay(0, 3);
  EXPECT_EQ(timed.state(), plain.state());
  const std::size_t commands = timed.runtime().workload().graphs()[0].program.steps.size();
  EXPECT_GT(commands, 16u) << "one segment";
  EXPECT_EQ(timed.runtime().timings(0).size(), commands);
}

TEST_F(Replay, LessThanOnceIsAnError) {
  Walker walker(*device_);
  for (const std::int64_t times : {0, -1})
    expect_error(ErrorCode::kInvalidArgument, {"\"walk\"", std::to_string(times)},
                 [&] { walker.runtime().replay(0, times); });
  EXPECT_EQ(walker.runtime().last_run(0), 0u);
}

TEST_F(Replay, AGraphIsRecordedWhenItIsFirstNeeded) {
  Workload workload(device_->profile());
  for (const char* name : {"first", "second", "third"}) workload.add(name, Walk().graph);
  const std::uint64_t before = device_->allocated();
  Runtime runtime(*device_, std::move(workload), {.timed = true});
  const std::uint64_t planned = device_->allocated();
  EXPECT_GT(planned, before);
  const auto is_recorded = [&](std::size_t graph) {
    runtime.set_input(graph, "d", numbers(1));
    runtime.submit({graph});
    runtime.wait();
    return !runtime.timings(graph).empty();
  };
  for (const std::size_t graph : {0, 1, 2}) EXPECT_THROW(runtime.barrier_count(graph), Error);
  runtime.prepare(std::vector<std::size_t>{0, 2});
  EXPECT_NO_THROW(runtime.barrier_count(0));
  EXPECT_THROW(runtime.barrier_count(1), Error) << "nobody asked for it";
  EXPECT_TRUE(is_recorded(1)) << "never prepared";
  EXPECT_TRUE(is_recorded(0));
  EXPECT_EQ(device_->allocated(), planned) << "memory is there from the start";
}

// A kernel that this device cannot make shows what is made when.
TEST_F(Replay, OnlyWhatIsNeededIsCompiled) {
  vk::DeviceProfile other = device_->profile();
  other.features.subgroup_size = other.features.min_subgroup_size = other.features.max_subgroup_size = 128;
  Graph norm(ops::op_table());
  norm.op("layer_norm", {norm.state("rows", {4, 256}), norm.parameter("w", {1, 256}), norm.parameter("b", {1, 256})},
          {{"eps", 1e-5}});
  Workload workload(other, "subgroup");
  workload.add("walk", Walk().graph);
  workload.add("norm", std::move(norm));
  Runtime runtime(*device_, std::move(workload));
  runtime.set_input(0, "d", numbers(1));
  EXPECT_NO_THROW(runtime.submit({0}));
  expect_error(ErrorCode::kInternal, {"layer_norm", "subgroups of 128"}, [&] { runtime.submit({0, 1}); });
  EXPECT_EQ(runtime.last_run(0), 1u) << "nothing of a submission runs where a part of it cannot";
  EXPECT_NO_THROW(runtime.submit({0}));
}

}  // namespace
}  // namespace fabula::test
