// A device that fails in the midst of training: the message is clear, the checkpoint whole, and another device goes on
// from it bit by bit.
#include <fstream>

#include "expect_error.hpp"
#include "train/training.hpp"
#include "vk/device_impl.hpp"

namespace fabula::train {
namespace {

// What replaced entries of the function table look at; entries are plain functions.
bool lost = false;
PFN_vkQueueSubmit real_submit = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL submit_unless_lost(VkQueue queue, std::uint32_t count, const VkSubmitInfo* info,
                                                  VkFence fence) {
  return lost ? VK_ERROR_DEVICE_LOST : real_submit(queue, count, info, fence);
}
VKAPI_ATTR VkResult VKAPI_CALL no_memory(VkDevice, const VkMemoryAllocateInfo*, const VkAllocationCallbacks*,
                                         VkDeviceMemory*) {
  return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

TEST_F(Training, DeviceLostKeepsTheCheckpoint) {
  ASSERT_FALSE(train(*open_device(), "whole").interrupted);
  {
    const auto device = open_device();
    real_submit = std::exchange(device->impl().table.vkQueueSubmit, submit_unless_lost);
    // Asked for each of the two first validation batches and after each step: lost after step 5, one after a
    // checkpoint.
    int asked = 0;
    TrainOptions options;
    options.stop_requested = [&] {
      lost = ++asked == 2 + 5;
      return false;
    };
    test::expect_error(ErrorCode::kDeviceLost, {"VK_ERROR_DEVICE_LOST", "stopped answering"},
                       [&] { train(*device, "lost", options); });
    EXPECT_EQ(losses("lost").size(), 4u);  // step 5 was sent, its loss not yet asked for
  }
  EXPECT_EQ(RunFolder(path("lost")).read_state().step, 4);
  const TrainOutcome outcome =
      train(*open_device(), "lost", {.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}});
  EXPECT_EQ(outcome.step, 12);
  EXPECT_EQ(losses("lost"), losses("whole"));
  EXPECT_EQ(losses("lost").size(), 12u);
}

TEST_F(Training, NoMemoryWritesNothing) {
  const auto device = open_device();
  device->impl().table.vkAllocateMemory = no_memory;
  test::expect_error(ErrorCode::kOutOfMemory, {"out of device memory", "wanted", "heap of"},
                     [&] { train(*device, "full"); });
  EXPECT_FALSE(std::filesystem::exists(path("full") / "model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(path("full") / "metrics.jsonl"));
  EXPECT_EQ(train(*open_device(), "full").step, 12);
}

TEST_F(Training, StopsWhenAskedAndMakesUpForTheValidationLeftOut) {
  ASSERT_FALSE(train(*open_device(), "whole").interrupted);
  // Asked after each step and after each validation batch: the eighth time is within the validation after step 6.
  int asked = 0;
  TrainOptions options;
  options.stop_requested = [&] { return ++asked >= 2 + 6; };
  const TrainOutcome outcome = train(*open_device(), "stopped", options);
  EXPECT_TRUE(outcome.interrupted);
  EXPECT_EQ(outcome.step, 6);
  train(*open_device(), "stopped", {.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}});
  const auto evals = [&](const std::string& run) {
    std::map<std::int64_t, double> result;
    for (const MetricsRecord& record : read_metrics(path(run) / "metrics.jsonl"))
      if (record.kind == kEvalRecord) result[record.step] = record.values.at("loss");
    return result;
  };
  EXPECT_EQ(evals("stopped").size(), 3u);  // steps 0, 6 and 12
  EXPECT_EQ(evals("stopped"), evals("whole"));
  EXPECT_EQ(losses("stopped"), losses("whole"));
}

TEST_F(Training, TheSameSeedGivesTheSameBits) {
  const auto device = open_device();
  const std::vector<std::string> common{"train.dropout=0.1", "train.grad_accumulation=2", "n_layer=2",
                                        "train.eval_every=0"};
  const auto run = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> overrides = common;
    overrides.insert(overrides.end(), more.begin(), more.end());
    train(*device, name, {}, overrides);
  };
  run("first", {"train.recompute=none"});
  run("second", {"train.recompute=none"});
  run("recomputed", {"train.recompute=block"});
  run("other_seed", {"train.recompute=none", "train.seed=2"});
  ASSERT_EQ(losses("first").size(), 12u);
  for (const char* same : {"second", "recomputed"}) {
    EXPECT_EQ(losses(same), losses("first")) << same;
    for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
      EXPECT_FALSE(bytes_of(path(same) / file).empty());
      EXPECT_TRUE(bytes_of(path(same) / file) == bytes_of(path("first") / file)) << same << "/" << file;
    }
  }
  EXPECT_NE(losses("other_seed"), losses("first"));
}

TEST_F(Training, ARunResumesWithOrWithoutRecomputation) {
  train(*open_device(), "whole", {}, {"train.recompute=none"});
  int asked = 0;
  TrainOptions options;
  options.stop_requested = [&] { return ++asked >= 2 + 5; };
  EXPECT_TRUE(train(*open_device(), "changed", options, {"train.recompute=none"}).interrupted);
  train(*open_device(), "changed", {.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}},
        {"train.recompute=block"});
  EXPECT_EQ(losses("changed").size(), 12u);
  EXPECT_EQ(losses("changed"), losses("whole"));
}

