// A run starts from weights that exist: what fits is taken to the bit, what does not starts fresh and is said.
#include "train/start_from.hpp"
#include "log_capture.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/atomic_file.hpp"
#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "formats/match_tensors.hpp"
#include "temp_dir.hpp"
#include "text/tokenizer_files.hpp"
#include "train/tensor_list.hpp"
#include "train/trainer.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;
using test::expect_error;

// The rate is zero, so that no step changes a weight: what a run saves is what it started with.
constexpr const char* kConfig =
    R"({"model_type": "gpt2", "vocab_size": 280, "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2,
  "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0, "head": {"kind": "grouped"},
  "train": {"batch_size": 2, "steps": 2, "learning_rate": 0, "warmup_steps": 0, "weight_decay": 0, "save_every": 2,
            "eval_every": 0, "sample_every": 0}})";

using Weights = std::map<std::string, std::vector<float>>;

Weights weights_of(const fs::path& folder) {
  const ModelTensors tensors = ModelTensors::open(folder);
  Weights weights;
  for (const std::string& name : tensors.names()) {
    if (!holds_weights(tensors.info(name).dtype)) continue;  // the group map
    weights[name].resize(static_cast<std::size_t>(tensors.info(name).elements));
    tensors.read_f32(name, weights[name]);
  }
  return weights;
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  EXPECT_TRUE(in.good()) << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Everything that a run of the command line does, without the command line.
struct Attempt {
  std::string out, from, tokenizer;
  std::vector<std::string> set;
  std::uint64_t stories = 1;  ///< seed of the texts
  Resume resume = Resume::kNever;
};

class Start : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    folder_ = std::make_unique<test::TempDir>();
    train({.out = "source", .set = {"train.seed=7", "train.steps=3", "train.learning_rate=1e-2"}});
  }
  static void TearDownTestSuite() {
    folder_.reset();
    device_.reset();
  }
  static fs::path path(const std::string& name) { return *folder_ / name; }

  /// What the program says on the way.
  static std::string train(const Attempt& run) {
    const test::LogCapture log;
    RunConfig config = parse_config(kConfig, "config", run.set);
    RunFolder folder(path(run.out));
    DataOptions data_options{.corpus_seed = run.stories, .corpus_stories = 40};
    if (!run.tokenizer.empty()) data_options.tokenizer = path(run.tokenizer);
    std::optional<StartFrom> from;
    if (!run.from.empty() && !folder.has_state()) {
      from.emplace(path(run.from), data_options.tokenizer);
      data_options.tokenizer = from->tokenizer_for(config);
      data_options.from = &*from;
    }
    const DataSet data = open_data(data_options, config, folder.path());
    TrainOptions options;
    options.resume = run.resume;
    options.from = data_options.from;
    Trainer(*device_, config, data, folder, options).run();
    return log.text();
  }

  /// A folder with the source's tensors, each passed through `change`, and the files named.
  static void copy_source(const std::string& name,
                          const std::function<void(TensorSource&, std::vector<float>&)>& change,
                          const std::vector<std::string>& files = {"config.json", "tokenizer.json",
                                                                   "token_groups.json"},
                          const std::function<void(const std::vector<TensorSource>&)>& write = {}) {
    fs::create_directories(path(name));
    for (const std::string& file : files) fs::copy(path("source") / file, path(name) / file);
    Weights weights = weights_of(path("source"));
    const ModelTensors tensors = ModelTensors::open(path("source"));
    std::vector<TensorSource> sources;
    for (auto& [tensor, values] : weights) {
      TensorSource source{tensor, tensors.info(tensor).shape, {}};
      change(source, values);
      sources.push_back(tensor_from_memory(source.name, source.shape, values));
    }
    if (write)
      write(sources);
    else
      write_safetensors(path(name) / kWeightsFile, sources);
  }

  static std::unique_ptr<vk::Device> device_;
  static std::unique_ptr<test::TempDir> folder_;
};
std::unique_ptr<vk::Device> Start::device_;
std::unique_ptr<test::TempDir> Start::folder_;

