// What a node would take: between measured points, by its op where its kernels are unknown, and by the roof.
#include "predict/kernel_times.hpp"

#include <gtest/gtest.h>

namespace fabula::predict {
namespace {

tuning::DeviceSpeed simple_speed() {
  tuning::DeviceSpeed speed;
  speed.flops.value = 1e12;
  speed.copies = {{1e4, 4e11}, {1e8, 1e11}};
  speed.launch.value = 1e-6;
  speed.submission.value = 1e-4;
  speed.kernels = {{"matmul tile", {{1e-5, 0.25}, {1e-3, 1.0}}}, {"gelu gelu", {{1e-4, 0.8}}}};
  return speed;
}

NodeWork node_of(std::string key, double flops, double stored, double other, int launches = 1) {
  NodeWork node;
  node.op = key.substr(0, key.find(' '));
  node.key = std::move(key);
  node.flops = flops;
  node.stored_bytes = stored;
  node.other_bytes = other;
  node.launches = launches;
  return node;
}

TEST(CopyRate, LiesBetweenThePoints) {
  const tuning::DeviceSpeed speed = simple_speed();
  EXPECT_DOUBLE_EQ(copy_rate(speed, 1), 4e11);
  EXPECT_DOUBLE_EQ(copy_rate(speed, 1e4), 4e11);
  EXPECT_NEAR(copy_rate(speed, 1e6), 2e11, 1e5);  // half way by the logarithm: the geometric mean
  EXPECT_DOUBLE_EQ(copy_rate(speed, 1e12), 1e11);
}

TEST(RoofSeconds, AreOfTheNearerBound) {
  const tuning::DeviceSpeed speed = simple_speed();
  const GraphWork large{.nodes = {}, .stored_bytes = 1e9}, small{.nodes = {}, .stored_bytes = 1e4};
  EXPECT_DOUBLE_EQ(roof_seconds(speed, node_of("matmul tile", 1e9, 0, 1e4), large), 1e-3);
  // A matrix of 10 KB is as far away as all of the graph's are large; what was just written is near.
  EXPECT_DOUBLE_EQ(roof_seconds(speed, node_of("matmul tile", 0, 1e4, 0), large), 1e4 / 1e11);
  EXPECT_DOUBLE_EQ(roof_seconds(speed, node_of("matmul tile", 0, 1e4, 0), small), 1e4 / 4e11);
  EXPECT_DOUBLE_EQ(roof_seconds(speed, node_of("matmul tile", 0, 0, 1e4), large), 1e4 / 4e11);
}

TEST(KernelTimes, GoByTheKernelThenByTheOpThenByAll) {
  const tuning::DeviceSpeed speed = simple_speed();
  const KernelTimes times(speed);
  const GraphWork graph{.nodes = {}, .stored_bytes = 0};
  const auto time = [&](const NodeWork& node) { return times.time_of(node, graph); };
  const KernelTimes::Time large = time(node_of("matmul tile", 1e9, 0, 0, 3));
  EXPECT_DOUBLE_EQ(large.fixed, 3e-6);
  EXPECT_DOUBLE_EQ(large.seconds, 3e-6 + 1e-3);
  EXPECT_TRUE(large.measured);
  EXPECT_DOUBLE_EQ(time(node_of("matmul tile", 1e7, 0, 0)).seconds, 1e-6 + 1e-5 / 0.25);
  EXPECT_NEAR(time(node_of("matmul tile", 1e8, 0, 0)).seconds, 1e-6 + 1e-4 / 0.5, 1e-9);
  const KernelTimes::Time other_kernel = time(node_of("matmul another", 1e9, 0, 0));
  EXPECT_DOUBLE_EQ(other_kernel.seconds, 1e-6 + 1e-3);
  EXPECT_TRUE(other_kernel.measured);
  const KernelTimes::Time unknown = time(node_of("softmax softmax", 1e9, 0, 0));
  EXPECT_DOUBLE_EQ(unknown.seconds, 1e-6 + 1e-3 / 0.9);  // the median of 1 and 0.8
  EXPECT_FALSE(unknown.measured);
}

TEST(KernelTimes, BeyondThePointsTakeTheNearestAndTheDifference) {
  tuning::DeviceSpeed speed = simple_speed();
  // Measured small, where it waits most of the time: 20 times as long as the roof. The median share is 0.8.
  speed.kernels["attention small"] = {{1e-6, 0.05}, {2e-6, 0.1}};
  const KernelTimes times(speed);
  const GraphWork graph{.nodes = {}, .stored_bytes = 0};
  const auto seconds = [&](double flops) {
    return times.time_of(node_of("attention small", flops, 0, 0), graph).seconds;
  };
  EXPECT_NEAR(seconds(1e8), 1e-6 + 2e-6 / 0.1 + 98e-6 / 0.8, 1e-12);    // not 100e-6 / 0.1
  EXPECT_NEAR(seconds(5e5), 1e-6 + 1e-6 / 0.05 - 0.5e-6 / 0.8, 1e-12);  // it waits as long for less
  // A kernel that comes nearer its roof than others goes on as it did.
  EXPECT_NEAR(times.time_of(node_of("matmul tile", 1e10, 0, 0), graph).seconds, 1e-6 + 1e-2, 1e-9);
}

TEST(Thinned, KeepsOnePointAFactorOfFour) {
  const auto few = thinned({{9e-4, 0.9}, {1e-5, 0.1}, {2e-5, 0.3}, {3e-5, 0.2}, {1e-3, 0.7}});
  ASSERT_EQ(few.size(), 2u);
  EXPECT_DOUBLE_EQ(few[0].roof_seconds, 2e-5);
  EXPECT_DOUBLE_EQ(few[0].share, 0.2);
  EXPECT_DOUBLE_EQ(few[1].share, 0.8);
  EXPECT_TRUE(thinned({}).empty());
}

}  // namespace
}  // namespace fabula::predict
