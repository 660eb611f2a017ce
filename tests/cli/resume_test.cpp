// A run continues as if nothing had happened, whatever happened.
#include <algorithm>
#include <csignal>
#include <random>
#include <sstream>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

int steps_shown(const std::string& err) {
  int steps = 0;
  for (std::size_t at = err.find("\nstep "); at != std::string::npos; at = err.find("\nstep ", at + 1)) {
    const std::size_t slash = err.find_first_not_of("0123456789", at + 6);
    steps += slash != std::string::npos && err[slash] == '/';
  }
  return steps;
}

RunOptions signal_after(int steps, int signal) {
  RunOptions options;
  options.signal_when = [=](const std::string& err) { return steps_shown(err) >= steps ? signal : 0; };
  return options;
}

// Number texts of the training losses, as they stand in the file.
std::vector<std::string> loss_texts(const std::string& run) {
  std::vector<std::string> texts;
  const std::string file = read(run + "/metrics.jsonl");
  for (std::size_t at = file.find("{\"kind\":\"train\""); at != std::string::npos;
       at = file.find("{\"kind\":\"train\"", at + 1)) {
    const std::size_t loss = file.find("\"loss\":", at);
    texts.push_back(file.substr(loss, file.find_first_of(",}", loss) - loss));
  }
  return texts;
}

void expect_same_run(const std::string& run, const std::string& other) {
  EXPECT_EQ(loss_texts(run), loss_texts(other));
  EXPECT_EQ(records(run), records(other));
  EXPECT_EQ(read(run + "/model.safetensors"), read(other + "/model.safetensors"));
  EXPECT_EQ(read(run + "/optimizer.safetensors"), read(other + "/optimizer.safetensors"));
}

// The words behind "fabula" of the command that a message ends with: it is what continues the run.
Args printed_command(const std::string& err) {
  const std::size_t command = err.find("\n  fabula train ");
  EXPECT_NE(command, std::string::npos) << err;
  Args words;
  if (command == std::string::npos) return words;
  std::istringstream text(err.substr(command + 10, err.find('\n', command + 10) - command - 10));
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

TEST(Resume, KilledAtRandomIsBitIdentical) {
  std::mt19937 random(20);
  const std::string run = scene().path("killed");
  int kills = 0;
  for (int i = 0; i < 4; ++i) {
    const Result result = fabula(scene().train("killed", {"--resume", "auto"}),
                                 signal_after(4 + static_cast<int>(random() % 16), SIGKILL));
    kills += result.status == 128 + SIGKILL;
    ASSERT_TRUE(result.status == 0 || result.status == 128 + SIGKILL) << result.err;
  }
  EXPECT_GE(kills, 2);
  fabula_ok(scene().train("killed", {"--resume", "auto"}));
  EXPECT_EQ(loss_texts(run).size(), 60u);
  expect_same_run(run, scene().finished_run());
}

TEST(Resume, InterruptedSavesAndContinues) {
  const std::string run = scene().path("interrupted");
  const Result stopped = fabula(scene().train("interrupted", {"--json"}), signal_after(17, SIGINT));
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  const json outcome = stopped.json();
  EXPECT_EQ(outcome["interrupted"], true);
  EXPECT_GE(outcome["step"].get<int>(), 17);
  EXPECT_LT(outcome["step"].get<int>(), 60);
  const Args words = printed_command(stopped.err);
  ASSERT_GT(words.size(), 2u);
  EXPECT_EQ(Args(words.end() - 2, words.end()), (Args{"--resume", "auto"}));
  fabula_ok(words);
  expect_same_run(run, scene().finished_run());
}

TEST(Resume, OfALlamaBodyToo) {
  write(scene().path("llama.json"),
        R"({"model_type": "llama", "max_position_embeddings": 16, "hidden_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 40, "head": {"kind": "grouped"},
    "train": {"batch_size": 4, "steps": 80, "learning_rate": 1e-2, "warmup_steps": 2, "dropout": 0.1, "eval_every": 20,
              "sample_every": 80, "sample_tokens": 20, "save_every": 10, "log_every": 1}})");
  const Args train{"train",       scene().path("llama.json"),
                   "--data",      scene().path("stories.tokens"),
                   "--valid",     scene().path("valid.tokens"),
                   "--tokenizer", scene().path("tokenizer.json"),
                   "--json",      "--out"};
  const std::string straight = scene().path("llama_straight"), stopped = scene().path("llama_stopped");
  EXPECT_LT(fabula_ok(train + Args{straight}).json()["validation_loss"].get<double>(), 5.2);
  ASSERT_EQ(fabula(train + Args{stopped}, signal_after(17, SIGINT)).status, 130);
  fabula_ok(train + Args{stopped, "--resume", "auto"});
  expect_same_run(stopped, straight);
  const Args generate{"generate", straight, "--max-tokens", "12", "--temperature", "0", "--prompt", "The"};
  EXPECT_EQ(fabula_ok(generate).out,
            fabula_ok({"generate", stopped, "--max-tokens", "12", "--temperature", "0", "--prompt", "The"}).out);
}

