#include "vk/submit.hpp"

#include "vk/command_list_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

constexpr int kLength = 200;  // commands: many segments

class Submit : public testing::Test {
 protected:
  void SetUp() override {
    device_ = Device::open(base_options());
    values_ = upload_new(*device_, std::vector<std::uint32_t>(1000, 1), "values");
    list_.emplace(device_->new_list({"chain", false}));
    for (int i = 0; i < kLength; ++i) list_->dispatch(add_call(*device_, values_, 1000));
    list_->end();
  }
  void TearDown() override {
    list_.reset();
    values_ = Buffer();
  }
  SubmitQueue& queue() { return *device_->impl().submissions; }
  std::size_t segments() const { return list_->impl()->segments.size(); }
  void expect_values(int times) {
    EXPECT_EQ(download_all<std::uint32_t>(*device_, values_, 1000),
              std::vector<std::uint32_t>(1000, add_times(1, times)));
  }
  std::unique_ptr<Device> device_;
  Buffer values_;
  std::optional<CommandList> list_;
};

TEST_F(Submit, SegmentsAreBounded) {
  EXPECT_EQ(segments(), (kLength + CommandList::Impl::kSegmentCommands - 1) / CommandList::Impl::kSegmentCommands);
  std::uint32_t total = 0;
  for (const Segment& segment : list_->impl()->segments) {
    EXPECT_LE(segment.count, CommandList::Impl::kSegmentCommands);
    total += segment.count;
  }
  EXPECT_EQ(total, static_cast<std::uint32_t>(kLength));
}

TEST_F(Submit, StartsSmallAndGrows) {
  queue().set_budget(1e6);  // seconds: never reached, so only caution makes cuts
  device_->run(*list_);
  const std::uint64_t first = queue().submissions();
  EXPECT_GT(first, 1u);
  EXPECT_LT(first, segments());
  device_->run(*list_);
  EXPECT_EQ(queue().submissions(), first + 1) << "measured segments that fit the budget go at once";
  expect_values(2 * kLength);
}

TEST_F(Submit, ATinyBudgetCutsEverywhereWithTheSameResult) {
  queue().set_budget(1e-12);
  device_->run(*list_);
  EXPECT_EQ(queue().submissions(), segments());
  CommandList* const lists[] = {&*list_, &*list_};
  device_->submit(lists);
  device_->wait();
  EXPECT_EQ(queue().submissions(), 3 * segments());
  expect_values(3 * kLength);
}

TEST_F(Submit, AListManyTimesIsOneSubmissionAndLearntFromAsOne) {
  queue().set_budget(1e6);
  device_->run(*list_);
  const std::uint64_t before = queue().submissions();
  for (Segment& segment : list_->impl()->segments) segment.seconds = 1000.0;
  const std::vector<CommandList*> lists(8, &*list_);
  device_->submit(lists);
  EXPECT_EQ(queue().submissions(), before + 1);
  device_->wait();
  for (const Segment& segment : list_->impl()->segments) {
    EXPECT_LT(segment.seconds.value(), 1000.0);
    EXPECT_EQ(segment.seconds, list_->impl()->segments.front().seconds) << "equal predictions, equal shares";
  }
  expect_values(9 * kLength);
}

// A wrong prediction is set right once, however many runs of a list were sent with it.
TEST_F(Submit, RunsUnderWayTogetherAreLearntFromAlike) {
  queue().set_budget(1e6);
  device_->run(*list_);
  const auto predicted = [&] {
    double sum = 0;
    for (const Segment& segment : list_->impl()->segments) sum += segment.seconds.value();
    return sum;
  };
  for (Segment& segment : list_->impl()->segments) segment.seconds = 1000.0;
  CommandList* const one = &*list_;
  for (int run = 0; run < 2; ++run) queue().submit({&one, 1});
  queue().wait();
  const double of_both = predicted();
  EXPECT_LT(of_both, 1000.0);
  device_->run(*list_);
  EXPECT_GT(of_both, 1e-4 * predicted()) << "corrected twice: a thousandth of a thousandth";
}

TEST_F(Submit, LearntTimesCutBetweenSegments) {
  queue().set_budget(1e6);
  device_->run(*list_);
  const std::uint64_t before = queue().submissions();
  // As if each segment took a second: a budget of three seconds takes three at a time.
  for (Segment& segment : list_->impl()->segments) segment.seconds = 1.0;
  queue().set_budget(3.0);
  CommandList* const one = &*list_;
  queue().submit({&one, 1});
  EXPECT_GE(queue().submissions() - before, segments() / 3 / 2) << "times are learnt anew as fences pass";
  queue().wait();
  for (const Segment& segment : list_->impl()->segments) EXPECT_LT(segment.seconds.value(), 1.0);
  expect_values(2 * kLength);
}

TEST_F(Submit, BarriersStandOnlyWhereNeeded) {
  EXPECT_EQ(list_->impl()->barriers, static_cast<std::uint64_t>(kLength - 1));
  const Buffer other = upload_new(*device_, std::vector<std::uint32_t>(1000, 1), "other");
  CommandList apart = device_->new_list({"apart", false});
  apart.dispatch(add_call(*device_, values_, 1000));
  apart.dispatch(add_call(*device_, other, 1000));
  apart.end();
  EXPECT_EQ(apart.impl()->barriers, 0u);
}

TEST_F(Submit, DroppedWhileRunningIsSafe) {
  CommandList* const one = &*list_;
  device_->submit({&one, 1});
  list_.reset();       // waits for its commands
  values_ = Buffer();  // nothing uses it any more
  EXPECT_NO_THROW(device_->wait());
}

}  // namespace
}  // namespace fabula::vk
