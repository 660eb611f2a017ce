// The kernels as a production compiler makes them, for GPUs that are not there: the driver imitates the family that
// RADV_FORCE_FAMILY names, whose kernels can be compiled and not run. A kernel that spills, or takes more registers or
// shared memory than leaves a small GPU busy, is found here, where no software driver would show it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "graph/check.hpp"
#include "ops/op_table.hpp"
#include "ops/registers.hpp"
#include "vk/device.hpp"

namespace fabula::test {
namespace {

/// Default kernels that may spill, by "family kernel". This list only ever shrinks: one that spills no longer must be
/// taken off it.
const std::set<std::string> kMaySpill = {};

/// What a default kernel may take: at more than 128 registers a lane, of subgroups of 64, a SIMD unit of GCN holds one
/// subgroup, and nothing covers the time that its loads take.
constexpr std::uint64_t kMostRegisters = 128;

class Radv : public testing::Test {
 protected:
  void SetUp() override {
    const char* const family = std::getenv("RADV_FORCE_FAMILY");
    ASSERT_NE(family, nullptr) << "set RADV_FORCE_FAMILY, and VK_ICD_FILENAMES to RADV's";
    family_ = family;
    vk::DeviceOptions options;
    options.cache_dir = "none";
    options.only_compile = options.statistics = true;
    device_ = vk::Device::open(options);
    ASSERT_TRUE(device_->tells_statistics()) << device_->profile().name;
    EXPECT_FALSE(device_->info().usable) << "a device without memory runs nothing";
  }
  std::vector<graph::CaseKernel> kernels(std::size_t variants) const {
    std::vector<graph::CaseKernel> all;
    for (const graph::OpEntry& op : ops::op_table().entries())
      for (graph::CaseKernel& kernel :
           graph::case_kernels(device_->profile(), ops::op_table(), op, {.variants = variants}))
        all.push_back(std::move(kernel));
    return all;
  }
  /// A crash of the driver names its kernel: it is said before.
  vk::CompiledKernel compile(const graph::CaseKernel& kernel) const {
    std::printf("%s, %s/%s\n", to_string(kernel.key).c_str(), kernel.op.c_str(), kernel.case_name.c_str());
    std::fflush(stdout);
    return device_->compile(kernel.key);
  }

  std::string family_;
  std::unique_ptr<vk::Device> device_;
};

TEST_F(Radv, DefaultKernelsFitItsRegistersAndSharedMemory) {
  const vk::DeviceProfile& profile = device_->profile();
  // Discrete GPUs of RDNA take the kernels that were measured to be the fastest on another maker's: they compile.
  const bool scarce = !ops::has_many_registers(profile);
  std::set<std::string> spilling;
  std::size_t told = 0;
  for (const graph::CaseKernel& kernel : kernels(1)) {
    const vk::CompiledKernel compiled = compile(kernel);
    if (!compiled.statistics) continue;  // vk/quirks.cpp
    ++told;
    const vk::PipelineStatistics& of = *compiled.statistics;
    const std::string name = to_string(kernel.key), where = name + ", " + kernel.op + "/" + kernel.case_name;
    ASSERT_TRUE(of.registers && of.spills && of.scratch && of.shared_memory) << where;
    if (of.is_spilled()) {
      spilling.insert(family_ + " " + name);
      EXPECT_TRUE(!scarce || kMaySpill.contains(family_ + " " + name)) << where << ": " << *of.spills << " spilled";
    }
    if (!scarce) continue;
    EXPECT_LE(*of.registers, kMostRegisters) << where;
    if (profile.device_class != vk::DeviceClass::kIntegrated) continue;
    EXPECT_LE(2 * *of.shared_memory, profile.limits.max_shared_memory) << where;
  }
  EXPECT_GT(told, 200u);
  for (const std::string& listed : kMaySpill) {
    if (!listed.starts_with(family_ + " ")) continue;
    EXPECT_TRUE(spilling.contains(listed)) << listed << " spills no longer: take it off the list";
  }
}

TEST_F(Radv, EveryKernelOfEveryVariantCompiles) {
  for (const graph::CaseKernel& kernel : kernels(SIZE_MAX)) {
    if (kernel.is_default) continue;  // above
    EXPECT_NO_THROW(compile(kernel)) << to_string(kernel.key);
  }
}

}  // namespace
}  // namespace fabula::test