void expect_in(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\nin: " << text;
}

TEST_F(Start, ARunGoesOnWithOtherTexts) {
  const std::string said = train({.out = "other_texts", .from = "source", .set = {"train.batch_size=4"}, .stories = 2});
  const std::string from = path("source").string() + " (step 3)";
  expect_in(said, {"starting from " + from + ": 22 of 22 tensors"});
  EXPECT_EQ(said.find("fresh"), std::string::npos) << said;
  EXPECT_EQ(weights_of(path("other_texts")), weights_of(path("source")));
  EXPECT_EQ(read(path("other_texts") / "tokenizer.json"), read(path("source") / "tokenizer.json"));
  const RunState state = RunFolder(path("other_texts")).read_state();
  EXPECT_EQ(state.step, 2);  // steps of its own
  EXPECT_EQ(state.texts.at("from"), from);
  expect_in(read(path("other_texts") / "report.html"), {"started from", from});
  // The optimizer is fresh: after two steps its first moments are those of two gradients alone.
  train({.out = "other_texts_again", .from = "source", .set = {"train.batch_size=4"}, .stories = 2});
  EXPECT_EQ(read(path("other_texts") / "optimizer.safetensors"),
            read(path("other_texts_again") / "optimizer.safetensors"));
  // A run that goes on keeps what it came from, and its own weights.
  train({.out = "other_texts",
         .from = "source",
         .set = {"train.batch_size=4", "train.steps=3"},
         .stories = 2,
         .resume = Resume::kAuto});
  EXPECT_EQ(RunFolder(path("other_texts")).read_state().step, 3);
  EXPECT_EQ(RunFolder(path("other_texts")).read_state().texts.at("from"), from);
}

TEST_F(Start, ResumeWithOtherTextsPointsHere) {
  train({.out = "refused"});
  expect_error(ErrorCode::kInvalidArgument, {"was trained on other texts", "--from " + path("refused").string()},
               [&] { train({.out = "refused", .stories = 2, .resume = Resume::kAuto}); });
}

TEST_F(Start, AFolderOfShardsWithWrappersAndNoConfigWillDo) {
  copy_source(
      "shards", [](TensorSource& source, std::vector<float>&) { source.name = "_orig_mod.module." + source.name; },
      {"tokenizer.json", "token_groups.json"},
      [&](const std::vector<TensorSource>& all) {
        const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
        write_safetensors(path("shards") / "a.safetensors", {all.begin(), middle});
        write_safetensors(path("shards") / "b.safetensors", {middle, all.end()});
        std::string index = R"({"weight_map": {)";
        for (auto it = all.begin(); it != all.end(); ++it)
          index += fmt::format("{}\"{}\": \"{}.safetensors\"", it == all.begin() ? "" : ", ", it->name,
                               it < middle ? "a" : "b");
        write_file_atomically(path("shards") / kWeightsIndexFile, index + "}}");
      });
  const std::string said = train({.out = "from_shards", .from = "shards", .set = {"train.precision=bf16"}});
  expect_in(said, {"22 of 22 tensors"});
  EXPECT_EQ(weights_of(path("from_shards")), weights_of(path("source")));
}

TEST_F(Start, WhatDoesNotFitStartsFreshAndIsListed) {
  const std::vector<std::string> set{"n_layer=3", "n_positions=8", "n_inner=48", "head.group_size=40"};
  const std::string said = train({.out = "larger", .from = "source", .set = set});
  expect_in(said, {"transformer.h.1-2.* (not there)", "transformer.h.0.mlp.c_fc.weight ([16, 64] there, [16, 48] here)",
                   "only the first rows: transformer.wpe.weight (8 of 16)", "lm_head.* (of another token map)"});
  train({.out = "larger_fresh", .tokenizer = "source/tokenizer.json", .set = set});
  const Weights source = weights_of(path("source")), larger = weights_of(path("larger")),
                fresh = weights_of(path("larger_fresh"));
  for (const auto& [name, values] : larger) {
    if (name == "transformer.wpe.weight")
      EXPECT_TRUE(std::equal(values.begin(), values.end(), source.at(name).begin())) << name;
    else if (name.starts_with("lm_head.") || name.find(".h.1.") != std::string::npos ||
             name.find(".h.2.") != std::string::npos || name == "transformer.h.0.mlp.c_fc.weight" ||
             name == "transformer.h.0.mlp.c_fc.bias" || name == "transformer.h.0.mlp.c_proj.weight")
      EXPECT_EQ(values, fresh.at(name)) << name;
    else
      EXPECT_EQ(values, source.at(name)) << name;
  }
  EXPECT_NE(larger.at("transformer.wte.weight"), fresh.at("transformer.wte.weight"));
}