// As of a fabula whose kernels had other code, or that noted their names alone.
TEST_F(Training, ARunOfOtherKernelsGoesOnOnlyWhenForced) {
  const auto device = open_device();
  train(*device, "old", {}, {"train.steps=4"});
  const std::filesystem::path file = path("old") / "state.json";
  const std::string state = bytes_of(file), key = R"("lowering": ")";
  std::string other = state;
  const std::size_t digest = other.find(key) + key.size();
  other[digest] = other[digest] == '0' ? '1' : '0';
  std::ofstream(file) << other;
  const std::vector<std::string> longer{"train.steps=6"};
  test::expect_error(
      ErrorCode::kInvalidArgument, {"other kernels (of another version or build of fabula)", "--resume force"},
      [&] { train(*device, "old", {.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}}, longer); });
  EXPECT_EQ(bytes_of(file), other);
  const TrainOptions forced{.resume = Resume::kForce, .overfit_batch = false, .stop_requested = {}};
  EXPECT_EQ(train(*device, "old", forced, longer).step, 6);
  EXPECT_NE(bytes_of(file).find(state.substr(state.find(key), key.size() + 16)), std::string::npos);
}

TEST_F(Training, AnFp16RunResumesWithItsLossScale) {
  const TrainOptions resume{.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}};
  const std::vector<std::string> fp16{"train.precision=fp16", "train.steps=6"};
  train(*open_device(), "whole", {}, fp16);
  int asked = 0;
  TrainOptions stopping;
  stopping.stop_requested = [&] { return ++asked >= 2 + 3; };
  EXPECT_TRUE(train(*open_device(), "stopped", stopping, fp16).interrupted);
  const auto device = open_device();
  train(*device, "stopped", resume, fp16);
  EXPECT_EQ(losses("stopped").size(), 6u);
  EXPECT_EQ(losses("stopped"), losses("whole"));
  const std::string state = bytes_of(path("stopped") / "state.json");
  EXPECT_NE(state.find(R"("loss_scale_good_steps": 6)"), std::string::npos) << state;
  EXPECT_EQ(state, bytes_of(path("whole") / "state.json"));
  // Another precision is a setting like others, not another kernel.
  train(*device, "whole", resume, {"train.precision=fp32", "train.steps=7"});
  EXPECT_EQ(losses("whole").size(), 7u);
  std::string damaged = state;
  damaged.replace(damaged.find(R"("loss_scale": )"), 14, R"("loss_scale": -)");
  std::ofstream(path("stopped") / "state.json") << damaged;
  test::expect_error(ErrorCode::kFormat, {"state.json", "loss_scale", "the smallest is 1"}, [&] {
    train(*device, "stopped", resume, {"train.precision=fp16", "train.steps=7"});
  });
}

TEST_F(Training, DataFilesOfTheUserAreNotOverwritten) {
  std::filesystem::create_directories(path("mine") / "data");
  std::ofstream(path("mine") / "data" / "stories-train.txt") << "my own text";
  test::expect_error(ErrorCode::kInvalidArgument, {"stories-train.txt", "would be overwritten"},
                     [&] { train(*open_device(), "mine"); });
  std::ifstream file(path("mine") / "data" / "stories-train.txt");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "my own text");
}

}  // namespace
}  // namespace fabula::train
