// Matrices that are larger than what a device can bind at once: the blocks of M, N and K that matmul is launched in.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "base/fail.hpp"
#include "graph/check.hpp"
#include "graph/workload.hpp"
#include "ops/matmul_plan.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "temp_dir.hpp"
#include "vk/shader_table.hpp"

namespace fabula::test {
namespace {

using graph::OpCase;
using graph::Shape;

constexpr std::uint64_t kRange = 65536;         // bytes a binding
constexpr std::uint64_t kTexelElements = 2560;  // 40 KiB a texel view: cuts again, elsewhere

std::unique_ptr<vk::Device> open_small_device(const TempDir& folder) {
  const auto file = folder.path() / "limits.json";
  std::ofstream(file) << "{\"max_storage_range\": " << kRange << ", \"max_texel_elements\": " << kTexelElements << "}";
  vk::DeviceOptions options;
  options.device = std::to_string(device().info().index);
  options.limits = file.string();
  options.cache_dir = "none";
  return vk::Device::open(options);
}

struct Layout {
  const char* name;
  const char* transposed;  // attribute; null: none
};

OpCase make_case(const Layout& layout, std::int64_t m, std::int64_t n, std::int64_t k) {
  const bool nt = layout.name == std::string("nt"), tn = layout.name == std::string("tn");
  OpCase c;
  c.name = fmt::format("{}_{}x{}x{}", layout.name, m, n, k);
  if (layout.transposed) c.attrs.set(layout.transposed, 1);
  c.inputs = {{.shape = tn ? Shape{k, m} : Shape{m, k}},
              {.shape = nt ? Shape{n, k} : Shape{k, n}},
              {.shape = {1, n}},
              {.shape = {m, n}}};
  c.relative = 6e-6;
  return c;
}

/// Launches of the first variant, without a device.
std::size_t count_steps(const OpCase& c, const vk::DeviceProfile& profile, const std::string& variant) {
  graph::Graph graph(ops::op_table());
  std::vector<graph::Value> inputs;
  for (const OpCase::Input& input : c.inputs)
    inputs.push_back(graph.state(fmt::format("in{}", inputs.size()), input.shape));
  graph.op("matmul", inputs, c.attrs);
  graph::Workload workload(profile, variant);
  workload.add("matmul", graph);
  return workload.graphs().front().program.steps.size();
}

class MatmulBlocks : public testing::TestWithParam<Layout> {
 protected:
  void check(const OpCase& c) {
    const auto small = open_small_device(folder_);
    EXPECT_GT(count_steps(c, small->profile(), "tile64"), 1u) << c.name << " fits one launch and tests nothing";
    for (const auto& result : graph::check_case(*small, ops::op_table(), ops::op_table().find("matmul"), c,
                                                {.repeats = 2, .variants = thin() ? 1u : SIZE_MAX}))
      EXPECT_TRUE(result.ok) << c.name << " variant '" << result.variant << "': " << result.detail;
  }
  TempDir folder_;
};

TEST_P(MatmulBlocks, RowsOfEveryOperandAreCut) {
  check(make_case(GetParam(), 200, 150, 210));
}

TEST_P(MatmulBlocks, BlocksOfKMeetSplitK) {
  // b of nn and both of tn have 1500 rows of 80 bytes: two blocks of K, of several pieces each. A row of nt is never
  // cut.
  check(make_case(GetParam(), 10, 20, GetParam().name == std::string("nt") ? 700 : 1500));
}

TEST_P(MatmulBlocks, RowsOfSixteenBitsAreCut) {
  OpCase c = make_case(GetParam(), 200, 150, 210);
  for (std::size_t i : {0, 1, 3}) c.inputs[i].dtype = graph::DType::kF16;  // a, b, residual
  check(c);
}

INSTANTIATE_TEST_SUITE_P(Layouts, MatmulBlocks,
                         testing::Values(Layout{"nn", nullptr}, Layout{"nt", "transpose_b"},
                                         Layout{"tn", "transpose_a"}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(MatmulPlan, SplitsKOnlyWherePartsAreFew) {
  vk::DeviceProfile profile;
  profile.device_class = vk::DeviceClass::kDiscrete;
  const auto split = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    return ops::matmul_split({ops::MatmulLayout::kTN, m, n, k}, profile, ops::kMatmulTile128);
  };
  EXPECT_EQ(split(4096, 4096, 4096).count, 1);
  EXPECT_EQ(split(16384, 1024, 256).count, 1);
  const ops::MatmulSplit pieces = split(256, 256, 16384);
  EXPECT_EQ(pieces.count, 64);
  EXPECT_EQ(pieces.depth % 64, 0);
  EXPECT_GE(pieces.count * pieces.depth, 16384);
  EXPECT_LT((pieces.count - 1) * pieces.depth, 16384) << "the last piece is empty";
  EXPECT_EQ(split(8, 8, 300).count, 1) << "too little of K to share";
}

TEST(MatmulPlan, LargeTilesWhereTheyKeepALargeDeviceBusy) {
  vk::DeviceProfile profile;
  profile.device_class = vk::DeviceClass::kDiscrete;
  profile.limits.max_invocations = profile.limits.max_workgroup_size[0] = 256;
  profile.limits.max_shared_memory = 48 * 1024;
  profile.features.subgroup_shuffle = profile.features.full_subgroups = true;
  profile.features.min_subgroup_size = profile.features.max_subgroup_size = 32;
  using ops::MatmulLayout;
  const auto best = [&](MatmulLayout layout, std::int64_t m, std::int64_t n, std::int64_t k) {
    return ops::matmul_variants({layout, m, n, k}, false, profile).front();
  };
  EXPECT_EQ(best(MatmulLayout::kNN, 16384, 256, 1024), "tile256");
  EXPECT_EQ(best(MatmulLayout::kTN, 256, 768, 16384), "tile256");
  EXPECT_EQ(best(MatmulLayout::kNT, 16384, 256, 1024), "tile128") << "there is no larger one";
  EXPECT_EQ(best(MatmulLayout::kNN, 16384, 384, 256), "tile128") << "a quarter of the larger one's work would be lost";
  EXPECT_EQ(best(MatmulLayout::kNN, 16384, 512, 128), "tile128") << "too little of K for one workgroup a core";
  EXPECT_EQ(best(MatmulLayout::kNN, 4096, 512, 256), "tile64") << "one workgroup a core";
  EXPECT_EQ(best(MatmulLayout::kNN, 512, 512, 256), "tile64");
  vk::DeviceProfile unknown = profile;
  unknown.features = {};
  EXPECT_EQ(ops::matmul_variants({MatmulLayout::kNN, 16384, 256, 1024}, false, unknown).front(), "lean64");
  profile.device_class = vk::DeviceClass::kIntegrated;
  const auto offered = [&](MatmulLayout layout) {
    return ops::matmul_variants({layout, 16384, 256, 1024}, false, profile);
  };
  EXPECT_EQ(offered(MatmulLayout::kNN), (std::vector<std::string>{"lean64", "tile64", "tile128"}));
  EXPECT_EQ(offered(MatmulLayout::kNT), (std::vector<std::string>{"lean64", "tile64"})) << "the others spill";
  EXPECT_EQ(offered(MatmulLayout::kTN), (std::vector<std::string>{"lean64", "tile64"}));
  profile.device_class = vk::DeviceClass::kSoftware;
  EXPECT_EQ(best(MatmulLayout::kNN, 16384, 256, 1024), "tile64");
}

TEST(MatmulPlan, FewerSumsAnInvocationFirstWhereRegistersAreFew) {
  using vk::DeviceClass;
  const auto offered = [](DeviceClass device_class, std::uint32_t least, std::uint32_t most) {
    vk::DeviceProfile profile;
    profile.device_class = device_class;
    profile.limits.max_invocations = profile.limits.max_workgroup_size[0] = 1024;
    profile.limits.max_shared_memory = 64 * 1024;
    vk::Features& features = profile.features;
    features.subgroup_shuffle = features.full_subgroups = least > 0;
    features.subgroup_size_control = least != most;
    features.min_subgroup_size = least;
    features.max_subgroup_size = most;
    return ops::matmul_variants({ops::MatmulLayout::kTN, 512, 512, 256}, false, profile);
  };
  using Names = std::vector<std::string>;
  const Names lean_first{"lean64", "tile64"}, lean_first_of_all{"lean64", "tile64", "tile128", "tile256"},
      without{"tile64", "tile128", "tile256"};
  EXPECT_EQ(offered(DeviceClass::kDiscrete, 32, 32), without) << "NVIDIA";
  EXPECT_EQ(offered(DeviceClass::kDiscrete, 32, 64), without) << "RDNA";
  EXPECT_EQ(offered(DeviceClass::kDiscrete, 64, 64), lean_first_of_all) << "Polaris, Vega";
  EXPECT_EQ(offered(DeviceClass::kDiscrete, 8, 32), lean_first_of_all) << "Arc";
  EXPECT_EQ(offered(DeviceClass::kDiscrete, 0, 0), lean_first_of_all) << "nothing is known of it";
  EXPECT_EQ(offered(DeviceClass::kSoftware, 8, 8), without);
  EXPECT_EQ(offered(DeviceClass::kIntegrated, 64, 64), lean_first) << "Vega";
  EXPECT_EQ(offered(DeviceClass::kIntegrated, 32, 64), lean_first) << "RDNA";
  EXPECT_EQ(offered(DeviceClass::kIntegrated, 8, 32), lean_first) << "Intel";
  EXPECT_EQ(offered(DeviceClass::kIntegrated, 0, 0), lean_first);
  EXPECT_EQ(offered(DeviceClass::kVirtual, 0, 0), lean_first);
  EXPECT_EQ(offered(DeviceClass::kOther, 0, 0), lean_first);
}

TEST(MatmulPlan, BaselineAloneWithoutFeatures) {
  const vk::DeviceProfile minimum;
  graph::Graph graph(ops::op_table());
  graph.op("matmul", {graph.state("a", {100, 100}), graph.state("b", {100, 100})});
  EXPECT_EQ(graph::variants_of(graph, graph.nodes().front(), minimum), (std::vector<std::string>{"lean64", "tile64"}));
}

TEST(MatmulPlan, CooperativeMatricesForTheTypesThatTheDeviceHasThemFor) {
  if (vk::find_shader("matmul_coop_nv_nn") == nullptr)
    GTEST_SKIP() << "this build's compiler knows no GL_NV_cooperative_matrix";
  vk::DeviceProfile profile;
  profile.device_class = vk::DeviceClass::kDiscrete;
  profile.limits.max_invocations = profile.limits.max_workgroup_size[0] = 1024;
  profile.limits.max_shared_memory = 48 * 1024;
  const auto variants = [&](graph::DType dtype, std::int64_t rows) {
    graph::Graph graph(ops::op_table());
    graph.op("matmul", {graph.state("a", {rows, 256, dtype}), graph.state("b", {256, 256, dtype})});
    return graph::variants_of(graph, graph.nodes().front(), profile);
  };
  const auto has_coop = [](const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(), ops::is_matmul_coop);
  };
  EXPECT_FALSE(has_coop(variants(graph::DType::kF16, 1024))) << "without the feature";
  profile.features.cooperative_matrix_nv = true;
  EXPECT_FALSE(has_coop(variants(graph::DType::kF16, 1024))) << "without subgroups of 32";
  profile.features.full_subgroups = profile.features.subgroup_size_control = true;
  profile.features.min_subgroup_size = profile.features.max_subgroup_size = 32;
  EXPECT_EQ(variants(graph::DType::kF16, 1024).front(), "coop_nv");
  EXPECT_NE(variants(graph::DType::kF16, 1).front(), "coop_nv") << "a single row fills no tile";
  EXPECT_FALSE(has_coop(variants(graph::DType::kF32, 1024)));
  EXPECT_FALSE(has_coop(variants(graph::DType::kBF16, 1024)));
  profile.features.cooperative_matrix_khr = true;
  EXPECT_EQ(variants(graph::DType::kF16, 1024).front(), "coop_khr") << "KHR's form is the faster one";
  EXPECT_FALSE(has_coop(variants(graph::DType::kBF16, 1024)));
  profile.features.cooperative_matrix_bf16 = true;
  EXPECT_EQ(variants(graph::DType::kBF16, 1024).front(), "coop_khr_bf16");
  const auto longer = [&](ops::MatmulLayout layout, std::int64_t k) {
    return ops::matmul_variants({layout, 4096, 4096, k}, false, profile, graph::DType::kF16).front();
  };
  EXPECT_EQ(longer(ops::MatmulLayout::kNN, 4096), "coop_khr_wide");
  EXPECT_EQ(longer(ops::MatmulLayout::kTN, 256), "coop_khr");
  profile.features.max_subgroup_size = 64;
  EXPECT_EQ(longer(ops::MatmulLayout::kNN, 4096), "coop_khr") << "on RDNA3 the wide one spills";
  profile.features.max_subgroup_size = 32;
  const auto gradient = [&](std::int64_t m, std::int64_t n, graph::DType dtype) {  // K is cut
    return ops::matmul_variants({ops::MatmulLayout::kTN, m, n, 16384}, false, profile, dtype);
  };
  EXPECT_EQ(gradient(256, 1024, graph::DType::kF16).front(), "coop_khr_wide") << "16 pieces of 1,024";
  EXPECT_EQ(gradient(256, 256, graph::DType::kF16).front(), "coop_khr") << "32 of 512";
  EXPECT_EQ(gradient(256, 1024, graph::DType::kBF16).front(), "coop_khr_wide_bf16");
  profile.limits.max_invocations = 128;
  const auto few = gradient(256, 256, graph::DType::kF16);
  EXPECT_EQ(few.front(), "coop_khr_wide") << "the other takes 256 invocations";
  EXPECT_EQ(std::count(few.begin(), few.end(), "coop_khr"), 0);
  profile.limits.max_invocations = 1024;
  EXPECT_EQ(variants(graph::DType::kF16, 1024).front(), "coop_khr");
  profile.limits.max_shared_memory = 16 * 1024;
  EXPECT_FALSE(has_coop(variants(graph::DType::kF16, 1024))) << "with too little shared memory";
}

TEST(MatmulShapes, RefusesWhatDoesNotFit) {
  graph::Graph graph(ops::op_table());
  const graph::Value a = graph.state("a", {3, 4}), b = graph.state("b", {4, 5}), bad_bias = graph.state("bias", {1, 4});
  EXPECT_THROW(graph.op("matmul", {b, a}), Error);
  EXPECT_THROW(graph.op("matmul", {a, b}, {{"transpose_b", 1}}), Error);
  EXPECT_THROW(graph.op("matmul", {a, b}, {{"transpose_a", 1}, {"transpose_b", 1}}), Error);
  EXPECT_THROW(graph.op("matmul", {a, b, bad_bias}), Error);
  EXPECT_EQ(graph.shape(graph.op1("matmul", {a, b})), (Shape{3, 5}));
}

}  // namespace
}  // namespace fabula::test