TEST_F(Start, RowsOfTokensMeanNothingUnderAnotherTokenizer) {
  train({.out = "tongue", .stories = 3});  // learns a vocabulary of the same size from other texts
  ASSERT_NE(read(path("tongue") / "tokenizer.json"), read(path("source") / "tokenizer.json"));
  const std::string said = train({.out = "translated", .from = "source", .tokenizer = "tongue/tokenizer.json"});
  expect_in(said, {"fresh: transformer.wte.weight (of another tokenizer); lm_head.* (of another tokenizer)"});
  const Weights source = weights_of(path("source")), now = weights_of(path("translated"));
  EXPECT_NE(now.at("transformer.wte.weight"), source.at("transformer.wte.weight"));
  EXPECT_EQ(now.at("transformer.h.0.mlp.c_fc.weight"), source.at("transformer.h.0.mlp.c_fc.weight"));
  // A folder without a tokenizer, and none named: one is learned, and the embeddings are not of its tokens.
  copy_source("mute", [](TensorSource&, std::vector<float>&) {}, {"config.json"});
  expect_in(train({.out = "unmuted", .from = "mute"}), {"transformer.wte.weight (of a tokenizer that is not there"});
  // Named by the user, it is taken at their word.
  train({.out = "spoken", .from = "mute", .tokenizer = "source/tokenizer.json"});
  EXPECT_EQ(weights_of(path("spoken")).at("transformer.wte.weight"), source.at("transformer.wte.weight"));
}

TEST_F(Start, PaddedRowsOfTokensAreCut) {
  copy_source("padded",
              [](TensorSource& source, std::vector<float>& values) {
                if (source.name == "transformer.wte.weight")
                  source.shape[0] += 8, values.resize(values.size() + 8 * 16, 9);
              },
              {"tokenizer.json", "token_groups.json"});
  expect_in(train({.out = "cut", .from = "padded"}), {"only the first rows: transformer.wte.weight (280 of 288)"});
  EXPECT_EQ(weights_of(path("cut")), weights_of(path("source")));
}

TEST_F(Start, TheHeadKeepsItsTokenMap) {
  const std::vector<std::string> frequency{"head.map=frequency"};
  train({.out = "mapped", .set = frequency});
  train({.out = "same_map", .from = "mapped", .set = frequency, .stories = 2});
  EXPECT_EQ(read(path("same_map") / kTokenMapFile), read(path("mapped") / kTokenMapFile));
  EXPECT_EQ(weights_of(path("same_map")), weights_of(path("mapped")));
  const std::string said = train({.out = "other_map", .from = "mapped", .set = {"head.map=random"}});
  expect_in(said, {"fresh: lm_head.* (of another token map)"});
  EXPECT_NE(read(path("other_map") / kTokenMapFile), read(path("mapped") / kTokenMapFile));
  const Weights mapped = weights_of(path("mapped")), other = weights_of(path("other_map"));
  EXPECT_EQ(other.at("transformer.wte.weight"), mapped.at("transformer.wte.weight"));
  train({.out = "fresh_map", .tokenizer = "mapped/tokenizer.json", .set = {"head.map=random"}});
  const Weights fresh = weights_of(path("fresh_map"));
  for (const auto& [name, values] : other) {
    if (name.starts_with("lm_head.")) {
      EXPECT_EQ(values, fresh.at(name)) << name;
    }
  }
}

