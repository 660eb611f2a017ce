// Bad input: one clear message, a non-zero exit, and nothing that existed is harmed.
#include <cmath>
#include <cstring>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

Args eval(const std::string& run) {
  return {"eval", run, "--data", scene().path("valid.tokens"), "--json"};
}

/// Replaces the first number of a tensor in a safetensors file.
void poison(const std::string& file, const std::string& tensor, float value, std::size_t index = 0) {
  std::string bytes = read(file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  const json table = json::parse(bytes.substr(8, header));
  ASSERT_TRUE(table.contains(tensor)) << tensor;
  std::memcpy(bytes.data() + 8 + header + table[tensor]["data_offsets"][0].get<std::size_t>() + 4 * index, &value, 4);
  write(file, bytes);
}

std::string limits_file(const std::string& name, const std::string& content) {
  write(scene().path(name), content);
  return scene().path(name);
}

TEST(BadInput, NoLoader) {
  std::filesystem::create_directory(scene().path("no_loader"));
  for (const char* name : {"libvulkan.so.1", "libvulkan.so"}) write(scene().path("no_loader/") + name, "not a library");
  RunOptions options;
  options.environment["LD_LIBRARY_PATH"] = scene().path("no_loader");
  expect_refusal(fabula({"devices"}, options), 1, {"no Vulkan loader", "libvulkan1"});
  EXPECT_NE(fabula_ok({"--help"}, options).out.find("train"), std::string::npos)
      << "the program starts without a loader";
}

TEST(BadInput, NoDevice) {
  RunOptions options;
  options.environment = {{"VK_ICD_FILENAMES", "/nonexistent"}, {"VK_DRIVER_FILES", "/nonexistent"}};
  expect_refusal(fabula({"devices"}, options), 1, {"no working driver", "mesa-vulkan-drivers", "VK_ICD_FILENAMES"});
  expect_refusal(fabula(scene().train("no_device"), options), 1, {"no working driver"});
  EXPECT_FALSE(std::filesystem::exists(scene().path("no_device")));
}

TEST(BadInput, UnknownDevice) {
  for (const char* device : {"voodoo", "99"})
    expect_refusal(fabula(scene().train("no_device", {"--device", device})), 2, {device, "0: llvmpipe"});
}

TEST(BadInput, OutOfDeviceMemory) {
  const std::string cap = limits_file("cap.json", R"({"heap_cap": 400000})");
  const Result result = fabula(scene().train("no_memory", {"--limits", cap}));
  expect_refusal(result, 1,
                 {"out of device memory", "the run takes", "with recompute", "390.6 KiB", "train.sequence_length=8",
                  "a smaller model", "fabula plan --fit"});
  EXPECT_FALSE(std::filesystem::exists(scene().path("no_memory/model.safetensors")));
  const Result plan = fabula({"plan", scene().path("config.json"), "--set", "vocab_size=300", "--limits", cap});
  EXPECT_EQ(plan.status, 1);
  for (const char* part : {"does not fit", "train.sequence_length=8", "a smaller model", "--fit"})
    EXPECT_NE(plan.out.find(part), std::string::npos) << plan.out;
  const Args roomy{"--memory", "560KiB"};
  expect_refusal(fabula(scene().train("no_memory", roomy + Args{"--set", "train.batch_size=64"})), 1,
                 {"the run takes", "recompute", "--set train.batch_size=", "--set train.grad_accumulation="});
}

// Advice names the flags of the command that was given, not of another.
TEST(BadInput, OutOfDeviceMemoryWithoutTraining) {
  const Args little{"--memory", "10KiB"};
  const Result generate = fabula(Args{"generate", scene().finished_run(), "--prompt", "a"} + little);
  expect_refusal(generate, 1, {"out of device memory", "capped at 10240 bytes", "What needs less: a smaller model"});
  const Result evaluation = fabula(eval(scene().finished_run()) + little);
  expect_refusal(evaluation, 1, {"out of device memory", "What needs less: --batch-size N, --sequence N"});
  for (const Result* result : {&generate, &evaluation})
    for (const char* flag : {"--recompute", "--precision", "train."})
      EXPECT_EQ(result->err.find(flag), std::string::npos) << result->err;
}

TEST(BadInput, LimitsFiles) {
  const Args plan{"plan", scene().path("config.json"), "--limits"};
  expect_refusal(fabula(plan + Args{limits_file("typo.json", R"({"heap_cp": 1})")}), 2,
                 {"heap_cp", "did you mean \"heap_cap\""});
  expect_refusal(fabula(plan + Args{limits_file("torn.json", R"({"heap_cap": )")}), 2, {"torn.json", "not valid JSON"});
  expect_refusal(fabula(plan + Args{"vulkan-minimun"}), 2, {"vulkan-minimun", "vulkan-minimum"});
}

TEST(BadInput, Configs) {
  const auto refuse = [](const std::string& content, const std::vector<std::string>& parts) {
    write(scene().path("bad_config.json"), content);
    const Result result = fabula({"plan", scene().path("bad_config.json")});
    expect_refusal(result, result.status == 2 ? 2 : 1, parts);
  };
  refuse("", {"bad_config.json"});
  refuse("{\"model_type\": \"gpt2\"", {"bad_config.json"});
  refuse("[1, 2]", {"bad_config.json", "object"});
  refuse(std::string(100000, '['), {"bad_config.json"});
  refuse("{\"model_type\": \"gpt2\", \"n_embd\": 1e400}", {"bad_config.json", "1e400"});
  refuse("{\"model_type\": \"gpt2\", \"n_embd\": -3}", {"n_embd", "-3"});
  refuse("{\"model_type\": \"gpt2\", \"n_embd\": 30, \"n_head\": 4}", {"n_head", "30"});
  refuse("{\"model_type\": \"gpt5\"}", {"gpt5", "gpt2"});
  refuse("{\"model_type\": \"gpt2\", \"n_emdb\": 32}", {"n_emdb", "did you mean \"n_embd\""});
  refuse("{\"model_type\": \"gpt2\", \"train\": {\"learning_rat\": 1}}",
         {"train.learning_rat", "did you mean \"learning_rate\""});
  expect_refusal(fabula({"plan", scene().path("config.json"), "--set", "train.bath_size=3"}), 2,
                 {"train.bath_size", "did you mean \"batch_size\""});
  expect_refusal(fabula({"plan", scene().path("config.json"), "--set", "batch_size"}), 2, {"key=value"});
  expect_refusal(fabula({"plan", scene().path("missing.json")}), 1, {"missing.json", "No such file"});
}

TEST(BadInput, HeadsThatCannotBe) {
  const Args plan{"plan", scene().path("config.json"), "--set", "vocab_size=300", "--set"};
  expect_refusal(fabula(plan + Args{"head.group_size=-1"}), 2, {"head.group_size", "-1"});
  expect_refusal(fabula(plan + Args{"head.group_size=301"}), 2, {"head.group_size is 301", "300 tokens"});
  expect_refusal(fabula(plan + Args{"head.group_size=10", "--set", "head.groups=29"}), 2,
                 {"290", "300", "head.groups must be 30"});
  expect_refusal(fabula(plan + Args{"head.group_size=0"}), 2, {"head.group_size is 0", "from 1 to", "null"});
  fabula_ok(plan + Args{"head.group_size=null"});  // ceil(sqrt(V))
  fabula_ok(plan + Args{"head.group_size=300"});
  fabula_ok(plan + Args{"head.group_size=1"});
}

TEST(BadInput, WhatCannotTrainPreparesNoText) {
  for (const char* setting : {"attn_pdrop=0.1", "train.sequence_length=33"}) {
    const std::string key = std::string(setting).substr(0, std::string(setting).find('='));
    expect_refusal(fabula(scene().train("unprepared", {"--set", setting})), key == "attn_pdrop" ? 1 : 2,
                   {key == "attn_pdrop" ? key : "n_positions"});
    EXPECT_FALSE(std::filesystem::exists(scene().path("unprepared")));
  }
  const Args longer{"--set", "n_positions=40000", "--set", "train.sequence_length=40000"};
  expect_refusal(fabula(scene().train("unprepared", longer)), 1, {"40000", "32768", "shorter sequence"});
  EXPECT_FALSE(std::filesystem::exists(scene().path("unprepared")));
}

TEST(BadInput, NoInputIsOverwritten) {
  const std::string text = scene().path("kept.txt"), tokenizer = scene().path("tokenizer.json"),
                    tokens = scene().path("valid.tokens");
  std::filesystem::copy_file(scene().path("valid.txt"), text);
  const auto refuse = [](const Args& args, const std::string& file) {
    const std::string before = read(file);
    expect_refusal(fabula(args + Args{"--out", file}), 2, {file, "is what is read"});
    EXPECT_EQ(read(file), before);
  };
  refuse({"data", "prepare", text, "--tokenizer", tokenizer}, text);
  refuse({"data", "prepare", text, "--tokenizer", tokenizer}, tokenizer);
  refuse({"tokenizer", "train", text}, text);
  refuse({"tokenizer", "import", tokenizer}, tokenizer);
  refuse({"data", "groups", tokens}, tokens);
}

TEST(BadInput, NumbersTooLargeOrNotWhole) {
  for (const char* value : {"-1", "18446744073709551616", "1.5", "x"}) {
    const std::string said = value + std::string(" is not a whole number from ");
    expect_refusal(fabula({"corpus", "--seed", value}), 2, {"--seed", said + "0 to 18446744073709551615"});
    expect_refusal(fabula({"generate", "run", "--top-k", value}), 2, {"--top-k", said + "0 to 4294967295"});
    expect_refusal(fabula({"data", "groups", "tokens", "--out", "map", "--groups", value}), 2, {said + "1 to "});
  }
}

TEST(BadInput, Safetensors) {
  const std::string run = scene().copy_of_finished_run("weights"), file = run + "/model.safetensors",
                    whole = read(file);
  const auto refuse = [&](const std::string& content, const std::vector<std::string>& parts) {
    write(file, content);
    expect_refusal(fabula(eval(run)), 1, parts);
    EXPECT_EQ(read(file), content);
  };
  refuse(whole.substr(0, whole.size() / 2), {"model.safetensors"});
  refuse(whole + "more", {"model.safetensors"});
  refuse("", {"model.safetensors"});
  std::string hostile = whole;
  std::memset(hostile.data(), 0xFF, 8);  // a header of 2^64 - 1 bytes
  refuse(hostile, {"model.safetensors"});
  std::string renamed = whole;
  renamed.replace(renamed.find("lm_head.scale"), 13, "lm_head.scala");
  refuse(renamed, {"model.safetensors", "lm_head.scala"});
  const Args longer = scene().train("weights", {"--resume", "auto", "--set", "train.steps=62"});
  expect_refusal(fabula(longer), 1, {"model.safetensors", "lm_head.scala"});
  EXPECT_EQ(read(file), renamed);
  write(file, whole);
  fabula_ok(longer);
}

TEST(BadInput, ShapesThatDisagreeWithTheConfig) {
  const std::string run = scene().copy_of_finished_run("disagree");
  const json good = json::parse(read(run + "/config.json"));
  json config = good;
  config["head"]["group_size"] = 20;
  config["head"].erase("groups");
  write(run + "/config.json", config.dump());
  expect_refusal(fabula(eval(run)), 1, {"token_groups.json: the group map has 17 groups", "head.groups 15"});
  std::filesystem::remove(run + "/token_groups.json");  // the weights have the map too
  expect_refusal(fabula(eval(run)), 1, {"model.safetensors: the group map has 17 groups", "head.groups 15"});
  // Weights of an older program have none; such a map follows from the config: now the tensors disagree.
  std::string weights = read(run + "/model.safetensors");
  for (const char* name : {"lm_head.tokens", "lm_head.starts"}) weights[weights.find(name)] = 'k';
  write(run + "/model.safetensors", weights);
  expect_refusal(fabula(eval(run)), 1, {"lm_head", "[17", "[15", "15 groups of 20"});
  config = good;
  config["head"]["map"] = "clustered";
  write(run + "/config.json", config.dump());
  expect_refusal(fabula(eval(run)), 1, {"token_groups.json", "which token is in which group"});
}

TEST(BadInput, OptimizerOfAnotherStep) {
  const std::string run = scene().copy_of_finished_run("mixed");
  json state = json::parse(read(run + "/state.json"));
  state["step"] = 56;
  write(run + "/state.json", state.dump());
  const auto before = contents(run);
  expect_refusal(fabula(scene().train("mixed", {"--resume", "auto"})), 1,
                 {"step 60", "step 56", "do not belong together"});
  EXPECT_EQ(contents(run), before);
  write(run + "/state.json", "{\"format\": 1, \"step\": -4}");
  expect_refusal(fabula(scene().train("mixed", {"--resume", "auto"})), 1, {"state.json", "step"});
}

TEST(BadInput, Tokenizers) {
  const auto refuse = [](const std::string& content, const std::vector<std::string>& parts) {
    write(scene().path("bad_tokenizer.json"), content);
    expect_refusal(fabula({"data", "prepare", scene().path("valid.txt"), "--tokenizer",
                           scene().path("bad_tokenizer.json"), "--out", scene().path("no.tokens")}),
                   1, parts);
    EXPECT_FALSE(std::filesystem::exists(scene().path("no.tokens")));
  };
  const std::string whole = read(scene().path("tokenizer.json"));
  refuse(whole.substr(0, whole.size() / 2), {"bad_tokenizer.json"});
  refuse("{}", {"bad_tokenizer.json"});
  refuse("", {"bad_tokenizer.json"});
  refuse(std::string(50000, '[') + std::string(50000, ']'), {"bad_tokenizer.json"});
  json hole = json::parse(whole);
  hole["model"]["vocab"].erase(hole["model"]["vocab"].begin());
  refuse(hole.dump(), {"bad_tokenizer.json"});
}

TEST(BadInput, TokenFiles) {
  const std::string whole = read(scene().path("valid.tokens")), file = scene().path("bad.tokens");
  const auto refuse = [&](const std::string& content, const std::vector<std::string>& parts) {
    write(file, content);
    expect_refusal(fabula({"eval", scene().finished_run(), "--data", file}), 1, parts);
    Args train = scene().train("bad_tokens");
    train[3] = file;
    expect_refusal(fabula(train), 1, parts);
  };
  refuse(whole.substr(0, whole.size() - 10), {"bad.tokens"});
  refuse(whole.substr(0, 64), {"bad.tokens"});
  refuse(whole + "x", {"bad.tokens"});
  std::string beyond = whole;
  beyond[128] = beyond[129] = '\x7F';  // the first token becomes 32639 of 300
  refuse(beyond, {"bad.tokens", "32639", "300"});
}

TEST(BadInput, TokensOfAnotherTokenizer) {
  fabula_ok({"tokenizer", "train", scene().path("valid.txt"), "--vocab-size", "300", "--out",
             scene().path("other_tokenizer.json")});
  Args train = scene().train("other_tokenizer");
  train[7] = scene().path("other_tokenizer.json");
  expect_refusal(fabula(train), 2, {"stories.tokens", "tokenizer"});
  expect_refusal(fabula(scene().train("other_vocabulary", {"--set", "vocab_size=299"})), 2,
                 {"vocab_size is 299", "300 tokens"});
  // A run folder whose tokenizer goes beyond the model's vocabulary.
  const std::string run = scene().copy_of_finished_run("beyond");
  fabula_ok(
      {"tokenizer", "train", scene().path("stories.txt"), "--vocab-size", "310", "--out", run + "/tokenizer.json"});
  expect_refusal(fabula({"generate", run}), 1, {"310 tokens", "vocab_size 300"});
}

TEST(BadInput, Texts) {
  write(scene().path("empty.txt"), "");
  write(scene().path("marks.txt"), "<|endoftext|>\n<|endoftext|>\n");
  write(scene().path("short.txt"), "Hi.");
  const Args train{"train",       scene().path("config.json"),    "--out", scene().path("no_text"),
                   "--tokenizer", scene().path("tokenizer.json"), "--data"};
  for (const char* name : {"empty.txt", "marks.txt"}) {
    expect_refusal(fabula(train + Args{scene().path(name)}), 2, {name, "no text"});
    expect_refusal(fabula({"data", "prepare", scene().path(name), "--tokenizer", scene().path("tokenizer.json"),
                           "--out", scene().path("no.tokens")}),
                   2, {"document"});
    expect_refusal(fabula({"tokenizer", "train", scene().path(name), "--out", scene().path("no.json")}), 2,
                   {"no text"});
  }
  EXPECT_FALSE(std::filesystem::exists(scene().path("no.tokens")) || std::filesystem::exists(scene().path("no.json")));
  expect_refusal(fabula(train + Args{scene().path("short.txt")}), 2, {"too few", "at least 17"});
  expect_refusal(fabula(train + Args{scene().path("missing.txt")}), 1, {"missing.txt", "No such file"});
}

TEST(BadInput, WhatIsNoText) {
  // "The fox ran." as an editor on Windows saves it when it says "Unicode".
  const std::string text = scene().path("wide.txt");
  write(text, std::string("\xff\xfeT\0h\0e\0 \0f\0o\0x\0 \0r\0a\0n\0.\0", 26));
  const std::vector<std::string> parts{"wide.txt", "UTF-16", "iconv", "--bytes"};
  const std::string tokenizer = scene().path("tokenizer.json"), tokens = scene().path("wide.tokens");
  expect_refusal(fabula({"data", "prepare", text, "--tokenizer", tokenizer, "--out", tokens}), 1, parts);
  expect_refusal(fabula({"tokenizer", "train", text, "--out", tokens}), 1, parts);
  expect_refusal(fabula({"eval", scene().finished_run(), "--data", text}), 1, parts);
  expect_refusal(fabula({"score", scene().finished_run(), "--file", text}), 1, parts);
  expect_refusal(fabula({"train", scene().path("config.json"), "--data", text, "--tokenizer", tokenizer, "--out",
                         scene().path("wide")}),
                 1, parts);
  EXPECT_FALSE(std::filesystem::exists(tokens));
  EXPECT_EQ(fabula_ok({"data", "prepare", text, "--tokenizer", tokenizer, "--out", tokens, "--bytes", "--json"})
                .json()["bytes"],
            26);
}

TEST(BadInput, PromptsAndLengths) {
  const std::string run = scene().finished_run();
  expect_refusal(fabula({"generate", run, "--prompt", std::string(400, 'x')}), 2,
                 {"the prompt has", "holds 32", "shorten"});
  expect_refusal(fabula(scene().train("long_prompt", {"--set", "train.sample_prompt=" + std::string(400, 'x')})), 2,
                 {"the prompt has", "holds 32"});
  expect_refusal(fabula({"eval", run, "--data", scene().path("valid.tokens"), "--sequence", "33"}), 2, {"33", "32"});
  expect_refusal(fabula(scene().train("long_sequence", {"--set", "train.sequence_length=64"})), 2, {"64", "32"});
  expect_refusal(fabula(eval(run) + Args{"--counts", scene().path("stories.tokens")}), 2, {"--by-frequency"});
  expect_refusal(fabula({"score", run, "--text", ""}), 2, {"empty"});
  expect_refusal(fabula({"generate", run, "--temperature", "-1"}), 2, {"temperature"});
  expect_refusal(fabula({"generate", run, "--top-p", "1.5"}), 2, {"top-p"});
}

TEST(BadInput, CountsOfAnotherVocabulary) {
  fabula_ok(
      {"tokenizer", "train", scene().path("valid.txt"), "--vocab-size", "290", "--out", scene().path("290.json")});
  fabula_ok({"data", "prepare", scene().path("valid.txt"), "--tokenizer", scene().path("290.json"), "--out",
             scene().path("290.tokens")});
  expect_refusal(fabula(eval(scene().finished_run()) + Args{"--by-frequency", "--counts", scene().path("290.tokens")}),
                 2, {"290.tokens", "vocabulary 290", "vocabulary 300"});
}

TEST(BadInput, NumbersThatAreNone) {
  const std::string run = scene().copy_of_finished_run("nan");
  poison(run + "/model.safetensors", "transformer.wpe.weight", NAN);
  const auto before = contents(run);
  expect_refusal(fabula(scene().train("nan", {"--resume", "auto", "--set", "train.steps=70"})), 1,
                 {"model.safetensors", "\"transformer.wpe.weight\"", "is nan", "weights and moments are finite"});
  EXPECT_EQ(contents(run), before);
  expect_refusal(fabula(eval(run)), 1, {"not finite"});
  expect_refusal(fabula(eval(run) + Args{"--by-frequency"}), 1, {"not finite"});
  expect_refusal(fabula({"score", run, "--text", "The", "--json"}), 1, {"not finite", "model.safetensors"});
  expect_refusal(fabula({"generate", run, "--json"}), 1, {"finite"});
}

TEST(BadInput, JsonHasWhatThereWasBeforeAnError) {
  const std::string run = scene().copy_of_finished_run("late_nan");
  poison(run + "/model.safetensors", "transformer.wpe.weight", NAN, 16 * 32);  // the 17th position
  const Result generated =
      fabula({"generate", run, "--prompt", "Once upon a time", "--max-tokens", "30", "--seed", "1", "--json"});
  EXPECT_EQ(generated.status, 1) << generated.err;
  const json list = generated.json();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_FALSE(list[0]["text"].get<std::string>().empty());
  EXPECT_NE(list[0]["error"].get<std::string>().find("finite"), std::string::npos) << list;
  // A second window of 32 positions that holds a token whose embedding is none.
  const std::string other = scene().copy_of_finished_run("nan_token");
  poison(other + "/model.safetensors", "transformer.wte.weight", NAN, ('Z' - '!') * 32);
  const std::string text = std::string(48, 'Q') + "Z" + std::string(10, 'Q');
  const Result scored = fabula({"score", other, "--text", text, "--json"});
  EXPECT_EQ(scored.status, 1) << scored.err;
  const json scores = scored.json();
  ASSERT_TRUE(scores.is_object());
  EXPECT_EQ(scores["tokens"].size(), 32u);
  EXPECT_GT(scores["perplexity"].get<double>(), 1);
  EXPECT_NE(scores["error"].get<std::string>().find("token 32"), std::string::npos) << scores["error"];
}

TEST(BadInput, ARunThatExplodes) {
  // Decay of 99 times the weight a step: the loss is in the thousands at once, and soon leaves float's range.
  const Args rates{"--set", "train.learning_rate=10", "--set", "train.weight_decay=10", "--set", "train.warmup_steps=0",
                   "--set", "train.min_lr_ratio=1",   "--set", "train.clip_norm=0",     "--set", "train.sample_every=0",
                   "--set", "train.eval_every=0"};
  // Before the first checkpoint: such a state takes no good one's place, and the folder is free for another attempt.
  expect_refusal(fabula(scene().train("burst", rates)), 1, {"is not finite", "nothing is saved", "learning_rate=3.33"});
  EXPECT_FALSE(std::filesystem::exists(scene().path("burst/model.safetensors")));
  EXPECT_TRUE(std::filesystem::exists(scene().path("burst/report.html")));
  fabula_ok(scene().train("burst", {"--set", "train.steps=2"}));

  const Result result = fabula(scene().train("explodes", rates + Args{"--set", "train.save_every=1"}));
  expect_refusal(result, 1, {"is not finite", "learning_rate", "checkpoint in", "explodes is of step"});
  const std::size_t at = result.err.find("fabula: step ");
  ASSERT_NE(at, std::string::npos) << result.err;
  const int failed = std::stoi(result.err.substr(at + 13));
  const int saved = fabula_ok({"info", scene().path("explodes"), "--json"}).json()["step"].get<int>();
  EXPECT_GT(failed, 1);
  EXPECT_LT(saved, failed);
  EXPECT_EQ(json::parse(read(scene().path("explodes/state.json")))["step"], saved);
  EXPECT_TRUE(std::filesystem::exists(scene().path("explodes/report.html")));
  // Whole and loadable: the run can go on from there with a rate that does no harm.
  fabula_ok(scene().train("explodes", {"--resume", "auto", "--set", "train.steps=" + std::to_string(saved)}));
}

TEST(BadInput, FullDiskKeepsTheCheckpoint) {
  const std::string run = scene().copy_of_finished_run("full_disk");
  const auto before = contents(run);
  RunOptions options;
  options.file_size_limit = 64 << 10;  // the model needs 100 KiB
  const Args longer = scene().train("full_disk", {"--resume", "auto", "--set", "train.steps=65", "--set",
                                                  "train.save_every=0", "--set", "train.eval_every=0"});
  const Result result = fabula(longer, options);
  expect_refusal(result, 1, {"model.safetensors", "File too large"});
  for (const auto& [name, bytes] : before)
    if (name.find("metrics.jsonl") == std::string::npos) {
      EXPECT_EQ(read(name), bytes) << name;
    }
  EXPECT_FALSE(std::filesystem::exists(run + "/checkpoint.writing"));
  EXPECT_EQ(fabula_ok(eval(run)).json()["positions"], fabula_ok(eval(scene().finished_run())).json()["positions"]);
  fabula_ok(longer);  // room again
  EXPECT_EQ(records(run, "train").size(), 65u);
}

TEST(BadInput, FullStandardOutput) {
  EXPECT_NE(
      std::system(
          (std::string(FABULA_PROGRAM) + " corpus --stories 3 > /dev/full 2> " + scene().path("full.txt")).c_str()),
      0);
  EXPECT_NE(read(scene().path("full.txt")).find("standard output cannot be written"), std::string::npos);
}

TEST(BadInput, FoldersThatAreNoRuns) {
  expect_refusal(fabula(eval(scene().path("nowhere"))), 1, {"nowhere is not a folder"});
  std::filesystem::create_directory(scene().path("bare"));
  expect_refusal(fabula(eval(scene().path("bare"))), 1, {"bare has no config.json"});
  Args train = scene().train("stories.txt");
  expect_refusal(fabula(train), 1, {"stories.txt"});
  EXPECT_GT(read(scene().path("stories.txt")).size(), 1000u);
  // A model without a run: its weights must survive a careless --out.
  const std::string model = scene().copy_of_finished_run("downloaded");
  for (const char* name : {"state.json", "optimizer.safetensors", "metrics.jsonl"})
    std::filesystem::remove(model + "/" + name);
  const auto before = contents(model);
  expect_refusal(fabula(scene().train("downloaded", {"--resume", "auto"})), 2,
                 {"model.safetensors", "no state.json", "another folder"});
  EXPECT_EQ(contents(model), before);
}

TEST(BadInput, OutputsThatCannotBeWritten) {
  expect_refusal(fabula({"corpus", "--out", scene().path("no/such/folder.txt")}), 1,
                 {"folder.txt: cannot be written", "there is no folder"});
  expect_refusal(fabula({"corpus", "--out", scene().path("")}), 1, {"it is a folder"});
}

}  // namespace
}  // namespace fabula::cli_test
