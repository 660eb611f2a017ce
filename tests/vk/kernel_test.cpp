#include <numeric>

#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

class Kernel : public testing::Test {
 protected:
  static void SetUpTestSuite() { device_ = Device::open(base_options()).release(); }
  static void TearDownTestSuite() {
    delete device_;
    device_ = nullptr;
  }
  void run_one(const DispatchCall& call) {
    CommandList list = device_->new_list({call.label, false});
    list.dispatch(call);
    list.end();
    device_->run(list);
  }
  static inline Device* device_ = nullptr;
};

TEST_F(Kernel, CopiesAtOddSizes) {
  const Pipeline* pipeline = device_->pipeline({"test_copy", {96, 5}});
  EXPECT_EQ(pipeline, device_->pipeline({"test_copy", {96, 5}}));
  EXPECT_NE(pipeline, device_->pipeline({"test_copy", {64, 5}}));
  EXPECT_EQ(device_->workgroup_size(*pipeline), (std::array<std::uint32_t, 3>{96, 1, 1}));
  for (std::uint32_t count : {1u, 95u, 96u, 97u, 10001u}) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), 1.0f);
    const Buffer from = upload_new(*device_, values, "from");
    const Buffer to = upload_new(*device_, std::vector<float>(count + 1, -7.0f), "to");
    run_one({pipeline,
             {range_of(from, count * 4), range_of(to, (count + 1) * 4)},
             push_of(CopyPush{2.0f, 0.5f, count}),
             {groups_for(count, 96), 1, 1},
             "copy"});
    const auto result = download_all<float>(*device_, to, count + 1);
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(result[i], values[i] * 2.0f + 0.5f) << i << " of " << count;
    EXPECT_EQ(result[count], -7.0f);
  }
}

TEST_F(Kernel, BindsRangesAtOffsets) {
  const std::uint64_t step = device_->profile().limits.storage_alignment;
  const std::uint32_t words = static_cast<std::uint32_t>(step / 4);
  const Buffer values = upload_new(*device_, std::vector<std::uint32_t>(words * 3, 5), "values");
  run_one(add_call(*device_, values, words, step));
  const auto result = download_all<std::uint32_t>(*device_, values, words * 3);
  for (std::uint32_t i = 0; i < words * 3; ++i) EXPECT_EQ(result[i], i / words == 1 ? 16u : 5u) << i;
}

TEST_F(Kernel, ReadsTexelBuffers) {
  if (!device_->profile().features.texel_float4) GTEST_SKIP() << "no RGBA32F texel buffers here";
  const std::uint32_t align = static_cast<std::uint32_t>(device_->profile().limits.storage_alignment);
  for (std::uint32_t count : {1u, 33u, 1000u}) {
    std::vector<float> values(align / 4 + count * 4);
    std::iota(values.begin(), values.end(), 0.0f);
    const Buffer texels = upload_new(*device_, values, "texels");
    const Buffer sums = upload_new(*device_, std::vector<float>(count, -1.0f), "sums");
    run_one({device_->pipeline({"test_texel", {}}),
             {range_of(texels, count * 16ull, align), range_of(sums, count * 4ull)},
             push_of(count),
             {groups_for(count, 32), 1, 1},
             "texel"});
    const auto result = download_all<float>(*device_, sums, count);
    for (std::uint32_t i = 0; i < count; ++i) {
      const float first = static_cast<float>(align / 4 + 4 * i);
      ASSERT_EQ(result[i], 4 * first + 6) << i << " of " << count;
    }
  }
}

TEST_F(Kernel, FillsAndCopiesInOrder) {
  const Buffer a = upload_new(*device_, std::vector<std::uint32_t>(300, 1), "a");
  const Buffer b = upload_new(*device_, std::vector<std::uint32_t>(300, 2), "b");
  CommandList list = device_->new_list({"order", false});
  list.fill(range_of(a, 100 * 4, 40 * 4), 9);
  list.copy(range_of(a, 300 * 4), range_of(b, 300 * 4));
  list.dispatch(add_call(*device_, a, 300));
  list.copy(range_of(a, 4 * 4, 0), range_of(b, 4 * 4, 296 * 4));
  list.end();
  EXPECT_EQ(list.command_count(), 4u);
  device_->run(list);
  const auto result = download_all<std::uint32_t>(*device_, b, 300);
  for (std::uint32_t i = 0; i < 300; ++i) {
    EXPECT_EQ(result[i], i >= 296 ? 4u : i >= 40 && i < 140 ? 9u : 1u) << i;
  }
}

TEST_F(Kernel, ReplaysAList) {
  const Buffer values = upload_new(*device_, std::vector<std::uint32_t>(777, 3), "values");
  CommandList list = device_->new_list({"replay", false});
  for (int i = 0; i < 40; ++i) list.dispatch(add_call(*device_, values, 777));  // more than one segment
  list.end();
  for (int i = 0; i < 3; ++i) device_->run(list);
  CommandList* const twice[] = {&list, &list};
  device_->submit(twice);
  device_->wait();
  EXPECT_EQ(download_all<std::uint32_t>(*device_, values, 777), std::vector<std::uint32_t>(777, add_times(3, 200)));
}