TEST_F(Start, SettingsWithoutATraceInTheWeightsAreWarnedOf) {
  // The folder's config is that of another tool: what is passed over in it was said, if at all, where it was the
  // config.
  copy_source("theirs", [](TensorSource&, std::vector<float>&) {}, {"tokenizer.json"});
  write_file_atomically(path("theirs") / "config.json",
                        R"({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 280,
      "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 8, "task_specific_params": {}})");
  const std::string theirs = train({.out = "of_theirs", .from = "theirs"});
  expect_in(theirs, {"n_head was 8, is 2"});
  EXPECT_EQ(theirs.find("passing over"), std::string::npos) << theirs;
  const std::string said = train({.out = "heads", .from = "source", .set = {"n_head=4"}});
  expect_in(said, {"warning: the weights of", "n_head was 2, is 4"});
}

TEST_F(Start, WhatCannotBeAStartIsRefused) {
  expect_error(ErrorCode::kInvalidArgument,
               {"model.safetensors has nothing in common", "[280, 16] there, [280, 8] here"},
               [&] { train({.out = "narrow", .from = "source", .set = {"n_embd=8"}}); });
  EXPECT_FALSE(fs::exists(path("narrow") / "metrics.jsonl"));
  copy_source("poisoned", [](TensorSource& source, std::vector<float>& values) {
    if (source.name == "transformer.h.0.ln_1.bias") values[3] = NAN;
  });
  expect_error(ErrorCode::kFormat,
               {"poisoned/model.safetensors: tensor \"transformer.h.0.ln_1.bias\": number 3 is nan"},
               [&] { train({.out = "ill", .from = "poisoned"}); });
  expect_error(ErrorCode::kNotFound, {"--from", "is not a folder"}, [&] { train({.out = "ill", .from = "nowhere"}); });
  expect_error(ErrorCode::kInvalidArgument, {"--from and --out are the same folder", "--resume auto"},
               [&] { check_other_folder(path("source"), path("source") / "." / "../source"); });
  check_other_folder(path("source"), path("not yet there"));
}

TEST_F(Start, AnotherStartOfARunThatGoesOnIsSaid) {
  const auto said = [](const std::string& then, const std::string& now) {
    RunState saved;
    saved.step = 5;
    if (!then.empty()) saved.texts[kStartKey] = then;
    const test::LogCapture log;
    check_same_start(saved, now);
    return log.text();
  };
  EXPECT_EQ(said("a (step 3)", "a"), "");
  EXPECT_EQ(said("a", "a"), "");
  expect_in(said("a (step 3)", "b"), {"checkpoint of step 5", "started from a (step 3)", "--from b has no effect"});
  expect_in(said("", "b"), {"started from fresh weights"});
}

TEST(TensorList, NamesAreBundled) {
  std::vector<NamedTensor> tensors{{"transformer.wpe.weight", "x"}};
  for (const char* layer : {"0", "1", "2", "11"})
    for (const char* part : {"ln_1.weight", "ln_1.bias", "mlp.c_fc.weight", "mlp.c_fc.bias"})
      tensors.push_back({fmt::format("transformer.h.{}.{}", layer, part), "y"});
  tensors.push_back({"transformer.h.4.ln_2.bias", "z"});
  tensors.push_back({"lm_head.scale", ""});
  tensors.push_back({"lm_head.shift", ""});
  EXPECT_EQ(list_tensors(tensors),
            "transformer.wpe.weight (x); transformer.h.0-2,11.* (y); transformer.h.4.ln_2.bias (z); "
            "lm_head.{scale,shift}");
  EXPECT_EQ(list_tensors(tensors, 2), "transformer.wpe.weight (x); transformer.h.0-2,11.* (y); and 2 more");
  EXPECT_EQ(list_tensors({{"transformer.h.x.y", "1"}, {"other", "1"}}), "transformer.h.x.y (1); other (1)");
}

}  // namespace
}  // namespace fabula::train
