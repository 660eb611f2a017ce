#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "formats/config_keys.hpp"
#include "formats/mutate.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

constexpr const char* kGrouped = R"({
  "model_type": "gpt2", "vocab_size": 50257, "n_positions": 512, "n_embd": 64, "n_layer": 3, "n_head": 4,
  "head": {"kind": "grouped"},
  "train": {"batch_size": 8, "sequence_length": 128, "steps": 60, "learning_rate": 2e-3, "dropout": 0.05}
})";

// The keys of a GPT-Neo folder as Hugging Face writes them.
constexpr const char* kForeignNeo = R"({
  "_name_or_path": "x", "activation_function": "gelu_new", "architectures": ["GPTNeoForCausalLM"], "attention_dropout": 0,
  "attention_layers": ["global", "local", "global", "local"], "attention_types": [[["global", "local"], 2]],
  "bos_token_id": 50256, "embed_dropout": 0, "eos_token_id": 50256, "gradient_checkpointing": false, "hidden_size": 768,
  "initializer_range": 0.02, "intermediate_size": null, "layer_norm_epsilon": 1e-05, "max_position_embeddings": 2048,
  "model_type": "gpt_neo", "num_heads": 16, "num_layers": 4, "resid_dropout": 0, "summary_activation": null,
  "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
  "torch_dtype": "float32", "transformers_version": "4.28.1", "use_cache": true, "vocab_size": 50257, "window_size": 256
})";

void expect_refused(const std::string& text, const std::vector<std::string>& parts,
                    ErrorCode code = ErrorCode::kInvalidArgument, const std::vector<std::string>& overrides = {}) {
  expect_error(code, parts, [&] { parse_config(text, "c.json", overrides); });
}

TEST(Config, ReadsAGroupedGpt2) {
  const RunConfig config = parse_config(kGrouped, "c.json");
  EXPECT_EQ(config.model.family, ModelFamily::kGpt2);
  EXPECT_EQ(config.model.hidden, 64);
  EXPECT_EQ(config.model.feed_forward(), 256);
  EXPECT_EQ(config.model.head_dim(), 16);
  EXPECT_EQ(config.model.attention(2), AttentionKind::kGlobal);
  EXPECT_EQ(config.model.head.kind, HeadKind::kGrouped);
  EXPECT_EQ(config.model.slots(), 225);
  EXPECT_EQ(config.model.groups(), 224);
  EXPECT_TRUE(config.model.head.bias);
  EXPECT_FALSE(config.model.tie_word_embeddings);
  EXPECT_EQ(config.train.steps, 60);
  EXPECT_EQ(config.train.learning_rate, 2e-3);
  EXPECT_EQ(config.train.beta2, 0.95);
  EXPECT_EQ(config.train.recompute, Recompute::kAuto);
  EXPECT_EQ(parse_config(kGrouped, "c.json", {"train.recompute=block"}).train.recompute, Recompute::kBlock);
  EXPECT_EQ(config.model.embd_dropout, 0.05);
  EXPECT_EQ(config.model.resid_dropout, 0.05);
  EXPECT_EQ(config.model.attn_dropout, 0);
}

TEST(Config, EndOfTextIsANumberOrAList) {
  const auto ids = [](const std::string& value) {
    const RunConfig config = parse_config(R"({"model_type": "gpt2", "eos_token_id": )" + value + "}", "c.json");
    EXPECT_EQ(parse_config(config_json(config), "again").model.eos_token_ids, config.model.eos_token_ids);
    return config.model.eos_token_ids;
  };
  using Ids = std::vector<std::int64_t>;
  EXPECT_EQ(ids("7"), Ids{7});
  EXPECT_EQ(ids("[7, 3]"), (Ids{7, 3}));
  EXPECT_EQ(ids("null"), Ids{});
  EXPECT_EQ(ids("-1"), Ids{});
}

