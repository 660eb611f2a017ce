// What an implementation of a part of Vulkan is asked for. None is here: these are the decisions alone.
#include "vk/portability.hpp"

#include <gtest/gtest.h>

#include "vk/device.hpp"

namespace fabula::vk {
namespace {

using Names = std::vector<std::string>;

TEST(Portability, IncompleteDevicesAreListedWhereTheLoaderHidesThem) {
  const InstancePortability mac =
      instance_portability(Names{"VK_KHR_surface", "VK_KHR_portability_enumeration", "VK_EXT_debug_utils"});
  ASSERT_EQ(mac.extensions.size(), 1u);
  EXPECT_STREQ(mac.extensions.front(), "VK_KHR_portability_enumeration");
  EXPECT_TRUE(mac.enumerate);
}

TEST(Portability, ALoaderThatKnowsNothingOfItIsAskedForNothing) {
  for (const Names& names : {Names{}, Names{"VK_KHR_surface"}, Names{"VK_KHR_portability_enumeration2"}}) {
    const InstancePortability none = instance_portability(names);
    EXPECT_TRUE(none.extensions.empty());
    EXPECT_FALSE(none.enumerate);
  }
}

TEST(Portability, TheSubsetIsAcknowledgedOnDevicesThatListItAlone) {
  const auto subset = device_portability(Names{"VK_KHR_16bit_storage", "VK_KHR_portability_subset"});
  ASSERT_EQ(subset.size(), 1u);
  EXPECT_STREQ(subset.front(), "VK_KHR_portability_subset");
  EXPECT_TRUE(device_portability(Names{"VK_KHR_16bit_storage"}).empty());
  EXPECT_TRUE(device_portability(Names{}).empty());
}

// MoltenVK's subgroups on Apple's GPUs: full ones can be asked for, from 4 to 32 lanes, and no size can be required.
TEST(Portability, NoSubgroupSizeIsPromisedWhereNoneCanBeRequired) {
  DeviceProfile profile;
  profile.features.full_subgroups = true;
  profile.features.min_subgroup_size = 4;
  profile.features.max_subgroup_size = profile.features.subgroup_size = 32;
  EXPECT_EQ(promised_subgroup_size(profile, 8, 128), 0u);
  profile.features.min_subgroup_size = 32;
  EXPECT_EQ(promised_subgroup_size(profile, 8, 128), 32u);
}

}  // namespace
}  // namespace fabula::vk