TEST_F(Kernel, AnEmptyListRuns) {
  CommandList list = device_->new_list({"nothing", false});
  list.end();
  EXPECT_NO_THROW(device_->run(list));
  EXPECT_EQ(list.command_count(), 0u);
}

TEST_F(Kernel, TimesEveryCommand) {
  const Buffer values = upload_new(*device_, std::vector<std::uint32_t>(64, 0), "values");
  CommandList list = device_->new_list({"timed", true});
  for (int i = 0; i < 20; ++i) list.dispatch(add_call(*device_, values, 64));
  list.fill(range_of(values, 4), 1);
  list.end();
  device_->run(list);
  const auto timings = list.timings();
  if (!device_->profile().features.timestamps) {
    EXPECT_TRUE(timings.empty());
    return;
  }
  ASSERT_EQ(timings.size(), 21u);
  EXPECT_EQ(timings[0].label, "test_add");
  EXPECT_EQ(timings[20].label, "fill");
  for (const auto& timing : timings) {
    EXPECT_GE(timing.seconds, 0.0);
    EXPECT_LT(timing.seconds, 1000.0);
  }
  CommandList plain = device_->new_list({"not timed", false});
  plain.dispatch(add_call(*device_, values, 64));
  plain.end();
  device_->run(plain);
  EXPECT_TRUE(plain.timings().empty());
}

TEST_F(Kernel, RequiredSubgroupSizeIsWhatRuns) {
  const Features& features = device_->profile().features;
  if (!features.subgroup_size_control || !features.subgroup_shuffle || !features.subgroup_arithmetic) {
    GTEST_SKIP() << "this device or profile cannot require a subgroup size";
  }
  for (std::uint32_t size = features.min_subgroup_size; size <= features.max_subgroup_size; size *= 2) {
    const std::uint32_t local = size * 2;
    const Buffer seen = upload_new(*device_, std::vector<std::uint32_t>(local * 3, 99), "seen");
    run_one({device_->pipeline({"test_subgroup", {local}, size}),
             {range_of(seen, local * 12ull)},
             {},
             {1, 1, 1},
             "subgroup"});
    const auto result = download_all<std::uint32_t>(*device_, seen, local * 3);
    for (std::uint32_t i = 0; i < local; ++i) {
      EXPECT_EQ(result[3 * i], size);
      EXPECT_EQ(result[3 * i + 1], 1u);
      EXPECT_EQ(result[3 * i + 2], size) << "all lanes of a full subgroup take part";
    }
  }
}

/// Runs test_loop and returns {iterations that ran, state} of one invocation.
std::pair<std::uint32_t, std::uint32_t> run_loops(Device& device, std::uint32_t first, std::uint32_t second) {
  const Buffer seen = upload_new(device, std::vector<std::uint32_t>(16, 1), "seen");
  CommandList list = device.new_list({"loops", false});
  list.dispatch({device.pipeline({"test_loop", {}}),
                 {range_of(seen, 64)},
                 push_of(std::array{first, second}),
                 {1, 1, 1},
                 "loops"});
  list.end();
  device.run(list);
  const auto result = download_all<std::uint32_t>(device, seen, 16);
  return {result[6], result[7]};
}

std::uint32_t state_after(std::uint32_t first, std::uint32_t second) {
  std::uint32_t state = 1;
  for (std::uint32_t k = 0; k < first; ++k) state = state * 1664525u + 1013904223u;
  for (std::uint32_t k = 0; k < second; ++k) state = (state ^ (state >> 7)) * 22695477u + 1u;
  return state;
}

TEST_F(Kernel, LoopsRunUpToTheHouseLimit) {
  // 60,000 iterations an invocation, over all its loops together, is what every fabula kernel stays below.
  EXPECT_EQ(run_loops(*device_, 30000, 30000), std::pair(60000u, state_after(30000, 30000)));
}

TEST_F(Kernel, LoopsBeyondTheDriversLimitStopSilently) {
  const std::uint64_t limit = device_->impl().physical.quirks.max_loop_iterations;
  const auto [ran, state] = run_loops(*device_, 40000, 40000);
  if (limit == 0) {
    EXPECT_EQ(ran, 80000u);
    EXPECT_EQ(state, state_after(40000, 40000));
    return;
  }
  EXPECT_EQ(limit, 65535u);
  EXPECT_NE(state, state_after(40000, 40000)) << "this driver's loop limit is gone: the quirk can be dropped";
  EXPECT_LT(ran, 80000u);
  EXPECT_GE(ran, limit - 1);
}

}  // namespace
}  // namespace fabula::vk
