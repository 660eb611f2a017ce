// Attention cut into launches of whole sequences, on a device whose bindings are small; and what its kernels are on
// GPUs with few registers and little shared memory.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "graph/check.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "support/imitated_device.hpp"

namespace fabula::test {
namespace {

using graph::CheckResult;
using graph::OpCase;
using graph::OpEntry;

/// Checks one case of an op as on a device of that profile.
std::vector<CheckResult> check(const char* op_name, const char* case_name, const vk::DeviceProfile& profile) {
  const OpEntry& op = ops::op_table().find(op_name);
  const std::vector<OpCase> cases = op.cases();
  const auto found = std::find_if(cases.begin(), cases.end(), [&](const OpCase& c) { return c.name == case_name; });
  if (found == cases.end()) throw std::runtime_error(std::string("no case ") + case_name);
  return graph::check_case(device(), ops::op_table(), op, *found, {.repeats = 1, .profile = &profile});
}

/// With bindings of at most `bytes`.
std::vector<CheckResult> check_with_range(const char* op_name, const char* case_name, std::uint64_t bytes) {
  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = bytes;
  profile.limits.max_texel_elements = bytes / 16;
  return check(op_name, case_name, profile);
}

// 37 sequences of 5 rows; a row of qkv takes 384 bytes, so 28 KiB hold 74 rows: two sequences and the rows before an
// aligned start.
TEST(Attention, CutsLaunchesAtSequencesThatBeginAnywhere) {
  for (const char* op : {"attention", "attention_backward"}) {
    const auto results = check_with_range(op, "many_sequences", 28 << 10);
    ASSERT_FALSE(results.empty());
    for (const CheckResult& result : results)
      EXPECT_TRUE(result.ok) << op << " " << result.variant << ": " << result.detail;
  }
}

TEST(Attention, NamesTheLimitThatOneSequenceExceeds) {
  for (const CheckResult& result : check_with_range("attention", "head_16", 48 << 10)) {
    EXPECT_FALSE(result.ok);
    EXPECT_NE(result.detail.find("one sequence of 130 positions does not fit a binding of 49152 bytes"),
              std::string::npos)
        << result.detail;
  }
}

// Where no subgroup can be promised, the invocations that share a row of a long head meet in shared memory.
TEST(Attention, SharesRowsWithoutSubgroups) {
  vk::DeviceProfile profile = device().profile();
  profile.device_class = vk::DeviceClass::kIntegrated;
  profile.features = {};
  for (const char* op : {"attention", "attention_backward"})
    for (const CheckResult& result : check(op, "head_64", profile)) {
      EXPECT_EQ(result.variant, "baseline");
      EXPECT_TRUE(result.ok) << op << ": " << result.detail;
    }
}

/// An RDNA3 laptop's: subgroups of 32 or 64, KHR's matrices.
vk::DeviceProfile rdna() {
  vk::DeviceProfile profile = imitated_device("vega");
  profile.features.min_subgroup_size = 32;
  profile.features.subgroup_size_control = true;
  profile.features.cooperative_matrix_khr = true;
  return profile;
}

/// The shaders of a case's default kernels with their workgroups' and subgroups' sizes, in the order of their launches:
/// "attention_block 128/8".
std::string default_kernels(const char* op_name, const char* case_name, const vk::DeviceProfile& profile) {
  std::string all;
  for (const graph::CaseKernel& kernel :
       graph::case_kernels(profile, ops::op_table(), ops::op_table().find(op_name), {.large = true, .variants = 1})) {
    if (kernel.case_name != case_name) continue;
    if (!all.empty()) all += ", ";
    all += fmt::format("{} {}/{}", kernel.key.shader, kernel.key.constants.at(0), kernel.key.subgroup_size);
  }
  return all;
}

TEST(AttentionKernels, FitFewRegistersAndLittleSharedMemory) {
  const vk::DeviceProfile vega = imitated_device("vega"), intel = imitated_device("intel");
  const vk::DeviceProfile adreno = imitated_device("adreno");
  // 64 lanes, 8 or 32, with 32 KiB a workgroup: blocks, for the longest heads with k and v in turns.
  EXPECT_EQ(default_kernels("attention", "head_32", vega), "attention_block 128/64");
  EXPECT_EQ(default_kernels("attention", "head_64", vega), "attention_block 128/64");
  EXPECT_EQ(default_kernels("attention", "head_64", intel), "attention_block 128/8");
  EXPECT_EQ(default_kernels("attention", "head_64", rdna()), "attention_block 128/32");
  EXPECT_EQ(default_kernels("attention", "head_128", vega), "attention_block_turns 128/64");
  EXPECT_EQ(default_kernels("attention", "head_128", intel), "attention_block_turns 128/8");
  // Of 16 KiB.
  EXPECT_EQ(default_kernels("attention", "head_32", adreno), "attention_block 64/64");
  EXPECT_EQ(default_kernels("attention", "head_64", adreno), "attention_block_turns 128/64");
  EXPECT_EQ(default_kernels("attention", "head_128", adreno), "attention_split 128/64");
  const std::string block =
      "attention_backward_block 128/{0}, attention_backward_delta 128/0, attention_backward_sum 128/0";
  const std::string split = "attention_backward_key_split 128/{0}, attention_backward_query_split 128/{0}";
  EXPECT_EQ(default_kernels("attention_backward", "head_64", vega), fmt::format(fmt::runtime(block), 64));
  EXPECT_EQ(default_kernels("attention_backward", "head_64", intel), fmt::format(fmt::runtime(block), 8));
  EXPECT_EQ(default_kernels("attention_backward", "head_128", intel), fmt::format(fmt::runtime(split), 8));
  EXPECT_EQ(default_kernels("attention_backward", "head_64", adreno), fmt::format(fmt::runtime(split), 64));
}

// Long heads' fragments spill where NVIDIA's compiler is not; the forward pass keeps fewer.
TEST(AttentionKernels, PreferMatricesThatDoNotSpill) {
  EXPECT_EQ(default_kernels("attention", "head_128_fp16", rdna()), "attention_coop_khr 128/32");
  EXPECT_EQ(default_kernels("attention_backward", "head_128_fp16", rdna()),
            "attention_backward_key_split 128/32, attention_backward_query_split 128/32");
  EXPECT_TRUE(default_kernels("attention_backward", "head_64_fp16", rdna()).starts_with("attention_backward_coop_khr"));
}

}  // namespace
}  // namespace fabula::test
