#include <numeric>

#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

std::vector<std::uint32_t> counting(std::size_t count) {
  std::vector<std::uint32_t> values(count);
  std::iota(values.begin(), values.end(), 1u);
  return values;
}

/// Through a mapping where memory is unified, through the staging buffer where it is not: the same results.
class Transfer : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<Device> open() {
    return GetParam() ? open_lowered(R"({"unified_memory": false})") : Device::open(base_options());
  }
};

TEST_P(Transfer, RoundTrip) {
  const auto device = open();
  for (std::size_t count :
       {std::size_t{1}, std::size_t{1000}, (std::size_t{16} << 18) + 3, (std::size_t{16} << 19) - 1}) {
    const auto values = counting(count);
    const Buffer buffer = upload_new(*device, values, "values");
    if (GetParam()) {
      EXPECT_EQ(buffer.mapped(), nullptr);
    }
    EXPECT_EQ(download_all<std::uint32_t>(*device, buffer, count), values);
  }
}

TEST_P(Transfer, PartsInTheMiddle) {
  const auto device = open();
  const Buffer buffer = upload_new(*device, std::vector<std::uint32_t>(100, 0), "values");
  device->upload(buffer, 40, bytes_of(counting(5)));
  std::vector<std::uint32_t> part(7);
  device->download(buffer, 36, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 0}));
}

TEST_P(Transfer, WaitsForWhatWasSubmitted) {
  const auto device = open();
  const Buffer values = upload_new(*device, std::vector<std::uint32_t>(5000, 1), "values");
  CommandList list = device->new_list({"chain", false});
  for (int i = 0; i < 100; ++i) list.dispatch(add_call(*device, values, 5000));
  list.end();
  CommandList* const one = &list;
  device->submit({&one, 1});
  EXPECT_EQ(download_all<std::uint32_t>(*device, values, 5000), std::vector<std::uint32_t>(5000, add_times(1, 100)));
}

TEST_P(Transfer, BadRangesAreRefused) {
  const auto device = open();
  const Buffer buffer = device->allocate(64, MemoryUse::kDevice, "small one");
  expect_error(ErrorCode::kInternal, {"small one", "64"}, [&] { device->upload(buffer, 60, bytes_of(counting(2))); });
  expect_error(ErrorCode::kInternal, {"whole words"}, [&] { device->upload(buffer, 2, bytes_of(counting(1))); });
  expect_error(ErrorCode::kInternal, {"without a buffer"}, [&] { device->upload(Buffer(), 0, bytes_of(counting(1))); });
}

INSTANTIATE_TEST_SUITE_P(Memory, Transfer, testing::Values(false, true),
                         [](const auto& test) { return test.param ? "Staged" : "Native"; });

TEST(Memory, HostSidesAreMapped) {
  const auto device = Device::open(base_options());
  for (MemoryUse use : {MemoryUse::kUpload, MemoryUse::kReadback}) {
    const Buffer buffer = device->allocate(100, use, "host");
    ASSERT_NE(buffer.mapped(), nullptr);
    EXPECT_GE(buffer.size(), 100u);
    static_cast<std::byte*>(buffer.mapped())[99] = std::byte{1};
  }
  EXPECT_EQ(device->allocate(100, MemoryUse::kDevice, "device").mapped() != nullptr, device->profile().unified_memory);
}

TEST(Memory, IsCountedAndGivenBack) {
  const auto device = Device::open(base_options());
  EXPECT_EQ(device->allocated(), 0u);
  {
    Buffer a = device->allocate(1000, MemoryUse::kDevice, "a");
    const Buffer b = device->allocate(1 << 20, MemoryUse::kDevice, "b");
    EXPECT_GE(device->allocated(), 1000u + (1 << 20));
    EXPECT_EQ(device->peak_allocated(), device->allocated());
    const Buffer moved = std::move(a);
    EXPECT_TRUE(moved);
    EXPECT_FALSE(a);  // NOLINT: moved-from is empty
  }
  EXPECT_EQ(device->allocated(), 0u);
  EXPECT_GE(device->peak_allocated(), 1u << 20);
}

TEST(Memory, HeapCapIsKept) {
  const auto device = open_lowered(R"({"heap_cap": 50000000})");
  Buffer first = device->allocate(30 << 20, MemoryUse::kDevice, "first");
  expect_error(ErrorCode::kOutOfMemory, {"activations", "30.0 MiB", "47.7 MiB"},
               [&] { device->allocate(30 << 20, MemoryUse::kDevice, "activations"); });
  EXPECT_EQ(device->allocated(), first.size());
  first = Buffer();
  EXPECT_NO_THROW(device->allocate(30 << 20, MemoryUse::kDevice, "again"));
}

TEST(Memory, TheMemoryOptionIsACapToo) {
  DeviceOptions options = base_options();
  options.memory = 40'000'000;
  const auto device = Device::open(options);
  EXPECT_EQ(device->info().usable_memory(), 40'000'000u);
  const Buffer first = device->allocate(30 << 20, MemoryUse::kDevice, "first");
  expect_error(ErrorCode::kOutOfMemory, {"activations", "30.0 MiB", "38.1 MiB"},
               [&] { device->allocate(30 << 20, MemoryUse::kDevice, "activations"); });
  EXPECT_EQ(open_lowered(R"({"heap_cap": 20000000})", options)->info().usable_memory(), 20'000'000u);
}

TEST(Memory, LargestAllocationIsKept) {
  const auto device = open_lowered(R"({"max_allocation": 1000000})");
  EXPECT_NO_THROW(device->allocate(1000000, MemoryUse::kDevice, "fits"));
  expect_error(ErrorCode::kOutOfMemory, {"table", "1000016"},
               [&] { device->allocate(1000001, MemoryUse::kDevice, "table"); });
}

TEST(Memory, MoreThanTheHeapIsRefusedAndTheDeviceLivesOn) {
  const auto device = Device::open(base_options());
  const std::uint64_t heap = device->info().device_memory;
  expect_error(ErrorCode::kOutOfMemory, {"everything"},
               [&] { device->allocate(heap * 2, MemoryUse::kDevice, "everything"); });
  const Buffer values = upload_new(*device, std::vector<std::uint32_t>(64, 1), "values");
  CommandList list = device->new_list({"after", false});
  list.dispatch(add_call(*device, values, 64));
  list.end();
  device->run(list);
  EXPECT_EQ(download_all<std::uint32_t>(*device, values, 64), std::vector<std::uint32_t>(64, 4));
}

TEST(MemoryInUse, IsThereWhereTheDriverCounts) {
  const auto device = Device::open(base_options());
  EXPECT_EQ(device->memory_in_use().has_value(), device->profile().features.memory_budget);
  const auto silent = open_lowered(R"({"memory_budget": false})");
  EXPECT_EQ(silent->memory_in_use(), std::nullopt);
}

}  // namespace
}  // namespace fabula::vk
