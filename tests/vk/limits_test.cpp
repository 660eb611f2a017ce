#include "vk/limits.hpp"

#include <fstream>

#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

DeviceProfile big_device() {
  DeviceProfile profile;
  profile.name = "Big";
  profile.limits = {.max_invocations = 1024,
                    .max_workgroup_size = {1024, 1024, 64},
                    .max_workgroup_count = {65535, 65535, 65535},
                    .max_workgroup_subgroups = 0,
                    .max_shared_memory = 49152,
                    .max_push_constants = 256,
                    .max_storage_buffers = 1048576,
                    .max_storage_range = 4ull << 30,
                    .storage_alignment = 16,
                    .max_texel_elements = 1ull << 27,
                    .max_allocation = 1ull << 34,
                    .heap_cap = 0};
  profile.features = {.subgroup_shuffle = true,
                      .subgroup_arithmetic = true,
                      .subgroup_ballot = true,
                      .full_subgroups = true,
                      .subgroup_size_control = true,
                      .subgroup_size = 32,
                      .min_subgroup_size = 8,
                      .max_subgroup_size = 64,
                      .storage_16bit = true,
                      .float16 = true,
                      .texel_float4 = true,
                      .cooperative_matrix_khr = false,
                      .cooperative_matrix_nv = true,
                      .cooperative_matrix_bf16 = true,
                      .timestamps = true,
                      .memory_budget = false};
  profile.unified_memory = true;
  return profile;
}

class LimitsFile : public testing::Test {
 protected:
  void apply(DeviceProfile& profile, const std::string& json) {
    const std::string path = (dir_ / "limits.json").string();
    std::ofstream(path) << json;
    apply_limits(profile, path);
  }
  test::TempDir dir_;
};

TEST_F(LimitsFile, IsReadWithBounds) {
  DeviceProfile profile = big_device();
  const auto refuse = [&](const std::string& json, const std::string& why) {
    expect_error(ErrorCode::kInvalidArgument, {"limits.json: ", why}, [&] { apply(profile, json); });
  };
  refuse(std::string(1'000'000, '['), "nested deeper than 4 levels");
  refuse(R"({"heap_cap": 2, "heap_cap": 1})", "\"heap_cap\" is there twice");
  refuse(std::string(2'000'000, ' '), "at most 1048576");
  refuse(R"({"heap_cap": )", "not valid JSON");
  refuse("{\"heap\xff\": 1}", "not valid JSON");
  EXPECT_EQ(profile.limits.heap_cap, 0u);
}

TEST(Limits, NativeChangesNothing) {
  DeviceProfile profile = big_device();
  apply_limits(profile, "native");
  EXPECT_EQ(profile.name, "Big");
  EXPECT_EQ(profile.limits.max_invocations, 1024u);
}

TEST(Limits, VulkanMinimum) {
  DeviceProfile profile = big_device();
  apply_limits(profile, "vulkan-minimum");
  const Limits& l = profile.limits;
  EXPECT_EQ(profile.name, "Big [vulkan-minimum]");
  EXPECT_EQ(l.max_invocations, 128u);
  EXPECT_EQ(l.max_workgroup_size, (std::array<std::uint32_t, 3>{128, 128, 64}));
  EXPECT_EQ(l.max_workgroup_count, (std::array<std::uint32_t, 3>{65535, 65535, 65535}));
  EXPECT_EQ(l.max_shared_memory, 16384u);
  EXPECT_EQ(l.max_push_constants, 128u);
  EXPECT_EQ(l.max_storage_buffers, 8u);
  EXPECT_EQ(l.max_storage_range, 128ull << 20);
  EXPECT_EQ(l.storage_alignment, 256u);
  EXPECT_EQ(l.max_texel_elements, 65536u);
  EXPECT_EQ(l.max_allocation, 1ull << 30);
  const Features& f = profile.features;
  EXPECT_FALSE(f.subgroup_shuffle || f.subgroup_arithmetic || f.subgroup_ballot || f.subgroup_size_control ||
               f.storage_16bit || f.float16 || f.cooperative_matrix_khr || f.cooperative_matrix_nv ||
               f.cooperative_matrix_bf16 || f.memory_budget);
}