TEST(Config, GroupSizesForManyVocabularies) {
  for (const std::int64_t vocabulary : {1, 2, 3, 4, 5, 255, 256, 257, 50257, 151669}) {
    const RunConfig config = parse_config(kGrouped, "c.json", {"vocab_size=" + std::to_string(vocabulary)});
    const std::int64_t s = config.model.slots();
    const std::int64_t g = config.model.groups();
    EXPECT_GE(s * s, vocabulary);
    EXPECT_LT((s - 1) * (s - 1), vocabulary);
    EXPECT_GE(g * s, vocabulary);
    EXPECT_LT((g - 1) * s, vocabulary);
  }
}

TEST(Config, ReadsAForeignGptNeo) {
  const RunConfig config = parse_config(kForeignNeo, "config.json");
  EXPECT_EQ(config.model.family, ModelFamily::kGptNeo);
  EXPECT_EQ(config.model.layers, 4);
  EXPECT_EQ(config.model.feed_forward(), 3072);
  EXPECT_EQ(config.model.attention(0), AttentionKind::kGlobal);
  EXPECT_EQ(config.model.attention(3), AttentionKind::kLocal);
  EXPECT_EQ(config.model.window_size, 256);
  EXPECT_EQ(config.model.eos_token_ids, std::vector<std::int64_t>{50256});
  EXPECT_TRUE(config.model.tie_word_embeddings);
  EXPECT_EQ(config.model.head.kind, HeadKind::kFull);
  EXPECT_EQ(config.model.resid_dropout, 0);
}

TEST(Config, DefaultsFollowTheFamily) {
  const RunConfig gpt2 = parse_config(R"({"model_type": "gpt2"})", "c");
  EXPECT_EQ(gpt2.model.hidden, 768);
  EXPECT_EQ(gpt2.model.attn_dropout, 0);  // Hugging Face's 0.1 would stop every training
  EXPECT_TRUE(gpt2.model.attn_dropout_left_out);
  EXPECT_FALSE(parse_config(R"({"model_type": "gpt2", "attn_pdrop": 0})", "c").model.attn_dropout_left_out);
  EXPECT_EQ(parse_config(R"({"model_type": "gpt2", "attn_pdrop": 0.1})", "c").model.attn_dropout, 0.1);
  EXPECT_EQ(gpt2.model.vocab_size, 0);
  const RunConfig neo = parse_config(R"({"model_type": "gpt_neo", "num_layers": 3})", "c");
  EXPECT_EQ(neo.model.hidden, 2048);
  EXPECT_EQ(neo.model.attn_dropout, 0);
  EXPECT_EQ(neo.model.attention_layers,
            (std::vector<AttentionKind>{AttentionKind::kGlobal, AttentionKind::kLocal, AttentionKind::kGlobal}));
}

TEST(Config, WhatIsWrittenReadsBackTheSame) {
  for (const char* text :
       {kGrouped, kForeignNeo, R"({"model_type": "gpt2", "vocab_size": 300, "tie_word_embeddings": false})",
        R"({"model_type": "gpt2", "vocab_size": 300, "head": {"kind": "full", "bias": true}})",
        R"({"model_type": "gpt_neo", "num_layers": 3, "attention_layers": ["local", "local", "global"],
                               "head": {"kind": "grouped", "group_size": 7}, "vocab_size": 100})"}) {
    const RunConfig config = parse_config(text, "first");
    const std::string written = config_json(config);
    const RunConfig again = parse_config(written, "second");
    EXPECT_EQ(config_json(again), written);
    EXPECT_EQ(again.model.attention_layers, config.model.attention_layers);
    EXPECT_EQ(again.model.slots(), config.model.slots());
    EXPECT_EQ(again.model.vocab_size, config.model.vocab_size);
    EXPECT_EQ(again.model.tie_word_embeddings, config.model.tie_word_embeddings);
    EXPECT_EQ(again.train.learning_rate, config.train.learning_rate);
  }
}