TEST(Resume, ADivergedRunGoesOnAsItsMessageSays) {
  const std::string run = scene().copy_of_finished_run("diverged");
  const std::string model = read(run + "/model.safetensors");
  const Result result = fabula(scene().train("diverged", {"--resume", "auto",
                                                          "--set",    "train.steps=110",
                                                          "--set",    "train.learning_rate=10",
                                                          "--set",    "train.weight_decay=10",
                                                          "--set",    "train.warmup_steps=0",
                                                          "--set",    "train.min_lr_ratio=1",
                                                          "--set",    "train.clip_norm=0",
                                                          "--set",    "train.sample_every=0",
                                                          "--set",    "train.eval_every=0",
                                                          "--set",    "train.save_every=2"}));
  expect_refusal(result, 1, {"is not finite", "is of step 60 again", "diverged/set_aside", "learning_rate=0.004"});
  EXPECT_EQ(read(run + "/model.safetensors"), model);
  Args words = printed_command(result.err);
  // Decay is no less at fault here than the rate that the command lowers.
  fabula_ok(words + Args{"--set", "train.weight_decay=0.1"});
  EXPECT_EQ(records(run, "train").size(), 110u);
  for (const json& record : records(run, "train")) EXPECT_LT(record["loss"].get<double>(), 7);
  expect_refusal(fabula(scene().train("diverged", {"--resume", "last-good"})), 2, {"diverged holds no last_good"});
}

