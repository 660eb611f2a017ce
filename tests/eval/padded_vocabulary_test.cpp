// A model with more rows than its tokenizer has tokens, as vocabularies padded to a multiple of 64 have.
#include <gtest/gtest.h>

#include <cmath>

#include "base/atomic_file.hpp"
#include "base/philox.hpp"
#include "eval/score.hpp"
#include "formats/config_io.hpp"
#include "formats/safetensors.hpp"
#include "infer/generator.hpp"
#include "infer/model_folder.hpp"
#include "infer/rows_without_token.hpp"
#include "models/weights.hpp"
#include "temp_dir.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"
#include "vk/device.hpp"

namespace fabula::eval {
namespace {

constexpr std::int64_t kTokens = 257, kRows = 320;

text::Tokenizer byte_tokenizer() {
  const std::string_view documents[] = {"abc"};
  return text::train_bpe(documents, {.vocab_size = kTokens});
}

TEST(RowsWithoutToken, ArePaddingAndIdsWithoutBytes) {
  EXPECT_TRUE(infer::rows_without_token(byte_tokenizer(), kTokens).empty());
  const std::vector<std::uint32_t> padding = infer::rows_without_token(byte_tokenizer(), kRows);
  ASSERT_EQ(padding.size(), 63u);
  EXPECT_EQ(padding.front(), 257u);
  EXPECT_EQ(padding.back(), 319u);
  text::TokenizerParts parts = byte_tokenizer().parts();
  parts.tokens.push_back("");
  parts.tokens.push_back("<x>");
  parts.added.push_back({258, "<x>"});
  EXPECT_EQ(infer::rows_without_token(text::Tokenizer(parts), 261), (std::vector<std::uint32_t>{257, 259, 260}));
}

/// A folder whose model finds the padding likelier than any token.
class PaddedVocabulary : public testing::Test {
 protected:
  PaddedVocabulary() {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    RunConfig config = default_config(ModelFamily::kGpt2);
    config.model.vocab_size = kRows;
    config.model.n_positions = 16;
    config.model.hidden = 16;
    config.model.layers = 1;
    config.model.heads = 2;
    write_file_atomically(folder_ / "config.json", config_json(config));
    text::write_tokenizer_json(byte_tokenizer(), folder_ / "tokenizer.json");
    write_weights(models::LanguageModel(config.model));
    model_.emplace(folder_.path());
    graph::Workload workload(device_->profile());
    const infer::SessionGraphs graphs = infer::add_session_graphs(workload, model_->model(), {.distribution = true});
    runtime_.emplace(*device_, std::move(workload));
    model_->load_weights(*runtime_);
    session_.emplace(*runtime_, graphs, model_->model(), model_->rows_without_token());
    generator_.emplace(*session_, model_->tokenizer(), kRows, model_->start_id());
  }

  void write_weights(const models::LanguageModel& model) {
    graph::Workload workload(device_->profile());
    infer::add_session_graphs(workload, model, {});
    graph::Runtime runtime(*device_, std::move(workload));
    models::initialise_weights(runtime, model, 1);
    std::vector<float> table(static_cast<std::size_t>(kRows * 16));
    Philox random(3);
    for (std::size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<float>((i < kTokens * 16 ? 0.3 : 0.9) * random.normal());
    runtime.upload(model.body().token_embedding().name, table);
    write_safetensors(folder_ / "model.safetensors", models::tensors_to_save(runtime, model.parameters()),
                      {{"format", "pt"}});
  }

  /// log p of what follows.
  std::vector<float> log_probs(const std::vector<std::uint32_t>& ids) {
    session_->start(0, ids, {});
    session_->advance(1);
    session_->stop(0);
    return session_->log_probs(0);
  }

  test::TempDir folder_;
  std::unique_ptr<vk::Device> device_;
  std::optional<infer::ModelFolder> model_;
  std::optional<graph::Runtime> runtime_;
  std::optional<infer::Session> session_;
  std::optional<infer::Generator> generator_;
};

TEST_F(PaddedVocabulary, RowsWithoutATokenAreNeverDrawn) {
  const std::vector<float> next = log_probs(generator_->encode_prompt("the"));
  ASSERT_EQ(next.size(), static_cast<std::size_t>(kRows));
  const auto likeliest = [&](std::int64_t count) {
    return static_cast<std::uint32_t>(std::max_element(next.begin(), next.begin() + count) - next.begin());
  };
  ASSERT_GE(likeliest(kRows), kTokens) << "the model does not prefer the padding: the test shows nothing";
  const std::string greedy =
      generator_->generate("the", {.sampler = {.temperature = 0}, .max_tokens = 1, .stop_ids = {}}).text;
  EXPECT_EQ(greedy, model_->tokenizer().token_bytes(likeliest(kTokens)));
  // Every token of these has exactly one byte.
  for (const std::uint64_t seed : {1, 2, 3}) {
    std::size_t bytes = 0;
    generator_->generate("the", {.sampler = {.temperature = 1, .seed = seed}, .max_tokens = 40, .slide = true},
                         [&](const infer::GeneratedPiece& piece) {
                           bytes += piece.text.size();
                           return true;
                         });
    EXPECT_GT(bytes, 0u);
  }
}

TEST_F(PaddedVocabulary, ScoresSumOverAllRowsAndStateTheMassOfThoseWithoutAToken) {
  const std::string text = "a text longer than the context";
  std::vector<std::uint32_t> ids = model_->tokenizer().encode(text);
  ids.insert(ids.begin(), model_->tokenizer().eot_id());
  std::size_t scored = 0;
  score(*device_, device_->profile(), *model_, text, [&](const TokenScore& score) {
    // The distribution that the token was drawn from; windows of 16 start anew.
    const std::size_t begin = scored / 16 * 16;
    const std::vector<float> next = log_probs(
        {ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(scored + 1)});
    double mass = 0, total = 0;
    for (std::size_t row = 0; row < next.size(); ++row) {
      total += std::exp(double{next[row]});
      if (row >= kTokens) mass += std::exp(double{next[row]});
    }
    EXPECT_NEAR(total, 1, 1e-5);
    EXPECT_EQ(score.id, ids[scored + 1]);
    EXPECT_NEAR(score.log_p, next[score.id], 1e-4) << scored;
    EXPECT_NEAR(score.mass_without_token, mass, 1e-5) << scored;
    EXPECT_GT(mass, 0.1);
    ++scored;
  });
  EXPECT_EQ(scored, text.size());
}

}  // namespace
}  // namespace fabula::eval