TEST(Config, AModelThatHuggingFaceHasNotIsNamedSo) {
  const std::string grouped = config_json(parse_config(kGrouped, "c"));
  EXPECT_NE(grouped.find(R"("model_type": "fabula_gpt2")"), std::string::npos);
  EXPECT_NE(grouped.find("auto_map"), std::string::npos);
  EXPECT_NE(grouped.find(R"("tie_word_embeddings": false)"), std::string::npos);
  EXPECT_EQ(grouped.find("GPT2LMHeadModel"), std::string::npos);
  const std::string plain = config_json(parse_config(kForeignNeo, "c"));
  EXPECT_NE(plain.find(R"("model_type": "gpt_neo")"), std::string::npos);
  EXPECT_NE(plain.find("GPTNeoForCausalLM"), std::string::npos);
  EXPECT_EQ(plain.find("auto_map"), std::string::npos);
}

TEST(Config, OverridesReplaceAndAreChecked) {
  const RunConfig config = parse_config(
      kGrouped, "c.json",
      {"train.learning_rate=1e-4", "head.group_size=100", "n_layer=5", "train.sample_prompt=Tom", "train.tokens=1e6"});
  EXPECT_EQ(config.train.learning_rate, 1e-4);
  EXPECT_EQ(config.model.slots(), 100);
  EXPECT_EQ(config.model.groups(), 503);
  EXPECT_EQ(config.model.layers, 5);
  EXPECT_EQ(config.train.sample_prompt, "Tom");
  EXPECT_EQ(config.train.tokens, 1000000);
  const auto code = ErrorCode::kInvalidArgument;
  expect_refused(kGrouped, {"--set train.learning_rat=1", "did you mean \"learning_rate\""}, code,
                 {"train.learning_rat=1"});
  expect_refused(kGrouped, {"--set n_layer=0", "from 1 to 1024"}, code, {"n_layer=0"});
  expect_refused(kGrouped, {"key=value"}, code, {"n_layer"});
  expect_refused(kGrouped, {"key=value"}, code, {"=3"});
  expect_refused(kGrouped, {"no section \"trian\"", "did you mean \"train\""}, code, {"trian.steps=3"});
  expect_refused(kGrouped, {"head", "an object"}, code, {"head=3"});
  expect_refused(kGrouped, {"head.group_size", "an integer"}, code, {"head.group_size=1.5"});
}

TEST(Config, UnknownKeysNameTheNearest) {
  expect_refused(R"({"model_type": "gpt2", "n_embdd": 3})",
                 {"c.json", "unknown key \"n_embdd\"", "did you mean \"n_embd\""});
  expect_refused(R"({"model_type": "gpt2", "head": {"group_sise": 3}})",
                 {"\"head.group_sise\"", "did you mean \"group_size\""});
  expect_refused(R"({"model_type": "gpt_neo", "n_embd": 64})",
                 {"\"n_embd\"", "a gpt_neo config spells it \"hidden_size\""});
  expect_refused(R"({"model_type": "gpt2", "window_size": 64})", {"\"window_size\" means nothing to a gpt2 model"});
  expect_refused(R"({"model_type": "gpt2", "learning_rate": 1})", {"spells it \"train.learning_rate\""});
  expect_refused(R"({"model_type": "gpt2", "architectures": [], "rope_theta": 1})", {"rope_theta", "remove it"});
  expect_refused(R"({"model_type": "gpt2", "train": {"zzzzzzzzzzzzzz": 1}})", {"valid keys are", "grad_accumulation"});
}

