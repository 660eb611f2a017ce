// GPT-2's vocabulary and width in fp32: the token embedding takes 154 MB, more than many devices let one binding see
// (128 MiB).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/runtime.hpp"
#include "models/weights.hpp"
#include "support/device_main.hpp"
#include "train/schedule.hpp"
#include "train/trainer.hpp"

namespace fabula::test {

void register_dynamic_tests() {}

namespace {

constexpr std::int64_t kRange = 128 << 20;  // bytes

struct Outcome {
  std::vector<double> losses, norms;  // of each step
  std::vector<float> gradient;        // of the embedding [V, D] in the last step
};

/// Three steps of a one-layer model, on a device whose bindings see at most `range` bytes.
Outcome train_three_steps(HeadKind head, std::int64_t vocabulary, std::uint64_t range, std::int64_t hidden = 768,
                          float clip_norm = 1) {
  RunConfig config = default_config(ModelFamily::kGpt2);
  config.model.hidden = hidden;
  config.model.vocab_size = vocabulary;
  config.model.n_positions = 32;
  config.model.layers = 1;
  config.model.embd_dropout = config.model.resid_dropout = config.model.attn_dropout = 0;
  config.model.head.kind = head;
  config.model.head.bias = head == HeadKind::kGrouped;
  config.model.tie_word_embeddings = head != HeadKind::kGrouped;
  config.train.batch_size = 2;
  config.train.sequence_length = 21;
  validate_config(config, "this test");
  const models::LanguageModel model(config.model);
  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = std::min(profile.limits.max_storage_range, range);

  train::TrainingRuntime training(device(), train::plan_training(profile, model, config.train, {.with_extras = false}));
  auto& [graphs, runtime] = training;
  models::initialise_weights(runtime, model, 1);
  // Tokens from both ends of the table, so that its first and its last row block have some.
  const std::size_t positions = 2 * 21;
  std::vector<std::uint32_t> ids(positions), labels(positions);
  for (std::uint32_t n = 0; n < positions; ++n) ids[n] = n % 2 ? static_cast<std::uint32_t>(vocabulary) - n : 7 * n;
  std::rotate_copy(ids.begin(), ids.begin() + 1, ids.end(), labels.begin());
  models::set_batch(runtime, graphs.overwrite.index,
                    models::batch_words(model, ids, labels, heads::LossUse::kGradient));
  const std::vector<float> scale{1.0f / static_cast<float>(positions), 0, 0, 0}, limits{clip_norm, 0, 0, 0};
  runtime.set_input(graphs.overwrite.index, "loss_scale", std::span<const float>(scale));
  runtime.set_input(graphs.apply, "limits", std::span<const float>(limits));

  Outcome outcome;
  for (std::int64_t step = 1; step <= 3; ++step) {
    const auto hyper = train::adamw_hyper(config.train, 1e-4, step);
    runtime.set_input(graphs.apply, "hyper", std::span<const float>(hyper));
    runtime.submit({graphs.overwrite.index, graphs.apply});
    outcome.losses.push_back(runtime.read(graphs.overwrite.index, graphs.overwrite.values.loss).front());
    outcome.norms.push_back(runtime.read(graphs.apply, graphs.clip).at(1));
  }
  outcome.gradient.resize(static_cast<std::size_t>(vocabulary * config.model.hidden));
  runtime.download(fmt::format("{}{}", graph::kGradientPrefix, model.body().token_embedding().name), outcome.gradient);
  return outcome;
}

class BindingLimit : public testing::TestWithParam<HeadKind> {};

TEST_P(BindingLimit, TrainsThreeSteps) {
  constexpr std::int64_t kVocabulary = 50257, kHidden = 768;
  static_assert(kVocabulary * kHidden * 4 > kRange);
  const Outcome outcome = train_three_steps(GetParam(), kVocabulary, kRange);
  const std::vector<double>& losses = outcome.losses;
  EXPECT_NEAR(losses[0], std::log(kVocabulary), 0.5) << "a fresh model knows nothing";
  EXPECT_LT(losses[1], losses[0] - 0.2);
  EXPECT_LT(losses[2], losses[1] - 0.2);
  for (const double norm : outcome.norms) EXPECT_GT(norm, 0);
  ASSERT_EQ(outcome.gradient.size(), static_cast<std::size_t>(kVocabulary * kHidden));
  const auto is_zero = [&](std::int64_t id) {
    const auto row = outcome.gradient.begin() + id * kHidden;
    return std::all_of(row, row + kHidden, [](float g) { return g == 0; });
  };
  EXPECT_FALSE(is_zero(0));
  EXPECT_FALSE(is_zero(kVocabulary - 1));
  // A tied head of one level touches every row, a grouped one those of the tokens that occur.
  EXPECT_EQ(is_zero(kVocabulary / 2), GetParam() == HeadKind::kGrouped);
}

TEST_P(BindingLimit, ChangesOnlyRoundingWhereTablesAreCut) {
  // Without clipping: the gradient norm's sum, which depends on the cuts, then changes no weight.
  const Outcome whole = train_three_steps(GetParam(), 9001, kRange, 768, 0),
                cut = train_three_steps(GetParam(), 9001, 16 << 20, 768, 0);
  if (GetParam() == HeadKind::kGrouped) {  // only its look-ups are cut, which adds up nothing in another order
    EXPECT_EQ(whole.losses, cut.losses);
    EXPECT_EQ(whole.gradient, cut.gradient);
  }
  for (std::size_t i = 0; i < whole.losses.size(); ++i) {
    EXPECT_NEAR(whole.losses[i], cut.losses[i], 1e-4);
    EXPECT_NEAR(whole.norms[i], cut.norms[i], 1e-3);
  }
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < whole.gradient.size(); ++i) {
    const double w = whole.gradient[i], d = w - cut.gradient.at(i);
    difference += d * d;
    norm += w * w;
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-4);
}

// No binding shows more than 128 MiB of the table or of a chunk's logits, which together are four times that.
TEST(FusedHead, TrainsAMillionTokens) {
  constexpr std::int64_t kVocabulary = 1'000'003, kHidden = 48;
  static_assert(kVocabulary * kHidden * 4 > kRange);
  const Outcome outcome = train_three_steps(HeadKind::kFused, kVocabulary, kRange, kHidden);
  EXPECT_NEAR(outcome.losses[0], std::log(kVocabulary), 0.5);
  EXPECT_LT(outcome.losses[1], outcome.losses[0]);
  EXPECT_LT(outcome.losses[2], outcome.losses[1]);
  for (const std::int64_t id : {std::int64_t{0}, kVocabulary / 2, kVocabulary - 1}) {
    const auto row = outcome.gradient.begin() + id * kHidden;
    EXPECT_FALSE(std::all_of(row, row + kHidden, [](float g) { return g == 0; })) << "token " << id;
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, BindingLimit, testing::Values(HeadKind::kGrouped, HeadKind::kFull, HeadKind::kFused),
                         [](const auto& head) { return std::string(head_kind_name(head.param)); });

}  // namespace
}  // namespace fabula::test
