// Several processes train as one does, whatever becomes of one of them. Where fabula was built with MPI.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

/// Flags of mpirun for a machine of few processors and one device.
RunOptions on_ranks(int count) {
  RunOptions options;
  options.launcher = {FABULA_MPIRUN, "-n", std::to_string(count)};
  options.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                         {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                         {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                         {"OMPI_MCA_hwloc_base_binding_policy", "none"}};
  return options;
}

int steps_shown(const std::string& err) {
  int steps = 0;
  for (std::size_t at = err.find("step "); at != std::string::npos; at = err.find("step ", at + 1))
    steps += err.compare(err.find_first_not_of("0123456789", at + 5), 1, "/") == 0;
  return steps;
}

/// The processes that mpirun has started.
std::vector<int> ranks_of(int launcher) {
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", launcher));
  std::vector<int> ranks;
  for (int child = 0; children >> child;) ranks.push_back(child);
  return ranks;
}

/// mpirun does not wait for those that it has ended; they must be gone in time.
void expect_gone(const std::vector<int>& ranks) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (const int rank : ranks) {
    while (::kill(rank, 0) == 0 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_NE(::kill(rank, 0), 0) << "a rank is still there";
  }
}

class Ranks : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(FABULA_MPIRUN).empty())
      GTEST_SKIP() << "skipped: fabula was built without MPI (libopenmpi-dev is missing, or FABULA_MPI is OFF)";
  }

  static Args train(const std::string& run, const Args& more = {}) {
    return scene().train(
        run,
        Args{"--set", "train.grad_accumulation=4", "--set", "train.steps=21", "--set", "train.eval_every=10"} + more);
  }
  /// The same global batches in one process.
  static const std::string& alone() {
    static const std::string run = [] {
      fabula_ok(train("ranks_alone"));
      return scene().path("ranks_alone");
    }();
    return run;
  }
  static void expect_as_alone(const std::string& run) {
    EXPECT_EQ(read(run + "/model.safetensors"), read(alone() + "/model.safetensors"));
    EXPECT_EQ(read(run + "/optimizer.safetensors"), read(alone() + "/optimizer.safetensors"));
    const std::vector<json> here = records(run), there = records(alone());
    ASSERT_EQ(here.size(), there.size());
    for (std::size_t i = 0; i < here.size(); ++i)
      EXPECT_EQ(here[i].value("loss", json()), there[i].value("loss", json())) << here[i];
  }
};

const Args kShared{"--share-device"};

TEST_F(Ranks, TwoComputeWhatOneDoes) {
  const Result result = fabula_ok(train("ranks_two", kShared + Args{"--json"}), on_ranks(2));
  EXPECT_EQ(result.json()["step"], 21);
  expect_as_alone(scene().path("ranks_two"));
}

TEST_F(Ranks, OneOfThemKilledAtRandomLosesNothing) {
  std::mt19937 random(7);
  const std::string run = scene().path("ranks_killed");
  int kills = 0;
  for (const int count : {2, 4, 2}) {
    RunOptions options = on_ranks(count);
    const int after = 2 + static_cast<int>(random() % 5);
    const std::size_t which = random();
    options.signal_when = [=](const std::string& err) { return steps_shown(err) >= after ? SIGKILL : 0; };
    std::vector<int> ranks;
    options.signal_target = [&ranks, which](int launcher) {
      ranks = ranks_of(launcher);
      return ranks.empty() ? launcher : ranks[which % ranks.size()];
    };
    const Result result = fabula(train("ranks_killed", kShared + Args{"--resume", "auto"}), options);
    kills += result.status != 0;
    expect_gone(ranks);
  }
  EXPECT_GE(kills, 2);
  fabula_ok(train("ranks_killed", {"--resume", "auto"}));
  expect_as_alone(run);
}

TEST_F(Ranks, AStopSavesAndAnyNumberGoesOn) {
  RunOptions options = on_ranks(2);
  options.signal_when = [](const std::string& err) { return steps_shown(err) >= 5 ? SIGTERM : 0; };
  options.signal_target = [](int launcher) { return ranks_of(launcher).at(1); };  // not rank 0's alone to notice
  const Result stopped = fabula(train("ranks_stopped", kShared), options);
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("mpirun -n 2 fabula train"), std::string::npos) << stopped.err;
  fabula_ok(train("ranks_stopped", kShared + Args{"--resume", "auto"}), on_ranks(4));
  expect_as_alone(scene().path("ranks_stopped"));
}

TEST_F(Ranks, MoreThanDevicesAreRefused) {
  expect_refusal(fabula(train("ranks_many"), on_ranks(2)), 2,
                 {"2 ranks were started on this host, which has 1 device", "--share-device"});
}

TEST_F(Ranks, OtherFlagsAreRefusedByName) {
  RunOptions options = on_ranks(1);
  const Args one = train("ranks_differ", kShared);
  options.launcher = options.launcher + one;  // mpirun -n 1 fabula ... : -n 1 fabula ...
  options.launcher.insert(options.launcher.begin() + 3, FABULA_PROGRAM);
  for (const std::string word : {":", "-n", "1"}) options.launcher.push_back(word);
  const Result result = fabula(train("ranks_differ", kShared + Args{"--set", "train.seed=2"}), options);
  EXPECT_NE(result.status, 0);
  EXPECT_NE(result.err.find("rank 1"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("train.seed=2"), std::string::npos) << result.err;
}

TEST_F(Ranks, BatchesThatDoNotDivideAreRefused) {
  expect_refusal(fabula(train("ranks_three", kShared + Args{"--set", "train.grad_accumulation=4"}), on_ranks(3)), 2,
                 {"grad_accumulation", "3"});
}

}  // namespace
}  // namespace fabula::cli_test