TEST(Config, WhatWouldChangeTheModelIsRefused) {
  const auto code = ErrorCode::kUnsupported;
  expect_refused(R"({"model_type": "mamba"})", {"\"mamba\"", "gpt2, gpt_neo and llama"}, code);
  expect_refused(R"({"model_type": "gpt2", "activation_function": "relu"})",
                 {"activation_function", "\"relu\"", "gelu_new"}, code);
  expect_refused(R"({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": true})",
                 {"scale_attn_by_inverse_layer_idx"}, code);
  expect_refused(R"({"model_type": "gpt2", "add_cross_attention": true})", {"add_cross_attention"}, code);
  expect_refused(R"({"model_type": "gpt2", "scale_attn_weights": false})", {"scale_attn_weights"}, code);
  expect_refused(R"({"model_type": "gpt2", "train": {"recompute": "blocks"}})",
                 {"train.recompute", "blocks", "auto, none, block"}, code);
  expect_refused(R"({"model_type": "gpt2", "head": {"kind": "mixture"}})",
                 {"head.kind", "full, fused, grouped, adaptive"}, code);
  expect_refused(R"({"model_type": "gpt2", "head": {"modulation": "mixture"}})",
                 {"head.modulation", "scale_shift, low_rank, per_group"}, code);
  EXPECT_NO_THROW(parse_config(R"({"model_type": "gpt2", "scale_attn_weights": true, "reorder_and_upcast_attn": true,
                                   "activation_function": "gelu_pytorch_tanh", "n_ctx": 1024})",
                               "c"));
}

TEST(Config, ValuesAreChecked) {
  expect_refused("[]", {"JSON object"}, ErrorCode::kFormat);
  expect_refused("{", {"c.json", "not valid JSON"}, ErrorCode::kFormat);
  expect_refused(R"({"n_embd": 1, "n_embd": 2})", {"twice"}, ErrorCode::kFormat);
  expect_refused("{}", {"model_type is missing"});
  expect_refused(R"({"model_type": "gpt2", "n_embd": 100, "n_head": 8})", {"n_embd is 100", "8 heads"});
  expect_refused(R"({"model_type": "gpt_neo", "hidden_size": 100, "num_heads": 8})", {"hidden_size is 100"});
  expect_refused(R"({"model_type": "gpt2", "n_embd": "64"})", {"n_embd is \"64\"", "an integer from 1 to 65536"});
  expect_refused(R"({"model_type": "gpt2", "n_embd": null})", {"n_embd is null"});
  expect_refused(R"({"model_type": "gpt2", "n_layer": 99999999999999999999})", {"n_layer"});
  expect_refused(R"({"model_type": "gpt2", "attn_pdrop": 1.0})", {"attn_pdrop", "from 0 to 0.99"});
  expect_refused(R"({"model_type": "gpt2", "tie_word_embeddings": 1})", {"true or false"});
  expect_refused(R"({"model_type": "gpt2", "vocab_size": 224, "head": {"kind": "grouped", "group_size": 300}})",
                 {"head.group_size is 300", "224 tokens", "null for 15"});
  expect_refused(R"({"model_type": "gpt2", "vocab_size": 224, "head": {"kind": "grouped", "group_size": -1}})",
                 {"head.group_size is -1"});
  expect_refused(
      R"({"model_type": "gpt2", "vocab_size": 224, "head": {"kind": "grouped", "group_size": 20, "groups": 11}})",
      {"11 x head.group_size 20 = 220", "fewer than the 224", "must be 12"});
  expect_refused(
      R"({"model_type": "gpt2", "vocab_size": 224, "head": {"kind": "grouped", "group_size": 20, "groups": 13}})",
      {"leaves groups empty", "must be 12"});
  expect_refused(R"({"model_type": "gpt2", "tie_word_embeddings": true, "head": {"kind": "grouped"}})",
                 {"tie_word_embeddings"});
  expect_refused(R"({"model_type": "gpt2", "head": {"kind": "grouped", "bias": false}})", {"head.bias"});
  expect_refused(R"({"model_type": "gpt2", "train": {"sequence_length": 2048}})",
                 {"train.sequence_length is 2048", "1024"});
  expect_refused(R"({"model_type": "gpt2", "train": {"epochs": 0}})", {"all 0"});
  expect_refused(R"({"model_type": "gpt2", "n_embd": 512, "n_head": 2})",
                 {"n_embd 512 / n_head 2 = 256, at most 128, n_head at least 4"});
  expect_refused(R"({"model_type": "gpt_neo", "hidden_size": 387, "num_heads": 3})",  // 387 = 3 * 3 * 43
                 {"hidden_size 387 / num_heads 3 = 129, at most 128, num_heads at least 9"});
  EXPECT_NO_THROW(parse_config(R"({"model_type": "gpt2", "n_embd": 512, "n_head": 4})", "c"));
  expect_refused(R"({"model_type": "gpt2", "vocab_size": 10, "eos_token_id": 10})", {"eos_token_id is 10", "end at 9"});
  expect_refused(R"({"model_type": "gpt2", "vocab_size": 10, "eos_token_id": [9, 10]})",
                 {"eos_token_id is 10", "end at 9"});
  expect_refused(R"({"model_type": "gpt2", "eos_token_id": [9, "a"]})", {"eos_token_id is [9,\"a\"]", "a list"});
  expect_refused(R"({"model_type": "gpt_neo", "num_layers": 3, "attention_types": [[["global", "local"], 2]]})",
                 {"4 layers", "num_layers is 3"});
  expect_refused(R"({"model_type": "gpt_neo", "attention_types": [[["global", "round"], 2]]})", {"attention_types"});
  expect_refused(R"({"model_type": "gpt_neo", "attention_types": [[["global"], 1e15]]})", {"attention_types"});
  expect_refused(
      R"({"model_type": "gpt_neo", "num_layers": 1, "attention_layers": ["local"], "attention_types": [[["global"], 1]]})",
      {"disagree"});
}

