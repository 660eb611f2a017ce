// An imported model computes what its checkpoint does, by the plain implementation.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "base/atomic_file.hpp"
#include "convert/llama2c.hpp"
#include "infer/model_folder.hpp"
#include "infer/session.hpp"
#include "support/llama2c_model.hpp"
#include "temp_dir.hpp"
#include "text/llama2c_vocabulary.hpp"
#include "vk/device.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;

/// A checkpoint, by both.
class Imported {
 public:
  Imported(const fs::path& checkpoint, const fs::path& tokenizer) : plain_(checkpoint.string()) {
    import_llama2c({.source = checkpoint, .tokenizer = tokenizer, .out = folder_ / "model"});
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    model_.emplace(folder_ / "model");
    graph::Workload workload(device_->profile());
    const infer::SessionGraphs graphs = infer::add_session_graphs(workload, model_->model(), {.distribution = true});
    runtime_.emplace(*device_, std::move(workload));
    model_->load_weights(*runtime_);
    session_.emplace(*runtime_, graphs, model_->model());
  }

  /// The largest difference of a log-probability behind any of the ids.
  double difference(const std::vector<std::uint32_t>& ids) {
    plain_.restart();
    double largest = 0;
    for (std::size_t n = 1; n <= ids.size(); ++n) {
      const std::vector<double> expected = test::log_softmax(plain_.step(ids[n - 1]));
      session_->start(0, std::span(ids).first(n), {});
      session_->advance(1);
      session_->stop(0);
      const std::vector<float> actual = session_->log_probs(0);
      for (std::size_t v = 0; v < expected.size(); ++v) largest = std::max(largest, std::abs(expected[v] - actual[v]));
    }
    return largest;
  }

  test::Llama2cModel& plain() { return plain_; }
  const infer::ModelFolder& folder() const { return *model_; }

 private:
  test::TempDir folder_;
  test::Llama2cModel plain_;
  std::unique_ptr<vk::Device> device_;
  std::optional<infer::ModelFolder> model_;
  std::optional<graph::Runtime> runtime_;
  std::optional<infer::Session> session_;
};

TEST(ImportedLlama2c, ComputesWhatTheCheckpointDoes) {
  const test::TempDir files;
  write_file_atomically(files / "tok.bin", test::llama2c_file(test::small_pieces()));
  const auto vocab = static_cast<int>(test::small_pieces().size());
  for (const test::Llama2cSizes& sizes :
       {test::Llama2cSizes{
            .dim = 24, .hidden = 36, .layers = 2, .heads = 6, .kv_heads = 2, .vocab = vocab, .positions = 20},
        test::Llama2cSizes{.dim = 16,
        .hidden = 9,
        .layers = 1,
        .heads = 2,
        .kv_heads = 2,
        .vocab = vocab,
        .positions = 20,
        .tied = false}}) {
    write_file_atomically(files / "model.bin", test::random_llama2c(sizes, 5));
    Imported model(files / "model.bin", files / "tok.bin");
    ASSERT_TRUE(model.plain().ok());
    EXPECT_EQ(model.folder().start_id(), 1u);
    EXPECT_EQ(model.folder().stop_ids(), (std::vector<std::uint32_t>{1, 2}));
    std::vector<std::uint32_t> ids = {1};
    for (std::uint32_t i = 1; i < 20; ++i) ids.push_back(i * 7919 % static_cast<std::uint32_t>(vocab));
    EXPECT_LT(model.difference(ids), 1e-4);
  }
}

TEST(ImportedLlama2c, Stories260KHasTheSameLogProbabilities) {
  const char* const data = std::getenv("FABULA_DATA");
  const fs::path weights = fs::path(data != nullptr ? data : "data") / "weights";
  if (!fs::exists(weights / "stories260K.bin"))
    GTEST_SKIP() << (weights / "stories260K.bin").string() << " is not there (FABULA_DATA names its folder)";
  Imported model(weights / "stories260K.bin", weights / "tok512.bin");
  std::vector<std::uint32_t> ids = {1};
  for (const auto& step : model.plain().greedy({1}, 60)) ids.push_back(step.token);
  EXPECT_LT(model.difference(ids), 1e-4);
}

}  // namespace
}  // namespace fabula::convert
