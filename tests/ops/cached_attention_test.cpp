// What cached_attention promises beyond its cases: a row's bits depend neither on the rows beside it nor on where a
// prompt is cut; a cache beyond a binding goes by whole slots; and what its kernels are on other devices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "base/philox.hpp"
#include "graph/check.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"
#include "support/imitated_device.hpp"

namespace fabula::test {
namespace {
using namespace graph;

constexpr std::int64_t kHeads = 4, kKvHeads = 2, kHeadSize = 16, kSlots = 5, kCapacity = 600;
constexpr std::int64_t kWidth = kHeads * kHeadSize, kKvWidth = kKvHeads * kHeadSize;

struct TestPlace {
  std::uint32_t slot, position, live;
};

/// Graphs of cached_attention over one cache, each for runs of so many rows.
class CachedGraphs {
 public:
  struct Size {
    std::int64_t runs, run;
  };
  CachedGraphs(const std::vector<Size>& sizes, const std::string& variant, DType cache, std::int64_t window) {
    Workload workload(device().profile(), variant);
    for (const Size& size : sizes) {
      Graph graph(ops::op_table());
      const std::int64_t rows = size.runs * size.run;
      const Value q = graph.input("q", {rows, kWidth}, DType::kF32),
                  k = graph.input("k", {rows, kKvWidth}, DType::kF32),
                  v = graph.input("v", {rows, kKvWidth}, DType::kF32),
                  cache_value = graph.state("cache", {kSlots * kCapacity, 2 * kKvWidth, cache}, kCapacity),
                  places = graph.input("places", {1, 4 * rows}, DType::kU32),
                  angles = graph.constant("angles", {kCapacity, kHeadSize});
      y_.push_back(graph.op1("cached_attention", {q, k, v, cache_value, places, angles},
                             {{"heads", double(kHeads)},
                              {"kv_heads", double(kKvHeads)},
                              {"batch", double(size.runs)},
                              {"capacity", double(kCapacity)},
                              {"window", double(window)}}));
      graph.keep(y_.back());
      workload.add(fmt::format("{}x{}", size.runs, size.run), std::move(graph));
    }
    runtime_.emplace(device(), std::move(workload));
    runtime_->upload("angles", numbers(1, kCapacity, kHeadSize));
    reset();
  }
  /// The cache as it was at first.
  void reset() { runtime_->upload("cache", numbers(2, kSlots * kCapacity, 2 * kKvWidth)); }
  std::vector<float> cache() {
    std::vector<float> data(static_cast<std::size_t>(kSlots * kCapacity * 2 * kKvWidth));
    runtime_->download("cache", data);
    return data;
  }
  /// The rows' q, k and v are a function of slot and position.
  std::vector<float> run(std::size_t graph, const std::vector<TestPlace>& rows) {
    std::vector<std::uint32_t> places;
    std::vector<float> q, k, v;
    for (const TestPlace& row : rows) {
      places.insert(places.end(), {row.slot, row.position, row.live, 0u});
      const std::uint64_t stream = 1000 * row.slot + row.position;
      for (const auto& [to, width, number] : {std::tuple{&q, kWidth, 10}, {&k, kKvWidth, 11}, {&v, kKvWidth, 12}}) {
        const std::vector<float> drawn = numbers(stream * 16 + static_cast<std::uint64_t>(number), 1, width);
        to->insert(to->end(), drawn.begin(), drawn.end());
      }
    }
    runtime_->set_input(graph, "q", q);
    runtime_->set_input(graph, "k", k);
    runtime_->set_input(graph, "v", v);
    runtime_->set_input(graph, "places", places);
    runtime_->submit({graph});
    return runtime_->read(graph, y_[graph]);
  }