TEST(Config, AHeadMayBeAWord) {
  const auto parse = [](const std::string& head, const std::vector<std::string>& overrides = {}) {
    return parse_config(R"({"model_type": "gpt2", "vocab_size": 100, "n_embd": 8, "n_head": 2, "head": )" + head + "}",
                        "c", overrides)
        .model;
  };
  EXPECT_EQ(parse("\"full\"").head.kind, HeadKind::kFull);
  EXPECT_EQ(parse("\"fused\"").head.kind, HeadKind::kFused);
  EXPECT_TRUE(parse("\"fused\"").head.bias);
  EXPECT_EQ(parse("\"adaptive\"").head.kind, HeadKind::kAdaptive);
  const std::string tied = R"({"kind": "grouped", "modulation": "per_group", "map": "clustered", "shortlist": 9})";
  EXPECT_TRUE(parse(tied).tie_word_embeddings) << "of per_group it is the default";
  const ModelConfig paper = parse(tied, {"head=paper", "head.group_size=7"});
  EXPECT_EQ(paper.head.kind, HeadKind::kGrouped);
  EXPECT_EQ(paper.head.modulation, HeadModulation::kScaleShift);
  EXPECT_EQ(paper.head.map, GroupMap::kIdRanges);
  EXPECT_EQ(paper.head.shortlist, 0);
  EXPECT_EQ(paper.head.group_size, 7);
  EXPECT_FALSE(paper.tie_word_embeddings);
  test::expect_error(ErrorCode::kInvalidArgument, {"c: head is \"fusedd\"", "adaptive, full, fused, paper", "fused"},
                     [&] { parse("\"fusedd\""); });
  test::expect_error(ErrorCode::kInvalidArgument, {"head is 3", "an object"}, [&] { parse("3"); });
}

