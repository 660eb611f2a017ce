// config.json of Llama models: Hugging Face's keys in both spellings of rotary positions, what is derived and refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "log_capture.hpp"

namespace fabula {
namespace {

using nlohmann::json;
using test::expect_error;

// The keys of a published small Llama's file.
json published() {
  return json::parse(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
      "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576,
      "initializer_range": 0.041666666666666664, "intermediate_size": 1536, "is_llama_config": true,
      "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30,
      "num_key_value_heads": 3, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false,
      "rope_scaling": null, "rope_theta": 50000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
      "transformers_version": "4.40.1", "use_cache": true, "vocab_size": 49152})");
}

json with(const char* key, const json& value) {
  json config = published();
  config[key] = value;
  return config;
}

RunConfig read(const json& config, const std::vector<std::string>& overrides = {}) {
  return parse_config(config.dump(), "c.json", overrides);
}

void refuse(const json& config, const std::vector<std::string>& parts, ErrorCode code = ErrorCode::kInvalidArgument) {
  expect_error(code, parts, [&] { read(config); });
}

TEST(LlamaConfig, APublishedFileIsReadAndWritten) {
  const ModelConfig model = read(published()).model;
  EXPECT_EQ(model.family, ModelFamily::kLlama);
  EXPECT_EQ(model.hidden, 576);
  EXPECT_EQ(model.heads, 9);
  EXPECT_EQ(model.key_value_heads(), 3);
  EXPECT_EQ(model.head_dim(), 64);
  EXPECT_EQ(model.feed_forward(), 1536);
  EXPECT_EQ(model.layer_norm_epsilon, 1e-5);
  EXPECT_EQ(model.rope_theta, 50000);
  EXPECT_EQ(model.resid_dropout, 0);
  EXPECT_TRUE(model.tie_word_embeddings);
  const std::string text = config_json(read(published()));
  EXPECT_EQ(config_json(parse_config(text, "again")), text);
  const json written = json::parse(text);
  EXPECT_EQ(written["model_type"], "llama");
  EXPECT_EQ(written["architectures"], json({"LlamaForCausalLM"}));
  EXPECT_EQ(written["head_dim"], 64);
  EXPECT_EQ(written["rope_parameters"], json::parse(R"({"rope_type": "default", "rope_theta": 50000.0})"));
  EXPECT_EQ(written["attention_bias"], false);
  EXPECT_EQ(written["mlp_bias"], false);
  for (const char* real : {"rope_theta", "rms_norm_eps", "initializer_range", "attention_dropout"})
    EXPECT_TRUE(written[real].is_number_float()) << real;
  for (const char* key : {"num_hidden_layers", "num_key_value_heads", "intermediate_size", "max_position_embeddings"})
    EXPECT_EQ(written[key], published()[key]) << key;
}

TEST(LlamaConfig, WhatIsLeftOutIsAsThere) {
  const ModelConfig model = read(json{{"model_type", "llama"}}).model;
  EXPECT_EQ(model.hidden, 4096);
  EXPECT_EQ(model.feed_forward(), 11008);
  EXPECT_EQ(model.key_value_heads(), 32);
  EXPECT_EQ(model.head_dim(), 128);
  EXPECT_EQ(model.layer_norm_epsilon, 1e-6);
  EXPECT_EQ(model.rope_theta, 10000);
  EXPECT_FALSE(model.tie_word_embeddings);
  const json written = json::parse(config_json(read(json{{"model_type", "llama"}, {"intermediate_size", nullptr}})));
  EXPECT_EQ(written["intermediate_size"], 4 * 4096);
  EXPECT_EQ(written["num_key_value_heads"], 32);
  EXPECT_EQ(read(with("num_key_value_heads", nullptr)).model.key_value_heads(), 9);
  EXPECT_EQ(read(with("head_dim", 32)).model.head_dim(), 32);
}

TEST(LlamaConfig, RotaryPositionsInEitherSpelling) {
  const auto theta = [](const std::string& keys, const std::vector<std::string>& overrides = {}) {
    return parse_config(R"({"model_type": "llama")" + keys + "}", "c.json", overrides).model.rope_theta;
  };
  const std::string parameters = R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0})";
  EXPECT_EQ(theta(parameters), 500000);
  EXPECT_EQ(theta(parameters + R"(, "rope_theta": 500000)"), 500000);
  EXPECT_EQ(theta(R"(, "rope_parameters": null, "rope_theta": 300)"), 300);
  EXPECT_EQ(theta(R"(, "rope_parameters": {"rope_theta": 300})"), 300);
  EXPECT_EQ(theta(parameters, {"rope_theta=700"}), 700);
  refuse(with("rope_parameters", {{"rope_theta", 10}}), {"rope_theta is 50000", "rope_parameters.rope_theta is 10"});
  refuse(with("rope_parameters", {{"rope_type", "llama3"}, {"factor", 8}}),
         {"c.json: rope_parameters.rope_type is \"llama3\"", "default"}, ErrorCode::kUnsupported);
  refuse(with("rope_parameters", {{"rope_theta", 50000}, {"factor", 8}}), {"rope_parameters.factor is 8"},
         ErrorCode::kUnsupported);
  EXPECT_NO_THROW(read(with("rope_parameters", {{"type", "default"}, {"partial_rotary_factor", 1.0}})));
  refuse(with("rope_parameters", 3), {"rope_parameters is 3", "an object"});
  refuse(with("rope_parameters", {{"rope_theta", "x"}}), {"rope_parameters.rope_theta is \"x\"", "a number"});
  refuse(with("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}), {"rope_scaling", "scaled rotary positions"},
         ErrorCode::kUnsupported);
}

