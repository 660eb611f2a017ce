// A number that is none in the batch of one rank halts all, in the same step.
#include "train/step_runner.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.hpp"
#include "cluster/run_ranks.hpp"
#include "formats/config_io.hpp"
#include "models/weights.hpp"
#include "train/ranks.hpp"

namespace fabula::train {
namespace {

constexpr std::uint32_t kRareToken = 279;  // in the bad batch alone

TEST(StepsOnRanks, OneBadBatchHaltsAll) {
  constexpr std::int64_t kSteps = 3, kBadBatch = 3;  // the second one of step 2: rank 1's
  RunConfig config = parse_config(R"({"model_type": "gpt2", "vocab_size": 280, "n_positions": 16, "n_embd": 16,
    "n_layer": 1, "n_head": 2, "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0, "head": {"kind": "grouped"},
    "train": {"batch_size": 2, "steps": 3, "warmup_steps": 2, "grad_accumulation": 2}})",
                                  "this test");
  TrainConfig part = config.train;
  part.grad_accumulation = own_micro_batches(config.train, 2);
  std::vector<std::vector<StepResult>> results(2);
  const auto ends = test::run_ranks(2, [&](Reducer& reducer) {
    const auto device = vk::Device::open({.device = {}, .cache_dir = "none"});
    const models::LanguageModel model(config.model, {}, config.train.precision);
    TrainingRuntime training(*device, plan_training(device->profile(), model, part, {.with_extras = false}));
    GradientExchange exchange(reducer, training.runtime, training.graphs);
    const auto batch = [&](std::uint64_t number) {
      Philox random(3, number);
      text::Batch made{std::vector<std::uint32_t>(32), std::vector<std::uint32_t>(32)};
      for (std::vector<std::uint32_t>* ids : {&made.ids, &made.labels})
        for (std::uint32_t& id : *ids) id = random.below(kRareToken);
      if (number == kBadBatch) made.ids[5] = kRareToken;
      return made;
    };
    StepRunner runner(training.runtime, training.graphs, model, config, kSteps, batch);
    runner.share(exchange, [] { return false; });
    models::initialise_weights(training.runtime, model, 1);
    const std::string& embedding = model.body().token_embedding().name;
    std::vector<float> table(280 * 16);
    training.runtime.download(embedding, table);
    std::fill(table.end() - 16, table.end(), INFINITY);
    training.runtime.upload(embedding, table);
    for (std::int64_t number = 1; number <= kSteps; ++number) {
      runner.start(number);
      results[static_cast<std::size_t>(reducer.rank())].push_back(runner.finish());
    }
  });
  for (std::size_t r = 0; r < 2; ++r) {
    EXPECT_EQ(ends[r].error, "");
    ASSERT_EQ(results[r].size(), 3u);
    EXPECT_EQ(results[r][0].outcome, StepOutcome::kApplied);
    EXPECT_EQ(results[r][0].loss, results[0][0].loss);
    EXPECT_EQ(results[r][1].outcome, StepOutcome::kHalted);
    EXPECT_FALSE(std::isfinite(results[r][1].loss));
    EXPECT_EQ(results[r][2].outcome, StepOutcome::kHalted);
    EXPECT_TRUE(std::isfinite(results[r][2].loss));
  }
}

}  // namespace
}  // namespace fabula::train
