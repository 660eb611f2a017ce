// The grouped matrix products where positions, weight rows or both are more than a device can bind at once; the windows
// of their weight gradient; and what they refuse.
#include "ops/grouped_matmul.hpp"

#include <gtest/gtest.h>

#include "base/fail.hpp"
#include "graph/check.hpp"
#include "graph/workload.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::OpCase;
using graph::OpEntry;
using graph::Shape;
using graph::Value;

struct Setting {
  const char* op_case;
  std::uint64_t range;  ///< bytes a binding: plan and rows fit, the products' operands do not
};

std::size_t count_steps(const OpEntry& op, const OpCase& c, const vk::DeviceProfile& profile) {
  Graph graph(ops::op_table());
  std::vector<Value> inputs;
  for (const OpCase::Input& input : c.inputs) {
    const std::string name = fmt::format("in{}", inputs.size());
    inputs.push_back(!input.present               ? Value{}
                     : input.dtype == DType::kU32 ? graph.input(name, input.shape, input.dtype)
                                                  : graph.state(name, input.shape));
  }
  graph.op(op.def->name, inputs, c.attrs);
  graph::Workload workload(profile);
  workload.add("op", graph);
  return workload.graphs().front().program.steps.size();
}

class GroupedMatmulBlocks : public testing::TestWithParam<Setting> {
 protected:
  void check(const char* name) {
    const OpEntry& op = ops::op_table().find(name);
    vk::DeviceProfile profile = device().profile();
    profile.limits.max_storage_range = GetParam().range;
    profile.limits.max_texel_elements = static_cast<std::uint32_t>(GetParam().range / 32);  // cuts elsewhere
    const std::vector<OpCase> cases = op.cases();
    const auto found =
        std::find_if(cases.begin(), cases.end(), [](const OpCase& c) { return c.name == GetParam().op_case; });
    ASSERT_NE(found, cases.end()) << name << " has no case " << GetParam().op_case;
    EXPECT_GT(count_steps(op, *found, profile), count_steps(op, *found, device().profile()))
        << "the limit cuts nothing: the test tests nothing";
    for (const auto& result :
         graph::check_case(device(), ops::op_table(), op, *found, {.repeats = 2, .profile = &profile}))
      EXPECT_TRUE(result.ok) << result.op << "/" << result.case_name << " variant '" << result.variant
                             << "': " << result.detail;
  }
};

TEST_P(GroupedMatmulBlocks, Forward) {
  check("grouped_matmul");
}
TEST_P(GroupedMatmulBlocks, BackwardX) {
  check("grouped_matmul_backward_x");
}
TEST_P(GroupedMatmulBlocks, BackwardWeight) {
  check("grouped_matmul_backward_weight");
}

class GroupedLossBlocks : public GroupedMatmulBlocks {};
TEST_P(GroupedLossBlocks, Fused) {
  check("fused_grouped_cross_entropy");
}

// Positions and weight rows are cut; positions alone, with windows.
INSTANTIATE_TEST_SUITE_P(Cases, GroupedLossBlocks,
                         testing::Values(Setting{"blocks_700x40", 48 << 10}, Setting{"windows_1700x18", 96 << 10}),
                         [](const auto& setting) { return std::string(setting.param.op_case); });

// Positions and weight rows are cut; positions alone, below the windows too; weight rows alone.
INSTANTIATE_TEST_SUITE_P(Cases, GroupedMatmulBlocks,
                         testing::Values(Setting{"tile_200x64x5x65", 32 << 10},
                                         Setting{"windows_1700x18x2x9", 64 << 10},
                                         Setting{"wide_6x40x3x1500", 64 << 10}),
                         [](const auto& setting) { return std::string(setting.param.op_case); });