TEST(Resume, WhatIsNotAsItWasSavedIsFound) {
  const std::string run = scene().copy_of_finished_run("verified"), file = run + "/optimizer.safetensors";
  EXPECT_NE(fabula_ok({"info", run, "--verify"}).out.find("optimizer.safetensors    ok"), std::string::npos);
  std::string bytes = read(file);
  bytes[bytes.size() - 7] ^= 1;
  write(file, bytes);
  const Result result = fabula({"info", run, "--verify"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.out.find("optimizer.safetensors    differs"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("model.safetensors        ok"), std::string::npos) << result.out;
  const auto before = contents(run);
  expect_refusal(fabula(scene().train("verified", {"--resume", "auto", "--set", "train.steps=62"})), 1,
                 {"optimizer.safetensors", "not those that were saved"});
  EXPECT_EQ(contents(run), before);
}

TEST(Resume, TerminatedSavesToo) {
  EXPECT_EQ(fabula(scene().train("terminated"), signal_after(3, SIGTERM)).status, 130);
  EXPECT_GE(fabula_ok({"info", scene().path("terminated"), "--json"}).json()["step"].get<int>(), 3);
}

TEST(Resume, TheSameSeedTwice) {
  fabula_ok(scene().train("twice", {"--resume", "auto"}));  // nothing to resume: a new run
  expect_same_run(scene().path("twice"), scene().finished_run());
  fabula_ok(scene().train("other_seed", {"--set", "train.seed=2", "--set", "train.steps=5"}));
  EXPECT_NE(loss_texts(scene().path("other_seed")).front(), loss_texts(scene().finished_run()).front());
}

TEST(Resume, AFinishedRunIsLeftAlone) {
  const std::string run = scene().copy_of_finished_run("left_alone");
  const auto before = contents(run);
  const Result result = fabula_ok(scene().train("left_alone", {"--resume", "auto", "--json"}));
  EXPECT_EQ(result.json()["step"], 60);
  EXPECT_EQ(result.json()["loss"], nullptr);
  EXPECT_NE(result.err.find("train.steps"), std::string::npos) << result.err;
  EXPECT_EQ(contents(run), before);
}

TEST(Resume, AFinishedRunCanBeMadeLonger) {
  const std::string run = scene().copy_of_finished_run("longer");
  const Result result = fabula_ok(scene().train("longer", {"--resume", "auto", "--set", "train.steps=63", "--json"}));
  EXPECT_NE(result.err.find("warning: the training settings differ"), std::string::npos) << result.err;
  EXPECT_EQ(result.json()["step"], 63);
  EXPECT_EQ(loss_texts(run).size(), 63u);
}

TEST(Resume, WithoutTheFlagAnExistingRunIsSafe) {
  const std::string run = scene().copy_of_finished_run("safe");
  const auto before = contents(run);
  expect_refusal(fabula(scene().train("safe")), 2, {"safe already holds a run at step 60", "--resume auto"});
  EXPECT_EQ(contents(run), before);
  expect_refusal(fabula({"train", scene().path("config.json"), "--out", run}), 2, {"already holds a run"});
  EXPECT_EQ(contents(run), before) << "no built-in stories were written into it";
}

TEST(Resume, OtherKernelsAreRefusedUnlessForced) {
  const std::string run = scene().copy_of_finished_run("kernels");
  const auto before = contents(run);
  const Args other = scene().train("kernels", {"--limits", "vulkan-minimum", "--set", "train.steps=62"});
  const Result refused = fabula(other + Args{"--resume", "auto"});
  expect_refusal(refused, 2, {"other kernels", "[vulkan-minimum]", "bit-identically", "--resume force"});
  EXPECT_EQ(contents(run), before);
  EXPECT_EQ(fabula_ok(other + Args{"--resume", "force", "--json"}).json()["step"], 62);
  // From now on the run belongs to these kernels.
  fabula_ok(other + Args{"--resume", "auto", "--set", "train.steps=63"});
  expect_refusal(fabula(scene().train("kernels", {"--resume", "auto", "--set", "train.steps=64"})), 2,
                 {"other kernels"});
}

TEST(Resume, OtherSettingsAreNotMistakenForOtherKernels) {
  scene().copy_of_finished_run("settings");
  const Result result =
      fabula_ok(scene().train("settings", {"--resume", "auto", "--json", "--set", "train.steps=62", "--set",
                                           "train.batch_size=3", "--set", "train.sample_every=0"}));
  for (const char* part :
       {"warning: the training settings differ", "train.batch_size was", ", is 3", "train.steps was 60, is 62"})
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  EXPECT_EQ(result.json()["step"], 62);
}

TEST(Resume, AnotherModelIsRefused) {
  const std::string run = scene().copy_of_finished_run("shape");
  const auto before = contents(run);
  expect_refusal(fabula(scene().train("shape", {"--resume", "auto", "--set", "n_layer=2"})), 2,
                 {"another shape", "n_layer was", ", is 2)", "config.json"});
  EXPECT_EQ(contents(run), before);
}

TEST(Resume, OtherTextsAreRefused) {
  const std::string run = scene().copy_of_finished_run("texts");
  const auto before = contents(run);
  Args other = scene().train("texts", {"--resume", "auto", "--set", "train.steps=62"});
  other[3] = scene().path("valid.tokens");
  expect_refusal(fabula(other), 2, {"trained on other texts", "--from " + run});
  EXPECT_EQ(contents(run), before);
}

TEST(Resume, ANewRunStartsFromAnothersWeights) {
  const std::string source = scene().finished_run(), run = scene().path("onward");
  const auto before = contents(source);
  const std::string text = scene().path("valid.tokens");
  const Args train{"train", source, "--data", text, "--from", source, "--out", run, "--valid", text};
  const Result stopped = fabula(train, signal_after(3, SIGINT));
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("starting from " + source + " (step 60): 22 of 22 tensors"), std::string::npos)
      << stopped.err;
  EXPECT_EQ(records(run, "eval").front()["step"], 0);
  EXPECT_EQ(records(run, "eval").front()["loss"], records(source, "eval").back()["loss"]);
  // The printed command goes on, even when the folder that the run came from is gone.
  std::string command = stopped.err.substr(stopped.err.find("fabula train "));
  EXPECT_NE(command.find("--from " + source), std::string::npos) << command;
  const Args onward = train + Args{"--resume", "auto", "--json"};
  EXPECT_EQ(fabula_ok(onward).json()["step"], 60);
  Args gone = onward + Args{"--set", "train.steps=61"};
  gone[5] = scene().path("no folder");
  const Result other = fabula_ok(gone);
  EXPECT_NE(other.err.find("has no effect"), std::string::npos) << other.err;
  EXPECT_EQ(other.json()["step"], 61);
  EXPECT_EQ(fabula_ok({"info", run, "--json"}).json()["from"], source + " (step 60)");
  Args itself = train + Args{"--resume", "auto"};
  itself[7] = source;
  expect_refusal(fabula(itself), 2, {"same folder"});
  EXPECT_EQ(contents(source), before);
}

TEST(Resume, TheCommandToContinueReadsTheTextAlike) {
  // One document with the line ends of Windows, a part of it held out.
  std::string text;
  for (const char c : read(scene().path("valid.txt"))) text += c == '\n' ? "\r\n" : std::string(c != '<', c);
  write(scene().path("windows.txt"), text);
  const Result stopped = fabula({"train", scene().path("config.json"), "--data", scene().path("windows.txt"),
                                 "--tokenizer", scene().path("tokenizer.json"), "--valid-fraction", "0.2",
                                 "--keep-line-ends", "--bytes", "--out", scene().path("windows")},
                                signal_after(3, SIGINT));
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  const std::size_t command = stopped.err.find("\n  fabula train ");
  ASSERT_NE(command, std::string::npos) << stopped.err;
  Args words;
  std::istringstream line(stopped.err.substr(command + 3, stopped.err.find('\n', command + 3) - command - 3));
  for (std::string word; line >> word;) words.push_back(word);
  for (const char* const flag : {"--valid-fraction", "0.2", "--keep-line-ends", "--bytes"})
    EXPECT_NE(std::find(words.begin(), words.end(), flag), words.end()) << flag << " is not in " << line.str();
  fabula_ok(Args(words.begin() + 1, words.end()));
  // Other settings of reading are other texts.
  std::erase(words, "--keep-line-ends");
  std::erase(words, "--bytes");
  expect_refusal(fabula(Args(words.begin() + 1, words.end())), 2, {"trained on other texts", "line ends kept"});
}

TEST(Resume, TwoTrainersInOneFolderAreRefused) {
  bool tried = false;
  RunOptions options;
  options.signal_when = [&](const std::string& err) {
    if (tried || steps_shown(err) < 2) return 0;
    tried = true;
    expect_refusal(fabula(scene().train("busy", {"--resume", "auto"})), 2, {"busy", "in use by another fabula"});
    return SIGINT;
  };
  EXPECT_EQ(
      fabula(scene().train("busy", {"--set", "train.steps=100000", "--set", "train.save_every=0"}), options).status,
      130);
  EXPECT_TRUE(tried);
}

TEST(Resume, AnAttemptThatFailedLeavesNoTextsBehind) {
  // Without a checkpoint a second attempt with other texts must not find those of the first.
  Args train{"train", scene().path("config.json"),
             "--out", scene().path("attempts"),
             "--set", "train.steps=2",
             "--set", "vocab_size=280",
             "--data"};
  expect_refusal(fabula(train + Args{scene().path("stories.txt"), "--memory", "100KiB"}), 1, {"out of device memory"});
  EXPECT_TRUE(std::filesystem::exists(scene().path("attempts/data/train.txt")));
  fabula_ok(train + Args{scene().path("valid.txt")});
  EXPECT_NE(read(scene().path("attempts/data/train.txt")), "");
  EXPECT_EQ(read(scene().path("stories.txt")).find(read(scene().path("attempts/data/train.txt")).substr(0, 200)),
            std::string::npos);
}

}  // namespace
}  // namespace fabula::cli_test