TEST(Limits, NeverRaised) {
  DeviceProfile profile;
  profile.limits.max_shared_memory = 8192;
  profile.limits.storage_alignment = 1024;
  apply_limits(profile, "vulkan-minimum");
  EXPECT_EQ(profile.limits.max_shared_memory, 8192u);
  EXPECT_EQ(profile.limits.storage_alignment, 1024u);
}

TEST_F(LimitsFile, LowersWhatItNames) {
  DeviceProfile profile = big_device();
  apply(profile,
        R"({"max_invocations": 64, "max_workgroup_size": [64, 2000, 1], "heap_cap": 1000, "storage_alignment": 64,
                     "max_storage_range": 99999999999, "subgroup_shuffle": false, "cooperative_matrix_khr": true,
                     "unified_memory": false})");
  EXPECT_EQ(profile.limits.max_invocations, 64u);
  EXPECT_EQ(profile.limits.max_workgroup_size, (std::array<std::uint32_t, 3>{64, 1024, 1}));
  EXPECT_EQ(profile.limits.heap_cap, 1000u);
  EXPECT_EQ(profile.limits.storage_alignment, 64u);
  EXPECT_EQ(profile.limits.max_storage_range, 4ull << 30) << "a file never raises a limit";
  EXPECT_FALSE(profile.features.subgroup_shuffle);
  EXPECT_FALSE(profile.features.cooperative_matrix_khr) << "a file never adds a feature";
  EXPECT_TRUE(profile.features.subgroup_arithmetic);
  EXPECT_FALSE(profile.unified_memory);
  EXPECT_NE(profile.name.find("limits.json"), std::string::npos);
}

TEST_F(LimitsFile, BadOnesAreRefused) {
  DeviceProfile profile = big_device();
  const auto refused = [&](const std::string& json, const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kInvalidArgument, parts, [&] { apply(profile, json); });
  };
  refused("{\"max_invocation\": 64}", {"max_invocation\"", "max_invocations"});
  refused("{\"max_invocations\": 0}", {"max_invocations", "0"});
  refused("{\"max_invocations\": -3}", {"max_invocations", "-3"});
  refused("{\"max_invocations\": 1.5}", {"1.5"});
  refused("{\"max_invocations\": \"many\"}", {"many"});
  refused("{\"max_workgroup_size\": [1, 2]}", {"max_workgroup_size", "three"});
  refused("{\"storage_alignment\": 48}", {"power of two", "48"});
  refused("{\"float16\": 1}", {"float16", "true or false"});
  refused("[1, 2]", {"object"});
  refused("{\"max_invocations\": ", {"JSON"});
  expect_error(ErrorCode::kInvalidArgument, {"no-such-profile", "vulkan-minimum"},
               [&] { apply_limits(profile, "no-such-profile"); });
}

TEST_F(LimitsFile, NarrowsSubgroupSizes) {
  DeviceProfile profile = big_device();
  apply(profile, R"({"subgroup_sizes": [16, 128], "max_workgroup_subgroups": 56})");
  EXPECT_EQ(profile.features.min_subgroup_size, 16u);
  EXPECT_EQ(profile.features.max_subgroup_size, 64u) << "the device has no 128";
  EXPECT_EQ(profile.limits.max_workgroup_subgroups, 56u);
  apply(profile, R"({"max_workgroup_subgroups": 100})");
  EXPECT_EQ(profile.limits.max_workgroup_subgroups, 56u) << "never raised";
  EXPECT_TRUE(profile.features.full_subgroups);
  apply(profile, R"({"subgroup_sizes": [128, 128]})");
  EXPECT_FALSE(profile.features.full_subgroups || profile.features.subgroup_size_control) << "nothing is left";
  EXPECT_EQ(promised_subgroup_size(profile, 1, 128), 0u);
  for (const char* bad : {"8", "[8]", "[8, 4]", "[0, 8]", "[8, \"16\"]"})
    expect_error(ErrorCode::kInvalidArgument, {"subgroup_sizes"},
                 [&] { apply(profile, std::string(R"({"subgroup_sizes": )") + bad + "}"); });
}

