// config.json files of other people: what is passed over, what is refused, and how it is said.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "formats/config_keys.hpp"
#include "formats/foreign_keys.hpp"
#include "formats/token_map.hpp"

namespace fabula {
namespace {

using test::expect_error;

// The keys of GPT-2 medium's own file, with sizes of a small model.
constexpr const char* kMedium = R"("activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
  "attn_pdrop": 0.1, "bos_token_id": 256, "embd_pdrop": 0.1, "eos_token_id": 256, "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 32, "n_embd": 24, "n_head": 2, "n_layer": 3,
  "n_positions": 32, "n_special": 0, "predict_special_tokens": true, "resid_pdrop": 0.1, "summary_activation": null,
  "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
  "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 257)";

std::string medium(const std::string& more = {}) {
  return fmt::format("{{{}{}{}}}", kMedium, more.empty() ? "" : ", ", more);
}

/// What reading the text says on standard error.
std::string notes_of(const std::string& text) {
  testing::internal::CaptureStderr();
  try {
    parse_config(text, "c.json");
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
  return testing::internal::GetCapturedStderr();
}

std::string refusal_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_config(text, "c.json", overrides);
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "not refused: " << text;
  return "";
}

TEST(ForeignConfig, Gpt2MediumIsReadWithOneNote) {
  const RunConfig config = parse_config(medium(), "c.json");
  EXPECT_EQ(config.model.layers, 3);
  EXPECT_EQ(config.model.n_positions, 32);
  EXPECT_EQ(config.model.attn_dropout, 0.1);
  EXPECT_EQ(notes_of(medium()),
            "c.json: passing over what does not change the model: n_special, predict_special_tokens\n");
}

TEST(ForeignConfig, KeysOfAllYearsChangeNothing) {
  const std::string plain = config_json(parse_config(medium(), "c.json"));
  for (const char* key : {R"("output_past": true)",
                          R"("num_labels": 1)",
                          R"("eos_token_ids": [0])",
                          R"("finetuning_task": null)",
                          R"("summary_last_dropout": 0.1)",
                          R"("dtype": "float16")",
                          R"("torch_dtype": null)",
                          R"("pruned_heads": {})",
                          R"("pruned_heads": [])",
                          R"("is_decoder": true)",
                          R"("tie_encoder_decoder": false)",
                          R"("reorder_and_upcast_attn": true)",
                          R"("quantization_config": null)",
                          R"("quantization_config": {})",
                          R"("rope_scaling": null)",
                          R"("chunk_size_feed_forward": 0)",
                          R"("top_k": 50)",
                          R"("do_sample": false)",
                          R"("bad_words_ids": null)",
                          R"("problem_type": null)",
                          R"("prefix": null)",
                          R"("xla_device": null)",
                          R"("use_bfloat16": false)",
                          R"("loss_type": "ForCausalLM")",
                          R"("_attn_implementation_autoset": true)",
                          R"("block_size": 32)",
                          R"("max_seq_len": 7)",
                          R"("dropout": 0.0)",
                          R"("bias": true)",
                          R"("batch_size": 12)",
                          R"("weight_decay": 0.1)",
                          R"("unsloth_version": "2024.9")",
                          R"("position_embedding_type": "absolute")",
                          R"("hidden_size": 24)",
                          R"("num_attention_heads": 2)",
                          R"("num_key_value_heads": 2)",
                          R"("add_prefix_space": true)",
                          R"("adapters": {})",
                          R"("is_encoder_decoder": null)"})
    EXPECT_EQ(config_json(parse_config(medium(key), "c.json")), plain) << key;
}

TEST(ForeignConfig, WhatHuggingFaceWritesTodayNeedsNoNote) {
  EXPECT_EQ(notes_of(R"({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_ctx": 1024, "n_positions": 1024,
      "reorder_and_upcast_attn": false, "scale_attn_by_inverse_layer_idx": false, "scale_attn_weights": true,
      "summary_type": "cls_index", "torch_dtype": "float32", "transformers_version": "4.40.0", "use_cache": true})"),
            "");
  EXPECT_EQ(notes_of(config_json(parse_config(medium(), "c.json"))), "");
  EXPECT_NE(notes_of(R"({"model_type": "gpt2", "n_ctx": 512, "n_positions": 1024})").find("model: n_ctx"),
            std::string::npos);
}

TEST(ForeignConfig, EverythingThatIsWrongIsSaidAtOnce) {
  const std::string text = refusal_of(medium(R"("scale_attn_by_inverse_layer_idx": true, "pruned_heads": {"1": [0]},
      "quantization_config": {"bits": 4}, "rope_scaling": {"factor": 2}, "n_embedding": 24, "hidden_size": 32)"));
  for (const char* part : {"c.json: 6 keys", "scale_attn_by_inverse_layer_idx is true",
                           "pruned_heads is {\"1\":[0]}, only {} is possible", "quantised weights", "rotary positions",
                           "unknown key \"n_embedding\"; if it does not change", "hidden_size is 32, n_embd is 24"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
  const std::string values = refusal_of(R"({"model_type": "gpt2", "n_embd": "64", "n_layer": 0, "n_special": 0})");
  EXPECT_NE(values.find("n_embd is \"64\""), std::string::npos) << values;
  EXPECT_NE(values.find("n_layer is 0"), std::string::npos) << values;
  EXPECT_EQ(values.find("n_special"), std::string::npos) << values;
}

TEST(ForeignConfig, WhatChangesTheModelIsRefused) {
  for (const char* key :
       {R"("scale_attn_weights": null)", R"("is_encoder_decoder": true)", R"("add_cross_attention": true)",
        R"("is_causal": false)", R"("position_embedding_type": "rotary")", R"("multi_query": true)", R"("bias": false)",
        R"("adapters": {"adapters": {"a": 1}})", R"("compression_config": {"format": "x"})",
        R"("use_parallel_residual": true)", R"("num_experts": 8)", R"("rotary": true)", R"("logit_scale": 0.5)"})
    expect_error(ErrorCode::kUnsupported, {"c.json", "is possible"}, [&] { parse_config(medium(key), "c.json"); });
  for (const char* key : {R"("num_key_value_heads": 1)", R"("hidden_act": "gelu")", R"("n_heads": 4)"})
    expect_error(ErrorCode::kInvalidArgument, {"c.json", "both mean the same"},
                 [&] { parse_config(medium(key), "c.json"); });
}

TEST(ForeignConfig, HintsNeverNameAKeyThatIsThere) {
  EXPECT_NE(refusal_of(R"({"model_type": "gpt2", "n_hed": 2})").find("did you mean \"n_head\""), std::string::npos);
  EXPECT_EQ(refusal_of(R"({"model_type": "gpt2", "n_head": 2, "n_hed": 2})").find("\"n_head\""), std::string::npos);
  EXPECT_EQ(refusal_of(R"({"model_type": "gpt2", "head": {"bias": true, "bia": 2}})").find("did you mean \"bias\""),
            std::string::npos);
  const std::string twice = refusal_of(R"({"model_type": "gpt2", "learning_rate": 1, "train": {"learning_rate": 1}})");
  EXPECT_NE(twice.find("\"train.learning_rate\" is there too, and decides; remove it"), std::string::npos) << twice;
}

// In a file of fabula's own, or on its command line, such a key was meant as something.
TEST(ForeignConfig, StrayKeysInAConfigOfOnesOwnAreRefused) {
  EXPECT_NE(refusal_of(R"({"model_type": "gpt2", "block_size": 32})").find("unknown key"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"model_type": "gpt2", "dropout": 0.1})").find("spells it \"train.dropout\""),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"model_type": "gpt2", "bias": true})").find("spells it \"head.bias\""), std::string::npos);
  EXPECT_NE(refusal_of(medium(), {"top_k=5"}).find("--set top_k=5: unknown key"), std::string::npos);
}