TEST(Config, HeadsAreCheckedWhole) {
  const auto refuse = [](const std::string& head, const std::vector<std::string>& parts) {
    expect_refused(R"({"model_type": "gpt2", "vocab_size": 100, "n_embd": 8, "n_head": 2, "head": {)" + head + "}}",
                   parts);
  };
  refuse(R"("kind": "grouped", "group_size": 0)", {"head.group_size is 0", "from 1 to", "or null"});
  refuse(R"("kind": "grouped", "group_size": 101)", {"head.group_size is 101", "1 to 100"});
  refuse(R"("kind": "grouped", "shortlist": 100)", {"head.shortlist is 100", "needs a tail", "0 to 99"});
  refuse(R"("kind": "grouped", "shortlist": 60, "group_size": 41)",
         {"head.group_size is 41", "40 beyond the shortlist", "1 to 40"});
  refuse(R"("kind": "grouped", "modulation": "low_rank", "rank": 9)", {"head.rank is 9", "n_embd is 8", "1 to 8"});
  refuse(R"("kind": "grouped", "map": "file")", {"head.map is file", "map_file"});
  refuse(R"("kind": "grouped", "map_file": "x.json")", {"head.map is id_ranges", "map_file"});
  refuse(R"("kind": "grouped", "prototypes": 0)", {"head.prototypes is 0", "1 to 64"});
  refuse(R"("kind": "grouped", "prototypes": 2, "class_input": true)",
         {"head.class_input is true", "head.prototypes is 2"});
  refuse(R"("kind": "grouped", "map": "random", "group_size": 10, "groups": 9)", {"head.groups 9", "10 to 100"});
  refuse(R"("kind": "grouped", "group_size": 10, "groups": 11)",
         {"head.groups 11", "leaves groups empty", "must be 10"});
  refuse(R"("kind": "grouped", "group_sizes": "mass", "map": "clustered")",
         {"head.group_sizes is mass", "scale_shift", "per_group"});
  refuse(R"("kind": "grouped", "modulation": "per_group", "group_sizes": "mass")",
         {"head.group_sizes is mass", "head.map id_ranges", "clustered or random"});
  refuse(R"("kind": "grouped", "modulation": "per_group", "map": "random", "group_sizes": "mass", "groups": 101)",
         {"head.groups is 101", "1 to 100"});
  refuse(R"("kind": "grouped", "modulation": "per_group", "map": "random", "group_sizes": "mass", "group_size": 7)",
         {"head.group_size is 7", "leave it out"});
  refuse(R"("kind": "adaptive", "cutoffs": [10, 100])", {"head.cutoffs end at 100", "99 at most"});
  refuse(R"("kind": "adaptive", "cutoffs": [10, 10])", {"head.cutoffs", "rising"});
  refuse(R"("kind": "adaptive", "cutoffs": 10)", {"head.cutoffs is 10", "list"});
  expect_refused(R"({"model_type": "gpt2", "tie_word_embeddings": true, "head": {"kind": "adaptive"}})",
                 {"tie_word_embeddings is true", "adaptive"});
}

