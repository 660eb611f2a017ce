// The kernels that are taken by default on GPUs that drivers report in different ways. No device: they are chosen from
// what is reported alone.
#include <gtest/gtest.h>

#include "graph/check.hpp"
#include "ops/op_table.hpp"
#include "support/imitated_device.hpp"
#include "vk/shader_table.hpp"
#include "vk/spirv.hpp"

namespace fabula::test {
namespace {

class DefaultKernels : public testing::TestWithParam<const char*> {};

TEST_P(DefaultKernels, KeepToWhatTheDeviceCanPromise) {
  const vk::DeviceProfile profile = imitated_device(GetParam());
  const vk::Features& features = profile.features;
  std::map<std::string, vk::ShaderInfo> shaders;
  std::size_t with_subgroups = 0;
  for (const graph::OpEntry& op : ops::op_table().entries())
    for (const graph::CaseKernel& kernel :
         graph::case_kernels(profile, ops::op_table(), op, {.large = true, .variants = 1})) {
      const vk::ShaderBinary* binary = vk::find_shader(kernel.key.shader);
      ASSERT_NE(binary, nullptr) << kernel.key.shader;
      const auto& [name, shader] = *shaders.try_emplace(kernel.key.shader, vk::device_words(*binary)).first;
      const std::string what = to_string(kernel.key) + " of " + kernel.op + "/" + kernel.case_name;
      EXPECT_LE(2 * shader.shared_bytes(kernel.key.constants), profile.limits.max_shared_memory) << what;
      const auto size = shader.workgroup_size(kernel.key.constants);
      const std::uint32_t local = size[0] * size[1] * size[2];
      EXPECT_LE(local, profile.limits.max_invocations) << what;
      if (kernel.key.subgroup_size == 0) continue;
      ++with_subgroups;
      EXPECT_EQ(vk::promised_subgroup_size(profile, kernel.key.subgroup_size, local), kernel.key.subgroup_size) << what;
      EXPECT_LE(kernel.key.subgroup_size, std::max(16u, features.min_subgroup_size))
          << what << ": wider subgroups have fewer registers a lane";
    }
  EXPECT_GT(with_subgroups, 20u) << "attention and norms shuffle";
}

INSTANTIATE_TEST_SUITE_P(Imitated, DefaultKernels, testing::ValuesIn(kImitatedDevices),
                         [](const auto& of) { return std::string(of.param); });

}  // namespace
}  // namespace fabula::test