TEST(ForeignConfig, FilesWithoutAModelTypeAreKnownByTheirClass) {
  const auto family = [](const std::string& classes) {
    return parse_config(R"({"architectures": )" + classes + "}", "c.json").model.family;
  };
  EXPECT_EQ(family(R"(["GPT2LMHeadModel"])"), ModelFamily::kGpt2);
  EXPECT_EQ(family(R"(["GPTNeoForCausalLM"])"), ModelFamily::kGptNeo);
  for (const char* classes : {R"(["GPTNeoXForCausalLM"])", "[]", "3", R"(["GPT2LMHeadModel", "GPT2Model"])"})
    expect_error(ErrorCode::kInvalidArgument, {"model_type is missing"}, [&] { family(classes); });
}

TEST(ForeignConfig, AGitLfsPointerIsNamedAsThat) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') + "\nsize 665\n";
  expect_error(ErrorCode::kFormat, {"a/config.json", "Git LFS pointer", "git lfs pull"},
               [&] { parse_config(pointer, "a/config.json"); });
  expect_error(ErrorCode::kFormat, {"m.json", "Git LFS pointer", "git lfs pull"},
               [&] { parse_token_map(pointer, 10, "m.json"); });
}

TEST(ForeignConfig, TablesDoNotContradictEachOther) {
  for (const ConfigKey& key : config_keys()) {
    if (!key.section.empty()) continue;
    for (const std::string_view name : key.names)
      if (!name.empty()) {
        EXPECT_EQ(foreign_kind(name), ForeignKind::kUnknown) << name;
      }
  }
  for (const FixedKey& key : fixed_keys()) {
    EXPECT_EQ(foreign_kind(key.name), ForeignKind::kUnknown) << key.name;
    EXPECT_EQ(alias_target(key.name, ModelFamily::kGpt2), "") << key.name;
  }
}

}  // namespace
}  // namespace fabula