TEST(LlamaConfig, WhatItCannotBeIsRefused) {
  for (const char* key : {"attention_bias", "mlp_bias"})
    refuse(with(key, true), {key, "is true, only false is possible", "biases"}, ErrorCode::kUnsupported);
  refuse(with("hidden_act", "gelu"), {"hidden_act is \"gelu\"", "silu"}, ErrorCode::kUnsupported);
  refuse(with("rope_interleaved", true), {"rope_interleaved"}, ErrorCode::kUnsupported);
  refuse(with("num_key_value_heads", 2),
         {"num_attention_heads is 9", "2 heads of keys and values", "num_key_value_heads"});
  refuse(with("num_attention_heads", 7), {"hidden_size is 576", "7 heads"});
  refuse(with("head_dim", 33), {"33 numbers", "pairs", "head_dim"});
  refuse(with("head_dim", 130), {"head_dim is 130", "from 2 to 128"});
  refuse(with("embd_pdrop", 0.1), {"\"embd_pdrop\" means nothing to a llama model"});
  refuse(with("n_layer", 4), {"n_layer is 4, num_hidden_layers is 30"});
  expect_error(ErrorCode::kInvalidArgument, {"\"num_key_value_heads\"", "spells it \"n_head\""},
               [] { parse_config(R"({"model_type": "gpt2", "num_key_value_heads": 2})", "c"); });
  expect_error(ErrorCode::kInvalidArgument, {"\"rms_norm_eps\" means nothing to a gpt2 model"},
               [] { parse_config(R"({"model_type": "gpt2", "rms_norm_eps": 1e-5})", "c"); });
}

TEST(LlamaConfig, APublishedFileNeedsNoNoteButForStrayKeys) {
  const test::LogCapture log;
  read(published());
  EXPECT_EQ(log.text(), "c.json: passing over what does not change the model: is_llama_config\n");
}

TEST(LlamaConfig, AHeadThatHuggingFaceHasNotGivesItANameOfItsOwn) {
  json config = published();
  config.erase("architectures");
  config.erase("is_llama_config");
  config["head"] = {{"kind", "grouped"}};
  config["tie_word_embeddings"] = false;
  const std::string text = config_json(read(config));
  EXPECT_NE(text.find(R"("model_type": "fabula_llama")"), std::string::npos);
  EXPECT_EQ(config_json(parse_config(text, "again")), text);
}

}  // namespace
}  // namespace fabula