 private:
  static std::vector<float> numbers(std::uint64_t stream, std::int64_t rows, std::int64_t cols) {
    Philox random(stream);
    std::vector<float> data(static_cast<std::size_t>(rows * cols));
    for (float& x : data) x = static_cast<float>(random.normal());
    return data;
  }
  std::optional<Runtime> runtime_;
  std::vector<Value> y_;
};

std::vector<float> row_of(const std::vector<float>& y, std::size_t row) {
  return {y.begin() + static_cast<std::ptrdiff_t>(row * kWidth),
          y.begin() + static_cast<std::ptrdiff_t>((row + 1) * kWidth)};
}

constexpr DType kCacheTypes[] = {DType::kF32, DType::kF16};
constexpr const char* kVariants[] = {"texel", "baseline",
                                     "subgroup"};  // those that there are not give way to the first

TEST(CachedAttention, ARowHasTheSameBitsAloneAndInCompany) {
  const std::vector<TestPlace> rows{{3, 599, 1}, {0, 0, 1}, {1, 300, 0}, {4, 255, 1}, {2, 256, 1}};
  for (const char* variant : kVariants)
    for (const std::int64_t window : {0, 290}) {
      CachedGraphs graphs({{5, 1}, {1, 1}}, variant, DType::kF32, window);
      const std::vector<float> together = graphs.run(0, rows), cache = graphs.cache();
      graphs.reset();
      for (std::size_t n = 0; n < rows.size(); ++n) EXPECT_EQ(graphs.run(1, {rows[n]}), row_of(together, n)) << variant;
      EXPECT_EQ(graphs.cache(), cache) << variant;
    }
}

TEST(CachedAttention, WhereAPromptIsCutChangesNoBit) {
  constexpr std::uint32_t kPrompt = 70, kChunk = 40, kSlot = 2;
  for (const char* variant : kVariants)
    for (const DType cache : kCacheTypes) {
      CachedGraphs graphs({{1, kChunk}}, variant, cache, 0);
      std::vector<float> first, first_cache;
      for (const std::uint32_t first_chunk : {40u, 35u, 30u, 33u}) {
        graphs.reset();
        std::vector<float> all;
        for (std::uint32_t begin = 0, end = first_chunk; begin < kPrompt; begin = end, end = kPrompt) {
          std::vector<TestPlace> rows;
          for (std::uint32_t i = 0; i < kChunk; ++i)
            rows.push_back(begin + i < end ? TestPlace{kSlot, begin + i, 1} : TestPlace{0, 0, 0});
          const std::vector<float> y = graphs.run(0, rows);
          all.insert(all.end(), y.begin(), y.begin() + (end - begin) * kWidth);
          EXPECT_TRUE(std::all_of(y.begin() + (end - begin) * kWidth, y.end(), [](float x) { return x == 0; }));
        }
        if (first.empty()) {
          first = all;
          first_cache = graphs.cache();
        }
        EXPECT_TRUE(all == first) << variant << " " << to_string(cache) << " cut at " << first_chunk;
        EXPECT_TRUE(graphs.cache() == first_cache) << variant << " " << to_string(cache) << " cut at " << first_chunk;
      }
    }
}

/// Checks one case as on a device of that profile.
std::vector<CheckResult> check_cached(const char* case_name, const vk::DeviceProfile& profile) {
  const OpEntry& op = ops::op_table().find("cached_attention");
  const std::vector<OpCase> cases = op.cases();
  const auto found = std::find_if(cases.begin(), cases.end(), [&](const OpCase& c) { return c.name == case_name; });
  if (found == cases.end()) throw std::runtime_error(std::string("no case ") + case_name);
  return check_case(device(), ops::op_table(), op, *found, {.repeats = 2, .profile = &profile});
}

vk::DeviceProfile with_range(std::uint64_t bytes) {
  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = bytes;
  profile.limits.max_texel_elements = bytes / 16;
  return profile;
}

// Slots of 100 rows of 256 bytes, of 60 of 128, of 1,000 of 512; up to 63 rows more are bound before an aligned start.
TEST(CachedAttention, GoesByWholeSlotsThatBeginAnywhere) {
  for (const CheckResult& result : check_cached("many_slots", with_range(100 << 10)))
    EXPECT_TRUE(result.ok) << result.variant << ": " << result.detail;
  for (const CheckResult& result : check_cached("two_chunks", with_range(16 << 10)))
    EXPECT_TRUE(result.ok) << result.variant << ": " << result.detail;
  for (const CheckResult& result : check_cached("splits_1000", with_range(545 << 10)))
    EXPECT_TRUE(result.ok) << result.variant << ": " << result.detail;
}

TEST(CachedAttention, NamesTheLimitThatASlotExceeds) {
  const auto results = check_cached("many_slots", with_range(40 << 10));
  ASSERT_FALSE(results.empty());
  for (const CheckResult& result : results) {
    EXPECT_FALSE(result.ok);
    EXPECT_NE(result.detail.find("100 rows"), std::string::npos) << result.detail;
    EXPECT_NE(result.detail.find("40960 bytes"), std::string::npos) << result.detail;
  }
}

// Slots are not torn when a cache takes several allocations.
TEST(CachedAttention, KeepsASlotInOneAllocation) {
  LinearLayout layout(1 << 20, 256);
  const Placement placement = layout.place(Pool::kStore, "cache", {5 * 96, 1024}, 96);  // 4 KiB a row
  ASSERT_EQ(placement.pieces.size(), 3u);
  for (const Piece& piece : placement.pieces) EXPECT_EQ(piece.row_begin % 192, 0);
}

}  // namespace
}  // namespace fabula::test
