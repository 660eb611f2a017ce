#include "vk/hazards.hpp"

#include <gtest/gtest.h>

#include <random>

namespace fabula::vk {
namespace {

using Use = HazardTracker::Use;
using Command = std::vector<Use>;

bool conflict(const Use& a, const Use& b) {
  return a.buffer == b.buffer && std::max(a.begin, b.begin) < std::min(a.end, b.end) && (a.write || b.write);
}

bool conflict(const Command& a, const Command& b) {
  for (const Use& x : a) {
    for (const Use& y : b) {
      if (conflict(x, y)) return true;
    }
  }
  return false;
}

/// barriers[k]: one stands before command k. Every conflicting pair needs one between; none stands without a conflict
/// since the last.
void expect_complete_and_needed(const std::vector<Command>& commands) {
  HazardTracker tracker;
  std::size_t last = 0;  // the commands before it are ordered already
  for (std::size_t k = 0; k < commands.size(); ++k) {
    bool needed = false;
    for (std::size_t i = last; i < k; ++i) needed = needed || conflict(commands[i], commands[k]);
    const bool barrier = tracker.add(commands[k]);
    ASSERT_EQ(barrier, needed) << "before command " << k << " of " << commands.size();
    if (barrier) last = k;
  }
}

TEST(Hazards, EachKind) {
  const Use read{1, 0, 64, false}, write{1, 0, 64, true};
  const auto second = [](const Use& first, const Use& then) {
    HazardTracker tracker;
    EXPECT_FALSE(tracker.add({first}));
    return tracker.add({then});
  };
  EXPECT_TRUE(second(write, read));   // read after write
  EXPECT_TRUE(second(read, write));   // write after read
  EXPECT_TRUE(second(write, write));  // write after write
  EXPECT_FALSE(second(read, read));
  EXPECT_FALSE(second(write, {2, 0, 64, true})) << "another buffer";
  EXPECT_FALSE(second(write, {1, 64, 128, true})) << "the bytes behind";
  EXPECT_TRUE(second(write, {1, 63, 128, false})) << "one byte shared";
}

TEST(Hazards, OneBarrierCoversEverythingBeforeIt) {
  HazardTracker tracker;
  EXPECT_FALSE(tracker.add({{1, 0, 4, true}}));
  EXPECT_FALSE(tracker.add({{2, 0, 4, true}}));
  EXPECT_TRUE(tracker.add({{1, 0, 4, false}, {3, 0, 4, true}}));
  EXPECT_FALSE(tracker.add({{2, 0, 4, false}})) << "the barrier before the last command ordered this too";
  EXPECT_TRUE(tracker.add({{3, 0, 4, false}}));
  tracker.clear();
  EXPECT_FALSE(tracker.add({{3, 0, 4, true}}));
}

TEST(Hazards, AllShortSequences) {
  std::vector<Use> uses;
  for (std::uint64_t buffer : {1, 2}) {
    for (std::uint64_t begin = 0; begin < 3; ++begin) {
      for (std::uint64_t end = begin + 1; end <= 3; ++end) {
        uses.push_back({buffer, begin, end, false});
        uses.push_back({buffer, begin, end, true});
      }
    }
  }
  for (const Use& a : uses) {
    for (const Use& b : uses) {
      for (const Use& c : uses) {
        expect_complete_and_needed({{a}, {b}, {c}});
        if (HasFatalFailure()) return;
      }
    }
  }
  for (std::size_t i = 0; i < uses.size(); i += 2) {  // four commands with two uses each, a coarser grid
    for (std::size_t j = 1; j < uses.size(); j += 3) {
      for (std::size_t k = 0; k < uses.size(); k += 3) {
        expect_complete_and_needed({{uses[i], uses[j]}, {uses[j]}, {uses[k], uses[i]}, {uses[k]}});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Hazards, RandomLongSequences) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<Command> commands(40);
    for (Command& command : commands) {
      command.resize(1 + random() % 5);
      for (Use& use : command) {
        const std::uint64_t begin = random() % 64;
        use = {random() % 4, begin, begin + 1 + random() % 32, random() % 3 == 0};
      }
    }
    expect_complete_and_needed(commands);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace fabula::vk
