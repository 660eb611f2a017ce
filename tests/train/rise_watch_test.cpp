#include "train/rise_watch.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fabula::train {
namespace {

/// A loss that falls from 8 towards 3 with noise, as training's does.
class Losses {
 public:
  explicit Losses(double noise) : noise_(0, noise) {}
  double at(int step) { return 3 + 5 * std::exp(-step / 300.0) + noise_(random_); }

 private:
  std::mt19937 random_{7};
  std::normal_distribution<double> noise_;
};

TEST(RiseWatch, NoiseIsNoRise) {
  for (const double noise : {0.0, 0.05, 0.2, 0.5}) {
    Losses losses(noise);
    RiseWatch watch;
    std::mt19937 random(3);
    std::lognormal_distribution<double> norms(0, 0.7);
    int risen = 0;
    for (int step = 1; step <= 5000; ++step) {
      watch.observe(losses.at(step), norms(random));
      risen += watch.risen();
    }
    EXPECT_LE(risen, 10) << "steps with noise " << noise;
    EXPECT_NEAR(watch.loss_mean(), 3, noise + 0.01);
  }
}

TEST(RiseWatch, ALossThatRunsAwayIsSeenWithinAFewSteps) {
  for (const int start : {1, 3, 40, 2000}) {
    Losses losses(0.1);
    RiseWatch watch;
    for (int step = 1; step <= start; ++step) watch.observe(losses.at(step), 1);
    EXPECT_FALSE(watch.risen());
    int seen = 0;
    double loss = losses.at(start);
    for (int after = 1; after <= 10 && seen == 0; ++after) {
      watch.observe(loss *= 1.25, 1);
      if (watch.risen()) seen = after;
    }
    EXPECT_TRUE(seen > 0 && seen <= 4) << "after " << start << " steps: " << seen;
  }
}

TEST(RiseWatch, RisenUntilTheLossIsBack) {
  RiseWatch watch;
  const auto steps = [&](int count, double loss) {
    for (int i = 0; i < count; ++i) watch.observe(loss, 1);
  };
  steps(50, 3);
  steps(20, 3.4);
  EXPECT_FALSE(watch.risen()) << "0.4 nats are not 0.5";
  steps(50, 3);
  steps(20, 3.6);
  EXPECT_TRUE(watch.risen());
  steps(2000, 3.4);
  EXPECT_TRUE(watch.risen()) << "more than half is left, however long";
  steps(20, 3.1);
  EXPECT_FALSE(watch.risen());
  EXPECT_NEAR(watch.lowest_loss_mean(), 3, 1e-12);
}

TEST(RiseWatch, ANormThatRunsAwayIsSeenASpikeIsNot) {
  RiseWatch watch;
  for (int step = 0; step < 300; ++step) watch.observe(3, 0.5);
  watch.observe(3, 500);
  EXPECT_FALSE(watch.risen());
  for (int step = 0; step < 20; ++step) watch.observe(3, 0.5);
  for (int step = 0; step < 10; ++step) watch.observe(3, 50);
  EXPECT_TRUE(watch.risen());
  for (int step = 0; step < 20; ++step) watch.observe(3, 0);  // no gradient at all is no rise
  EXPECT_FALSE(watch.risen());
}

TEST(RiseWatch, WhatIsKeptGoesOnAlike) {
  Losses losses(0.3);
  RiseWatch whole;
  for (int step = 1; step <= 400; ++step) {
    whole.observe(step % 100 < 95 ? losses.at(step) : 9, 1 + step % 7);
    std::map<std::string, double> measures{{"another", 1}};
    whole.store(measures);
    RiseWatch resumed;
    resumed.restore(measures);
    EXPECT_EQ(resumed.risen(), whole.risen());
    resumed.observe(3.25, 2);
    RiseWatch copy = whole;
    copy.observe(3.25, 2);
    std::map<std::string, double> a, b;
    resumed.store(a);
    copy.store(b);
    ASSERT_EQ(a, b) << step;
  }
  RiseWatch fresh;
  fresh.restore({{"rise.steps", 5}});
  std::map<std::string, double> kept, nothing;
  fresh.store(kept);
  RiseWatch().store(nothing);
  EXPECT_EQ(kept, nothing);
}

}  // namespace
}  // namespace fabula::train