// What the grouped matrix products cannot do is refused by the config's names, not by a kernel's.
TEST(Config, LimitsOfGroupedProductsNameTheKeys) {
  const auto config = [](int vocabulary, const std::string& head, const std::string& train = "") {
    return fmt::format(
        R"({{"model_type": "gpt2", "vocab_size": {}, "n_positions": 512, "head": {{"kind": "grouped", {}}},
                           "train": {{{}}}}})",
        vocabulary, head, train);
  };
  expect_refused(config(600'000, R"("modulation": "per_group", "group_size": 300000)"),
                 {"head.group_size is 300000", "per_group", "131072"});
  EXPECT_NO_THROW(parse_config(config(600'000, R"("group_size": 300000)"), "c"));
  expect_refused(config(50257, R"("modulation": "low_rank", "map": "random", "group_size": 50257, "groups": 700)"),
                 {"head.groups 700", "head.group_size 50257", "33554432", "more equal"});
  expect_refused(config(50257, R"("modulation": "per_group")", R"("batch_size": 1024)"),
                 {"train.batch_size 1024", "262144", "train.grad_accumulation"});
  EXPECT_NO_THROW(parse_config(config(50257, R"("shortlist": 512)", R"("batch_size": 1024)"), "c"));
  // The file of such a map says how large its groups are.
  EXPECT_NO_THROW(parse_config(config(50257, R"("map": "file", "map_file": "m.json", "groups": 100)"), "c"));
}

TEST(Config, HeadsSurviveWritingAndLeaveOutWhatMeansNothingToThem) {
  for (const char* head :
       {R"("kind": "fused", "bias": true)", R"("kind": "adaptive", "cutoffs": [7, 30], "div_value": 2)",
        R"("kind": "grouped", "modulation": "low_rank", "rank": 3, "shortlist": 5)",
        R"("kind": "grouped", "modulation": "per_group", "map": "clustered", "prototypes": 2)",
        R"("kind": "grouped", "modulation": "per_group", "map": "clustered", "group_sizes": "mass", "groups": 9)",
        R"("kind": "grouped", "map": "clustered", "class_input": true)"}) {
    const RunConfig config = parse_config(
        std::string(R"({"model_type": "gpt2", "vocab_size": 100, "n_embd": 8, "n_head": 2, "head": {)") + head + "}}",
        "c");
    const std::string text = config_json(config);
    const RunConfig again = parse_config(text, "again");
    EXPECT_EQ(config_json(again), text);
    EXPECT_EQ(text.find("rank") != std::string::npos, config.model.head.modulation == HeadModulation::kLowRank);
    EXPECT_EQ(text.find("cutoffs") != std::string::npos, config.model.head.kind == HeadKind::kAdaptive);
  }
}

TEST(Config, LoadsAFileOrAFolder) {
  TempDir dir;
  write_file_atomically(dir / "config.json", kGrouped);
  EXPECT_EQ(load_config(dir.path()).model.hidden, 64);
  EXPECT_EQ(load_config(dir / "config.json", {"n_embd=128"}).model.hidden, 128);
  expect_error(ErrorCode::kNotFound, {"gone.json"}, [&] { load_config(dir / "gone.json"); });
  expect_error(ErrorCode::kInvalidArgument, {(dir / "config.json").string()},
               [&] { load_config(dir.path(), {"n_head=5"}); });
}

TEST(Config, NamesWhatDiffers) {
  const RunConfig was = parse_config(kGrouped, "c.json");
  EXPECT_EQ(config_differences(was, was), "");
  const RunConfig is = parse_config(kGrouped, "c.json", {"n_layer=2", "train.learning_rate=1e-3"});
  EXPECT_EQ(config_differences(was, is), "n_layer was 3, is 2; train.learning_rate was 0.002, is 0.001");
  const RunConfig full = parse_config(kGrouped, "c.json", {"head.kind=full"});
  EXPECT_NE(config_differences(was, full).find("head.map was \"id_ranges\", is not set"), std::string::npos)
      << config_differences(was, full);
}

TEST(Config, ReferenceNamesEveryKey) {
  const std::string text = config_reference_markdown();
  for (const ConfigKey& key : config_keys()) {
    for (const std::string_view name : key.names) {
      if (name.empty()) continue;
      EXPECT_NE(text.find("`" + std::string(name) + "`"), std::string::npos) << name;
    }
    EXPECT_FALSE(key.doc.empty());
  }
  EXPECT_NE(text.find("| `learning_rate` | number | `0.001` | 0 to 10 |"), std::string::npos) << text;
}

TEST(Config, MutatedTextsNeverCrash) {
  std::mt19937 random(11);
  int accepted = 0;
  for (const std::string original : {kGrouped, kForeignNeo}) {
    for (int round = 0; round < 3000; ++round) {
      const std::string text = test::mutate(original, random);
      accepted += test::succeeds_or_throws_error([&] { config_json(parse_config(text, "c.json")); });
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3000);
}

}  // namespace
}  // namespace fabula
