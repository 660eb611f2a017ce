// A driver that computes a kernel of a run wrong from some day on, as after an update: the run is not continued with
// other kernels unless it is told to, and then none of what it learnt is harmed.
#include "expect_error.hpp"
#include "graph/faulty_driver.hpp"
#include "log_capture.hpp"
#include "train/training.hpp"
#include "train/training_plan.hpp"

namespace fabula::train {
namespace {

class ReplacedKernel : public Training {
 protected:
  /// A device whose kernels are checked; `driver` stands for a version of it, of which nothing is known at first.
  std::unique_ptr<vk::Device> open(const std::string& driver) const {
    return vk::Device::open({.self_test = true, .cache_dir = (drivers_ / driver).string()});
  }
  TrainOutcome go_on(vk::Device& device, const std::string& run, std::int64_t steps, Resume resume) const {
    return train(device, run, {.resume = resume, .overfit_batch = false, .stop_requested = {}},
                 {fmt::format("train.steps={}", steps)});
  }
  /// A shader of the run's products.
  static std::string product_shader(const vk::Device& device) {
    const RunConfig config = parse_config(kConfig, "config");
    const models::LanguageModel model(config.model, {}, config.train.precision);
    const TrainingPlan plan = plan_training(device.profile(), model, config.train);
    for (const graph::PlannedGraph& planned : plan.workload.graphs())
      for (const graph::Step& step : planned.program.steps)
        if (step.shader.starts_with("matmul")) return step.shader;
    return {};
  }

 private:
  test::TempDir drivers_;
};

TEST_F(ReplacedKernel, IsAChangedKernelAtResume) {
  const auto before = open("before");
  train(*before, "run", {}, {"train.steps=6"});
  std::filesystem::copy(path("run"), path("clean"), std::filesystem::copy_options::recursive);
  go_on(*before, "clean", 12, Resume::kAuto);
  const std::string state = bytes_of(path("run") / "state.json"), weights = bytes_of(path("run") / "model.safetensors");

  const std::string wrong = product_shader(*before);
  ASSERT_FALSE(wrong.empty());
  {
    const auto updated = open("updated");
    const test::FaultyDriver faulty(*updated, wrong);
    const test::LogCapture log;
    test::expect_error(ErrorCode::kInvalidArgument, {"was found to compute wrong", "kernels-", "--resume force"},
                       [&] { go_on(*updated, "run", 12, Resume::kAuto); });
    EXPECT_NE(log.text().find("computes wrong numbers with " + wrong), std::string::npos) << log.text();
    EXPECT_EQ(bytes_of(path("run") / "state.json"), state);
    EXPECT_EQ(bytes_of(path("run") / "model.safetensors"), weights);
  }
  const auto updated = open("updated");  // and another start that knows of it
  const test::FaultyDriver faulty(*updated, wrong);
  test::expect_error(ErrorCode::kInvalidArgument, {"was found to compute wrong"},
                     [&] { go_on(*updated, "run", 12, Resume::kAuto); });
  EXPECT_EQ(go_on(*updated, "run", 12, Resume::kForce).step, 12);
  const std::vector<double> expected = losses("clean"), got = losses("run");
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-4) << i;
  EXPECT_EQ(go_on(*updated, "run", 14, Resume::kAuto).step, 14) << "with the kernels that took their place";
}

}  // namespace
}  // namespace fabula::train
