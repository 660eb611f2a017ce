// What training promises beyond a falling loss.
#include <cmath>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

std::vector<double> losses(const std::string& run) {
  std::vector<double> result;
  for (const json& record : records(run, "train")) result.push_back(record["loss"].get<double>());
  return result;
}

const Args kQuiet{"--set", "train.eval_every=0", "--set", "train.sample_every=0", "--set", "train.save_every=0"};

// Hugging Face's default of 0.1 would stop whoever writes no more than they must.
TEST(Training, TheShortestConfigTrains) {
  write(scene().path("short.json"),
        R"({"model_type": "gpt2", "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2,
      "train": {"steps": 1, "eval_every": 0, "sample_every": 0, "batch_size": 2}})");
  const Result result = fabula_ok({"train", scene().path("short.json"), "--data", scene().path("valid.tokens"),
                                   "--tokenizer", scene().path("tokenizer.json"), "--out", scene().path("short")});
  EXPECT_NE(result.err.find("short.json: attn_pdrop is left out and taken as 0"), std::string::npos) << result.err;
  EXPECT_EQ(json::parse(read(scene().path("short/config.json")))["attn_pdrop"], 0);
}

TEST(Training, OverfitsOneBatch) {
  fabula_ok(scene().train("overfit", kQuiet + Args{"--overfit-batch", "--set", "train.steps=250", "--set",
                                                   "train.learning_rate=1e-2", "--set", "train.dropout=0", "--set",
                                                   "train.weight_decay=0", "--set", "train.log_every=100"}));
  EXPECT_LT(losses(scene().path("overfit")).back(), 0.1);
}

TEST(Training, AccumulatedBatchesEqualOneBatch) {
  // Without dropout the halves of a batch give what the whole gives, but for the order of sums.
  const Args flags = kQuiet + Args{"--set", "train.dropout=0", "--set", "train.steps=6"};
  fabula_ok(scene().train("whole", flags));
  fabula_ok(scene().train("halves", flags + Args{"--set", "train.batch_size=2", "--set", "train.grad_accumulation=2"}));
  const std::vector<double> whole = losses(scene().path("whole")), halves = losses(scene().path("halves"));
  ASSERT_EQ(whole.size(), 6u);
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], halves[i], 1e-5) << "step " << i + 1;
  for (const char* kind : {"eval", "sample"})
    EXPECT_TRUE(records(scene().path("whole"), kind).empty()) << kind << ": every 0 steps means never";
}

TEST(Training, AccumulationWithDropoutDrawsAnewForEachPart) {
  // Both parts are the same batch: with one draw for both, two parts would equal one.
  const Args flags = kQuiet + Args{"--overfit-batch", "--set", "train.dropout=0.3", "--set",
                                   "train.steps=3",   "--set", "train.batch_size=2"};
  fabula_ok(scene().train("one_part", flags));
  for (const std::string name : {"two_parts", "two_parts_again"})
    fabula_ok(scene().train(name, flags + Args{"--set", "train.grad_accumulation=2"}));
  EXPECT_EQ(losses(scene().path("two_parts")), losses(scene().path("two_parts_again")));
  EXPECT_NE(losses(scene().path("one_part")).front(), losses(scene().path("two_parts")).front());
  EXPECT_NEAR(losses(scene().path("one_part")).front(), losses(scene().path("two_parts")).front(), 0.2);
}

}  // namespace
}  // namespace fabula::cli_test