// A lane that walked a row of 70,000 logits alone would come near the loop limit of a software driver.
TEST(GroupedLoss, LargeGroupsAreSpreadOverLanes) {
  vk::DeviceProfile profile = device().profile();
  profile.device_class = vk::DeviceClass::kSoftware;
  const auto lanes = [&](std::int64_t slots) {
    Graph graph(ops::op_table());
    graph.op(
        "fused_grouped_cross_entropy",
        {graph.state("x", {64, 4}), graph.state("weight", {slots, 4}), graph.input("rows", {1, slots}, DType::kU32),
         graph.state("shift", {1, slots}), graph.input("plan", {1, GroupPlanLayout(64, 1, slots).words}, DType::kU32)});
    graph::Workload workload(profile);
    workload.add("op", graph);
    for (const graph::Step& step : workload.graphs().front().program.steps)
      if (step.shader == "fused_grouped_cross_entropy") return step.constants.at(1);
    return 0u;
  };
  EXPECT_EQ(lanes(100), 1u);
  EXPECT_EQ(lanes(70'000), 16u);
}

TEST(GroupedMatmulWindows, AreBoundedAndCoverNoMoreThanThePositions) {
  const auto windows = [](std::int64_t positions, std::int64_t slots, std::int64_t depth, std::int64_t range) {
    return ops::grouped_windows({positions, depth, slots, 1, slots}, range);
  };
  EXPECT_EQ(windows(511, 225, 256, INT64_MAX).count, 0);
  EXPECT_EQ(windows(16384, 225, 256, INT64_MAX).count, 32);
  EXPECT_EQ(windows(262144, 8, 8, INT64_MAX).count, 64);
  EXPECT_EQ(windows(16384, 5000, 3000, INT64_MAX).count, 0) << "one window's sums are above 32 MiB";
  for (const std::int64_t positions : {512, 1700, 16384, 100'001, 262'144}) {
    for (const std::int64_t range : {64 << 10, 1 << 20, 128 << 20}) {
      const ops::GroupedWindows plan = windows(positions, 65, 100, range);
      EXPECT_LE(plan.count * plan.length, positions);
      EXPECT_LE((Shape{plan.count * 65, 100}.bytes()), range);
    }
  }
}

TEST(GroupedMatmulShapes, RefusesWhatDoesNotFit) {
  Graph graph(ops::op_table());
  const Value x = graph.state("x", {10, 4}), weight = graph.state("weight", {12, 4}), none;
  const Value rows = graph.input("rows", {1, 12}, DType::kU32), shift = graph.state("shift", {3, 4});
  const Value plan = graph.input("plan", {1, GroupPlanLayout(10, 3).words}, DType::kU32);
  const Value narrow = graph.state("narrow", {12, 3}), float_rows = graph.state("float_rows", {1, 12});
  const auto forward = [&](Value a, Value b, Value r, Value s, Value p, double groups) {
    return graph.op1("grouped_matmul", {a, b, r, s, p}, {{"groups", groups}});
  };
  EXPECT_EQ(graph.shape(forward(x, weight, rows, shift, plan, 3)), (Shape{10, 4}));
  EXPECT_EQ(graph.shape(forward(x, weight, rows, none, plan, 3)), (Shape{10, 4}));
  EXPECT_THROW(forward(x, narrow, rows, none, plan, 3), Error);
  EXPECT_THROW(forward(x, weight, float_rows, none, plan, 3), Error);
  EXPECT_THROW(forward(x, weight, rows, weight, plan, 3), Error);
  EXPECT_THROW(forward(x, weight, rows, none, plan, 2), Error) << "a plan of three groups";
  EXPECT_THROW(forward(x, weight, rows, none, plan, 5), Error) << "12 rows for 5 groups";
  EXPECT_THROW(forward(x, weight, rows, none, plan, 0), Error);
  const Value d_z = graph.state("d_z", {10, 4});
  EXPECT_EQ(graph.shape(graph.op1("grouped_matmul_backward_x", {d_z, weight, rows, plan})), (Shape{10, 4}));
  EXPECT_THROW(graph.op1("grouped_matmul_backward_x", {weight, weight, rows, plan}), Error);
  const Value rounds = graph.input("rounds", {1, GroupPlanLayout(10, 3, 4).words}, DType::kU32);
  const Value scale = graph.state("scale", {1, 4});
  EXPECT_EQ(graph.op("fused_grouped_cross_entropy", {x, weight, rows, shift, rounds}).size(), 3u);
  EXPECT_EQ(graph.op("fused_grouped_cross_entropy", {x, weight, rows, shift, rounds, scale}).size(), 6u);
  EXPECT_THROW(graph.op("fused_grouped_cross_entropy", {x, weight, rows, shift, plan}), Error) << "no rounds";
  EXPECT_THROW(graph.op("fused_grouped_cross_entropy", {x, narrow, rows, shift, rounds}), Error);
  EXPECT_THROW(graph.op("fused_grouped_cross_entropy", {x, weight, float_rows, shift, rounds}), Error);
  EXPECT_THROW(graph.op("fused_grouped_cross_entropy", {x, weight, rows, shift, rounds, shift}), Error);
  EXPECT_THROW(graph.op1("grouped_matmul_backward_weight", {d_z, x, rows, plan}, {{"groups", 3}, {"weight_rows", 0}}),
               Error);
  EXPECT_THROW(
      graph.op1("grouped_matmul_backward_weight", {d_z, weight, rows, plan}, {{"groups", 3}, {"weight_rows", 12}}),
      Error);
}

}  // namespace
}  // namespace fabula::test
