// From nothing to a story through the program itself, every output checked.
#include <cmath>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

TEST(Pipeline, PlanFindsTheBatchThatFits) {
  const Args plan{"plan", scene().path("config.json"), "--set", "vocab_size=300", "--set", "train.grad_accumulation=3"};
  const json none = fabula_ok(plan + Args{"--recompute", "none", "--json"}).json(),
             block = fabula_ok(plan + Args{"--recompute", "block", "--json"}).json();
  EXPECT_EQ(none["recompute"], "none");
  EXPECT_EQ(block["recompute"], "block");
  EXPECT_EQ(fabula_ok(plan + Args{"--json"}).json(), none);
  const std::string limit = std::to_string(none["bytes"]["total"].get<std::uint64_t>());
  const json fit = fabula_ok(plan + Args{"--fit", "--json", "--memory", limit}).json();
  EXPECT_EQ(fit["device_memory"].dump(), limit);
  EXPECT_EQ(fit["largest_batch_size"]["none"], 4);
  EXPECT_GE(fit["largest_batch_size"]["block"], 1);
  EXPECT_EQ(fit["sequences_per_step"], 12);
  EXPECT_EQ(fit["step"], (json{{"batch_size", 4}, {"grad_accumulation", 3}, {"recompute", "none"}}));
  for (const json& row : fit["rows"]) {
    if (row["batch_size"] != 4) continue;
    EXPECT_EQ(row["bytes_none"], none["bytes"]["total"]);
    EXPECT_EQ(row["bytes_block"], block["bytes"]["total"]);
  }
  const std::string text = fabula_ok(plan + Args{"--fit", "--memory", "2MiB"}).out;
  for (const char* part :
       {"2048 KiB may be used", "largest batch size:", "grad_accumulation", "12 sequences a step: --set"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  expect_refusal(fabula(plan + Args{"--fit", "--memory", "100KiB"}), 1,
                 {"not even a batch of one sequence", "too much"});
  expect_refusal(fabula(plan + Args{"--memory", "4 parsecs"}), 2, {"--memory"});
  expect_refusal(fabula(plan + Args{"--recompute", "blocks"}), 2, {"--recompute", "blocks", "none", "block", "auto"});
  expect_refusal(fabula(plan + Args{"--fit", "--compare-heads"}), 2, {"--fit", "--compare-heads"});
}

TEST(Pipeline, CorpusIsTheSameForTheSameSeed) {
  const std::string text = fabula_ok({"corpus", "--seed", "3", "--stories", "200"}).out;
  EXPECT_EQ(text, read(scene().path("stories.txt")));
  EXPECT_NE(text, fabula_ok({"corpus", "--seed", "5", "--stories", "200"}).out);
}

TEST(Pipeline, DataPrepareCounts) {
  const json counts = fabula_ok({"data", "prepare", scene().path("stories.txt"), "--tokenizer",
                                 scene().path("tokenizer.json"), "--out", scene().path("again.tokens"), "--json"})
                          .json();
  EXPECT_EQ(counts["documents"], 200);
  EXPECT_GT(counts["tokens"].get<int>(), 200 * 100);
  EXPECT_LT(counts["tokens"].get<int>(), counts["bytes"].get<int>());
  EXPECT_EQ(read(scene().path("again.tokens")), read(scene().path("stories.tokens")));
}

TEST(Pipeline, PlanFits) {
  const json plan = fabula_ok({"plan", scene().path("config.json"), "--set", "vocab_size=300", "--json"}).json();
  // Embeddings 300 x 32 and 32 x 32; a block of 12 D^2 + 13 D; a norm of 2 D; a head of S = 18, G = 17.
  const int body = 32 * 32 + 12 * 32 * 32 + 13 * 32 + 2 * 32 + 300 * 32, head = (17 + 18) * (32 + 1) + 2 * 17 * 18;
  EXPECT_EQ(plan["parameters"], body + head);
  EXPECT_EQ(plan["tokens_per_step"], 64);
  EXPECT_GE(plan["bytes"]["parameters"].get<int>(), 4 * (body + head));
  EXPECT_GE(plan["bytes"]["optimizer"].get<int>(), 8 * (body + head));
  EXPECT_EQ(plan["fits"], true);
}

TEST(Pipeline, TrainingLearns) {
  const std::vector<json> losses = records(scene().finished_run(), "eval");
  ASSERT_EQ(losses.size(), 4u);  // steps 0, 20, 40, 60
  // A fresh model knows the tokens' frequencies and nothing else.
  EXPECT_LT(losses.front()["loss"].get<double>(), std::log(300) - 0.5);
  EXPECT_LT(losses.back()["loss"].get<double>(), losses.front()["loss"].get<double>() - 0.4);
  EXPECT_EQ(records(scene().finished_run(), "train").size(), 60u);
  EXPECT_EQ(records(scene().finished_run(), "sample").size(), 2u);
  EXPECT_NE(read(scene().finished_run() + "/report.html").find("<svg"), std::string::npos);
}

TEST(Pipeline, EvalSeesTheTrainedModel) {
  const Args eval{"eval", scene().finished_run(), "--data", scene().path("valid.tokens"), "--json"};
  const json whole = fabula_ok(eval).json(), part = fabula_ok(eval + Args{"--batches", "2"}).json();
  EXPECT_LT(whole["loss"].get<double>(), std::log(300) - 0.5);
  EXPECT_NEAR(whole["perplexity"].get<double>(), std::exp(whole["loss"].get<double>()),
              1e-6 * whole["perplexity"].get<double>());
  // The last validation of training saw the same two batches.
  EXPECT_EQ(part["positions"], 2 * 4 * 16);
  EXPECT_EQ(part["loss"], records(scene().finished_run(), "eval").back()["loss"]);
  EXPECT_GT(whole["group_accuracy"].get<double>(), 0.1);
  // Another cut into batches, the same sequences and the same mean.
  const json other = fabula_ok(eval + Args{"--batch-size", "3"}).json();
  EXPECT_EQ(other["positions"], whole["positions"]);
  EXPECT_NEAR(other["loss"].get<double>(), whole["loss"].get<double>(), 1e-5);
  // A text in the place of its tokens.
  const json text = fabula_ok({"eval", scene().finished_run(), "--data", scene().path("valid.txt"), "--json"}).json();
  EXPECT_EQ(text["loss"], whole["loss"]);
}

TEST(Pipeline, EvalByFrequencyAddsUpToPlainEval) {
  const Args eval{"eval", scene().finished_run(), "--data", scene().path("valid.tokens")};
  const json plain = fabula_ok(eval + Args{"--json"}).json();
  const json table =
      fabula_ok(eval + Args{"--by-frequency", "--counts", scene().path("stories.tokens"), "--json"}).json();
  EXPECT_EQ(table["positions"], plain["positions"]);
  EXPECT_EQ(table["group_accuracy"], plain["group_accuracy"]);
  EXPECT_EQ(table["token_in_group_accuracy"], plain["token_in_group_accuracy"]);
  EXPECT_NEAR(table["loss"].get<double>(), plain["loss"].get<double>(), 1e-5);
  EXPECT_NEAR(table["group_loss"].get<double>() + table["slot_loss"].get<double>(), plain["loss"].get<double>(), 1e-5);
  EXPECT_EQ(table["counts_of_the_data_itself"], false);
  // Bands share out the vocabulary and the positions; their losses add up.
  int tokens = 0, positions = 0;
  double loss = 0;
  for (const json& band : table["bands"]) {
    tokens += band["tokens"].get<int>();
    positions += band["positions"].get<int>();
    if (band["positions"] != 0) loss += band["positions"].get<int>() * band["loss"].get<double>();
  }
  EXPECT_EQ(tokens, 300);
  EXPECT_EQ(positions, plain["positions"].get<int>());
  EXPECT_NEAR(loss / positions, plain["loss"].get<double>(), 1e-5);
  // So do the bins, whose right answers are the token accuracy.
  double binned = 0, right = 0, distance = 0;
  ASSERT_EQ(table["reliability"].size(), 10u);
  for (const json& bin : table["reliability"]) {
    const double count = bin["positions"].get<double>();
    binned += count;
    if (count == 0) continue;
    EXPECT_GE(bin["probability"].get<double>(), bin["from"].get<double>());
    EXPECT_LE(bin["probability"].get<double>(), bin["to"].get<double>());
    right += count * bin["right"].get<double>();
    distance += count * std::abs(bin["right"].get<double>() - bin["probability"].get<double>());
  }
  EXPECT_EQ(binned, positions);
  EXPECT_NEAR(right / positions, table["token_accuracy"].get<double>(), 1e-9);
  EXPECT_NEAR(distance / positions, table["expected_calibration_error"].get<double>(), 1e-9);
  EXPECT_GT(table["token_accuracy"].get<double>(), 0.05);
}

TEST(Pipeline, EvalByFrequencyCountsTheDataItselfUnlessTold) {
  const Args eval{"eval", scene().finished_run(), "--data", scene().path("valid.tokens"), "--by-frequency"};
  const json itself = fabula_ok(eval + Args{"--json", "--batches", "2"}).json();
  EXPECT_EQ(itself["counts_of_the_data_itself"], true);
  EXPECT_EQ(itself["positions"], 2 * 4 * 16);
  EXPECT_EQ(itself["bands"].back()["band"], "never seen");
  EXPECT_EQ(itself["bands"].back()["positions"], 0);
  EXPECT_TRUE(itself["bands"].back()["loss"].is_null());
  // One word alone has been counted: nearly all labels are tokens never seen.
  write(scene().path("word.txt"), "aaaa");
  const json word = fabula_ok(eval + Args{"--json", "--batches", "2", "--counts", scene().path("word.txt")}).json();
  EXPECT_EQ(word["loss"], itself["loss"]);
  EXPECT_EQ(word["bands"].size(), 2u);
  EXPECT_GT(word["bands"][1]["positions"].get<int>(), 64);
  const std::string text = fabula_ok(eval).out;
  for (const char* part :
       {"the evaluated text itself", "never seen", "expected calibration error", "slot loss", "in group"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
}

TEST(Pipeline, ScoresAddUp) {
  const json score = fabula_ok({"score", scene().finished_run(), "--text",
                                "Once upon a time, there was a girl. She had a dog and a red ball.", "--json"})
                         .json();
  double sum = 0;
  for (const json& token : score["tokens"]) {
    EXPECT_NEAR(token["log_p"].get<double>(), token["log_p_group"].get<double>() + token["log_p_slot"].get<double>(),
                1e-5);
    EXPECT_LT(token["log_p"].get<double>(), 0);
    sum += token["log_p"].get<double>();
  }
  const auto count = static_cast<double>(score["tokens"].size());
  EXPECT_GT(count, 32) << "longer than the context, so that windows are tested";
  EXPECT_NEAR(sum, -score["loss"].get<double>() * count, 1e-6 * std::abs(sum));
  EXPECT_NEAR(sum, score["log_p"].get<double>(), 1e-6 * std::abs(sum));
  EXPECT_NEAR(score["perplexity"].get<double>(), std::exp(-sum / count), 1e-3);
}

TEST(Pipeline, GenerationIsRepeatable) {
  const Args generate{"generate", scene().finished_run(), "--prompt", "The", "--max-tokens", "40"};
  const std::string once = fabula_ok(generate + Args{"--seed", "7"}).out;
  EXPECT_EQ(once, fabula_ok(generate + Args{"--seed", "7"}).out);
  EXPECT_NE(once, fabula_ok(generate + Args{"--seed", "8"}).out);
  EXPECT_EQ(once.substr(0, 3), "The");
  const std::string likeliest = fabula_ok(generate + Args{"--temperature", "0", "--seed", "7"}).out;
  EXPECT_EQ(likeliest, fabula_ok(generate + Args{"--temperature", "0", "--seed", "8"}).out);
  EXPECT_EQ(likeliest, fabula_ok(generate + Args{"--top-k", "1"}).out);
  const json two = fabula_ok(generate + Args{"--samples", "2", "--seed", "7", "--json"}).json();
  ASSERT_EQ(two.size(), 2u);
  // JSON has U+FFFD where a small model's bytes are no UTF-8.
  const std::string text = "The" + two[0]["text"].get<std::string>();
  const std::string same = text.substr(0, text.find("\xEF\xBF\xBD"));
  EXPECT_EQ(same, once.substr(0, same.size()));
  EXPECT_GT(same.size(), 10u);
  EXPECT_EQ(two[1]["seed"], 8);
}

TEST(Pipeline, GenerationBeyondTheContextGoesOn) {
  const json text =
      fabula_ok({"generate", scene().finished_run(), "--prompt", "The", "--max-tokens", "60", "--json"}).json();
  EXPECT_GT(text[0]["text"].get<std::string>().size(), 32u);
}

TEST(Pipeline, InfoTellsTheRun) {
  const json info = fabula_ok({"info", scene().finished_run(), "--json"}).json();
  EXPECT_EQ(info["step"], 60);
  EXPECT_EQ(info["tokens_seen"], 60 * 64);
  EXPECT_EQ(info["vocabulary"], 300);
  EXPECT_EQ(info["groups"], 17);
  EXPECT_EQ(info["group_size"], 18);
  EXPECT_EQ(info["head"], "grouped");
  EXPECT_EQ(info["head_in_full"], "grouped scale_shift, 17 groups of 18, id_ranges");
  EXPECT_EQ(info["map"], "id_ranges");
  EXPECT_EQ(info["tie_word_embeddings"], false);
  EXPECT_EQ(info["rows_without_token"], 0);
  EXPECT_EQ(info["data"], "stories.tokens");
  EXPECT_EQ(info["train"]["steps"], 60);
  EXPECT_EQ(info["train"]["learning_rate"], 4e-3);
  const std::string model = info["model"].get<std::string>();  // the first line of training
  EXPECT_NE(model.find("1 layers, hidden 32, 2 attention heads, 300 tokens; vocabulary head: grouped"), model.npos)
      << model;
  const std::string text = fabula_ok({"info", scene().finished_run()}).out;
  for (const std::string& line : {"model                      " + model, std::string("train.batch_size           4")})
    EXPECT_NE(text.find(line + "\n"), text.npos) << line << " is not in " << text;
  const std::string keys = fabula_ok({"info", "--config-keys"}).out;
  for (const char* key : {"n_embd", "head", "group_size", "learning_rate"})
    EXPECT_NE(keys.find(key), std::string::npos) << key;
}

TEST(Pipeline, CheckPasses) {
  const json check = fabula_ok({"check", "--quick", "--filter", "layer_norm", "--repeats", "2", "--json"}).json();
  EXPECT_EQ(check["misses"], 0);
  EXPECT_GT(check["checks"].get<int>(), 5);
  for (const json& result : check["results"]) EXPECT_LE(result["worst"].get<double>(), 1) << result;
}

TEST(Pipeline, DevicesAreListed) {
  const json devices = fabula_ok({"devices", "--json"}).json();
  ASSERT_GE(devices.size(), 1u);
  EXPECT_EQ(devices[0]["usable"], true);
  EXPECT_GE(devices[0]["limits"]["max_storage_range"].get<std::int64_t>(), 128 << 20);
}

TEST(Pipeline, ValidationLayerStaysSilent) {
  const json outcome =
      fabula_ok(scene().train("validated", {"--validate", "--json", "--set", "train.steps=4", "--set",
                                            "train.grad_accumulation=2", "--set", "train.sample_every=4"}))
          .json();
  EXPECT_EQ(outcome["validation_messages"], 0);
  EXPECT_EQ(outcome["step"], 4);
}

TEST(Pipeline, BothHeadsAndBothBodiesTrain) {
  write(scene().path("neo.json"),
        R"({"model_type": "gpt_neo", "max_position_embeddings": 16, "hidden_size": 16, "num_layers": 2, "num_heads": 2,
    "window_size": 5, "embed_dropout": 0, "attention_dropout": 0, "resid_dropout": 0, "head": {"kind": "full"},
    "train": {"batch_size": 4, "steps": 40, "learning_rate": 1e-2, "warmup_steps": 2, "eval_every": 40, "sample_every": 0}})");
  const Args train{"train",       scene().path("neo.json"),
                   "--data",      scene().path("stories.tokens"),
                   "--valid",     scene().path("valid.tokens"),
                   "--tokenizer", scene().path("tokenizer.json"),
                   "--json",      "--out"};
  for (const std::string head : {"full", "grouped"}) {
    const json outcome = fabula_ok(train + Args{scene().path("neo_" + head), "--set", "head.kind=" + head}).json();
    EXPECT_LT(outcome["validation_loss"].get<double>(), 5.2) << head;
  }
}

TEST(Pipeline, BuiltInStoriesWithAValidationTextOfOnesOwn) {
  fabula_ok({"train", scene().path("config.json"), "--valid", scene().path("valid.txt"), "--corpus-stories", "30",
             "--out", scene().path("own_valid"), "--set", "vocab_size=280", "--set", "train.steps=2"});
  const Args eval{"eval", scene().path("own_valid"), "--batches", "2", "--json", "--data", scene().path("valid.txt")};
  EXPECT_EQ(fabula_ok(eval).json()["loss"], records(scene().path("own_valid"), "eval").back()["loss"]);
}

TEST(Pipeline, CommandsReadATextAlike) {
  // The text of the tokens with Windows' line ends, by eval; the same changed, by score.
  std::string text = "\xef\xbb\xbf";
  for (const char c : read(scene().path("valid.txt"))) text += c == '\n' ? "\r\n" : std::string(1, c);
  write(scene().path("crlf.txt"), text);
  const Args eval{"eval", scene().finished_run(), "--json", "--data"};
  const Result windows = fabula_ok(eval + Args{scene().path("crlf.txt")});
  EXPECT_EQ(windows.json()["loss"], fabula_ok(eval + Args{scene().path("valid.tokens")}).json()["loss"]);
  EXPECT_NE(windows.err.find("line ends CRLF"), std::string::npos) << windows.err;
  EXPECT_NE(fabula_ok(eval + Args{scene().path("crlf.txt"), "--keep-line-ends"}).json()["loss"],
            windows.json()["loss"]);
  write(scene().path("two_lines.txt"), "The fox\r\nran.\r\n");
  const Args score{"score", scene().finished_run(), "--json"};
  EXPECT_EQ(fabula_ok(score + Args{"--file", scene().path("two_lines.txt")}).json(),
            fabula_ok(score + Args{"--text", "The fox\nran.\n"}).json());
  EXPECT_EQ(fabula_ok(score + Args{"--file", scene().path("two_lines.txt"), "--keep-line-ends"}).json(),
            fabula_ok(score + Args{"--text", "The fox\r\nran.\r\n"}).json());
  // A vocabulary is learned from the same documents.
  for (const std::string name : {"crlf", "valid"})
    fabula_ok({"tokenizer", "train", scene().path(name + ".txt"), "--vocab-size", "300", "--out",
               scene().path(name + ".json")});
  EXPECT_EQ(read(scene().path("crlf.json")), read(scene().path("valid.json")));
}

TEST(Pipeline, WhatATokenizersFileAsksForIsToldOnceByWhoeverTokenizes) {
  const std::string run = scene().copy_of_finished_run("composed");
  json tokenizer = json::parse(read(run + "/tokenizer.json"));
  tokenizer["normalizer"] = {{"type", "NFC"}};
  write(run + "/tokenizer.json", tokenizer.dump());
  const auto times_told = [](const std::string& err) {
    std::size_t times = 0;
    for (std::size_t at = err.find("asks for NFC"); at != std::string::npos; at = err.find("asks for NFC", at + 1))
      ++times;
    return times;
  };
  for (const Args& command : {Args{"data", "prepare", scene().path("valid.txt"), scene().path("valid.txt"),
                                   "--tokenizer", run + "/tokenizer.json", "--out", scene().path("composed.tokens")},
                              Args{"eval", run, "--data", scene().path("valid.txt"), "--batches", "1"},
                              Args{"score", run, "--text", "The"}, Args{"generate", run, "--max-tokens", "1"}}) {
    const std::string err = fabula_ok(command).err;
    EXPECT_EQ(times_told(err), 1u) << command[0] << ": " << err;
  }
}

TEST(Pipeline, TextAloneIsEnough) {
  // No tokenizer and no validation text: both come from the text.
  fabula_ok({"train", scene().path("config.json"), "--data", scene().path("valid.txt"), "--out",
             scene().path("text_alone"), "--set", "vocab_size=280", "--set", "train.steps=3"});
  const json info = fabula_ok({"info", scene().path("text_alone"), "--json"}).json();
  EXPECT_EQ(info["vocabulary"], 280);
  EXPECT_EQ(records(scene().path("text_alone"), "eval").size(), 2u);
}

}  // namespace
}  // namespace fabula::cli_test