TEST_F(LimitsFile, SaysWhichClassOfDeviceIsStoodInFor) {
  DeviceProfile profile = big_device();
  apply(profile, R"({"device_class": "integrated"})");
  EXPECT_EQ(profile.device_class, DeviceClass::kIntegrated);
  for (const char* bad : {"\"phone\"", "3"})
    expect_error(ErrorCode::kInvalidArgument, {"device_class", "discrete, integrated"},
                 [&] { apply(profile, std::string(R"({"device_class": )") + bad + "}"); });
}

TEST(Subgroups, TheSmallestThatWillDoIsPromised) {
  DeviceProfile profile = big_device();  // sizes of 8 to 64
  EXPECT_EQ(promised_subgroup_size(profile, 4, 128), 8u);
  EXPECT_EQ(promised_subgroup_size(profile, 16, 128), 16u);
  EXPECT_EQ(promised_subgroup_size(profile, 17, 128), 32u);
  EXPECT_EQ(promised_subgroup_size(profile, 128, 128), 0u);
  EXPECT_EQ(promised_subgroup_size(profile, 8, 24), 8u);
  EXPECT_EQ(promised_subgroup_size(profile, 16, 24), 0u) << "no full subgroups of 16 in 24";
  profile.limits.max_workgroup_subgroups = 8;
  EXPECT_EQ(promised_subgroup_size(profile, 8, 128), 16u) << "of 8 there would be 16";
  profile.limits.max_workgroup_subgroups = 0;
  profile.features.subgroup_size_control = false;
  EXPECT_EQ(promised_subgroup_size(profile, 8, 128), 0u) << "which of the sizes it is cannot be told";
  profile.features.min_subgroup_size = 64;
  EXPECT_EQ(promised_subgroup_size(profile, 8, 128), 64u) << "the only one there is";
  EXPECT_EQ(promised_subgroup_size(profile, 8, 32), 0u);
  profile.features.full_subgroups = false;
  EXPECT_EQ(promised_subgroup_size(profile, 8, 128), 0u);
}

TEST(Profile, OfADeviceThatIsNotThereIsReadAsItWasWritten) {
  const DeviceProfile big = big_device();
  const DeviceProfile read = parse_profile(profile_json(big), "Big", "big.json");
  EXPECT_EQ(profile_json(read), profile_json(big));
  EXPECT_EQ(read.name, "Big");
  EXPECT_EQ(read.limits.max_allocation, 1ull << 34);
  EXPECT_TRUE(read.unified_memory);
  EXPECT_EQ(read.features.min_subgroup_size, 8u);
}

TEST(Profile, WhatItDoesNotSayIsTheLeast) {
  const DeviceProfile bare =
      parse_profile(R"({"device_class": "integrated", "max_invocations": 256})", "Bare", "bare.json");
  EXPECT_EQ(bare.limits.max_invocations, 256u);
  EXPECT_EQ(bare.limits.max_storage_range, 128ull << 20);
  EXPECT_EQ(bare.limits.storage_alignment, 256u);
  EXPECT_EQ(bare.features.max_subgroup_size, 1u);
  EXPECT_FALSE(bare.features.full_subgroups);
  EXPECT_FALSE(bare.features.cooperative_matrix_khr);
  EXPECT_FALSE(bare.unified_memory);
  expect_error(ErrorCode::kInvalidArgument, {"bare.json", "\"flops\""},
               [] { parse_profile(R"({"flops": 1})", "Bare", "bare.json"); });
  expect_error(ErrorCode::kFormat, {"bare.json"}, [] { parse_profile("{", "Bare", "bare.json"); });
  expect_error(ErrorCode::kInvalidArgument, {"bare.json", "one JSON object"},
               [] { parse_profile("[]", "Bare", "bare.json"); });
}

}  // namespace
}  // namespace fabula::vk
