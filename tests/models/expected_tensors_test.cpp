#include <fmt/format.h>
#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "models/weights.hpp"
#include "temp_dir.hpp"

// The names and shapes that files of a model have, and how what is found there is matched with them.
namespace fabula::models {
namespace {

using test::expect_error;
using test::TempDir;

ModelConfig small(const std::string& head, const std::string& family = "gpt2") {
  const bool neo = family == "gpt_neo";
  return parse_config(
             fmt::format(R"({{"model_type": "{}", "vocab_size": 11, "{}": 6, "{}": 4, "{}": 2, "{}": 2, "{}": 10{}}})",
                         family, neo ? "max_position_embeddings" : "n_positions", neo ? "hidden_size" : "n_embd",
                         neo ? "num_layers" : "n_layer", neo ? "num_heads" : "n_head",
                         neo ? "intermediate_size" : "n_inner", head),
             "config.json")
      .model;
}

std::vector<TensorSpec> tensors_of(const ModelConfig& model) {
  return expected_tensors(LanguageModel(model)).tensors;
}

ParameterFinder match(const ModelTensors& tensors, const ModelConfig& model) {
  return match_tensors(tensors, expected_tensors(LanguageModel(model)), model);
}

std::map<std::string, std::vector<std::int64_t>> shapes(const ModelConfig& model) {
  std::map<std::string, std::vector<std::int64_t>> result;
  for (const TensorSpec& spec : tensors_of(model))
    EXPECT_TRUE(result.emplace(spec.name, spec.shape).second) << spec.name;
  return result;
}

TensorSource constant(const std::string& name, const std::vector<std::int64_t>& shape, float value = 1) {
  return {name, shape, [value](std::int64_t, std::span<float> out) { std::fill(out.begin(), out.end(), value); }};
}

// The file of a model, with each tensor's source passed through `change` (an empty name leaves it out).
ModelTensors file_of(const TempDir& dir, const ModelConfig& model,
                     const std::function<void(TensorSource&)>& change = {}, std::vector<TensorSource> more = {}) {
  for (const TensorSpec& spec : tensors_of(model)) {
    TensorSource source = constant(spec.name, spec.shape);
    if (change) change(source);
    if (!source.name.empty()) more.push_back(source);
  }
  write_safetensors(dir / "model.safetensors", more);
  return ModelTensors::open(dir.path());
}

TEST(ExpectedTensors, Gpt2ShapesAreConv1d) {
  const auto all = shapes(small(R"(, "head": {"kind": "grouped"})"));
  EXPECT_EQ(all.size(), 2u + 2 * 12 + 2 + 6);
  EXPECT_EQ(all.at("transformer.wte.weight"), (std::vector<std::int64_t>{11, 4}));
  EXPECT_EQ(all.at("transformer.wpe.weight"), (std::vector<std::int64_t>{6, 4}));
  EXPECT_EQ(all.at("transformer.h.1.attn.c_attn.weight"), (std::vector<std::int64_t>{4, 12}));
  EXPECT_EQ(all.at("transformer.h.1.attn.c_attn.bias"), (std::vector<std::int64_t>{12}));
  EXPECT_EQ(all.at("transformer.h.0.mlp.c_fc.weight"), (std::vector<std::int64_t>{4, 10}));
  EXPECT_EQ(all.at("transformer.h.0.mlp.c_proj.weight"), (std::vector<std::int64_t>{10, 4}));
  EXPECT_EQ(all.at("lm_head.group.weight"), (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(all.at("lm_head.shared.bias"), (std::vector<std::int64_t>{4}));
  EXPECT_EQ(all.at("lm_head.scale"), (std::vector<std::int64_t>{3, 4}));
}

TEST(ExpectedTensors, GptNeoShapesAreLinear) {
  const auto all = shapes(small("", "gpt_neo"));
  EXPECT_EQ(all.size(), 2u + 2 * 13 + 2);
  EXPECT_EQ(all.at("transformer.h.1.attn.attention.q_proj.weight"), (std::vector<std::int64_t>{4, 4}));
  EXPECT_FALSE(all.contains("transformer.h.1.attn.attention.q_proj.bias"));
  EXPECT_TRUE(all.contains("transformer.h.1.attn.attention.out_proj.bias"));
  EXPECT_EQ(all.at("transformer.h.0.mlp.c_fc.weight"), (std::vector<std::int64_t>{10, 4}));
  EXPECT_FALSE(all.contains("lm_head.weight"));
}

TEST(ExpectedTensors, LlamaShapesAreLinear) {
  const ModelConfig model = parse_config(R"({"model_type": "llama", "vocab_size": 11, "max_position_embeddings": 6,
      "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6,
      "intermediate_size": 10})",
                                         "config.json")
                                .model;
  const auto all = shapes(model);
  EXPECT_EQ(all.size(), 1u + 2 * 9 + 2);
  EXPECT_EQ(all.at("model.embed_tokens.weight"), (std::vector<std::int64_t>{11, 8}));
  EXPECT_EQ(all.at("model.layers.0.input_layernorm.weight"), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(all.at("model.layers.1.self_attn.q_proj.weight"), (std::vector<std::int64_t>{24, 8}));
  EXPECT_EQ(all.at("model.layers.1.self_attn.k_proj.weight"), (std::vector<std::int64_t>{12, 8}));
  EXPECT_EQ(all.at("model.layers.1.self_attn.v_proj.weight"), (std::vector<std::int64_t>{12, 8}));
  EXPECT_EQ(all.at("model.layers.1.self_attn.o_proj.weight"), (std::vector<std::int64_t>{8, 24}));
  EXPECT_EQ(all.at("model.layers.0.post_attention_layernorm.weight"), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(all.at("model.layers.0.mlp.gate_proj.weight"), (std::vector<std::int64_t>{10, 8}));
  EXPECT_EQ(all.at("model.layers.0.mlp.up_proj.weight"), (std::vector<std::int64_t>{10, 8}));
  EXPECT_EQ(all.at("model.layers.0.mlp.down_proj.weight"), (std::vector<std::int64_t>{8, 10}));
  EXPECT_EQ(all.at("model.norm.weight"), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(all.at("lm_head.weight"), (std::vector<std::int64_t>{11, 8}));
  TempDir dir;
  match(file_of(dir, model, {}, {constant("model.layers.0.self_attn.rotary_emb.inv_freq", {3})}), model);
}

TEST(ExpectedTensors, FullHeadsTiedUntiedAndWithBias) {
  EXPECT_FALSE(shapes(small("")).contains("lm_head.weight"));
  EXPECT_TRUE(shapes(small(R"(, "tie_word_embeddings": false)")).contains("lm_head.weight"));
  const auto biased = shapes(small(R"(, "head": {"kind": "full", "bias": true})"));
  EXPECT_EQ(biased.at("lm_head.bias"), (std::vector<std::int64_t>{11}));
}

TEST(ExpectedTensors, ForeignHabitsAreUnderstood) {
  TempDir dir;
  const ModelConfig model = small("");
  const ModelTensors file =
      file_of(dir, model, [](TensorSource& source) { source.name.erase(0, std::string("transformer.").size()); },
              {constant("h.0.attn.bias", {1, 1, 6, 6}), constant("h.1.attn.masked_bias", {}),
               constant("lm_head.weight", {11, 4})});
  const ParameterFinder finder = match(file, model);
  for (const TensorSpec& spec : tensors_of(model)) EXPECT_EQ("transformer." + *finder.name_of(spec.name), spec.name);
  EXPECT_FALSE(finder.transposed());
}

TEST(ExpectedTensors, WrappersAreReadPastWhereverTheyStand) {
  EXPECT_EQ(without_wrappers("_orig_mod.module.transformer.h.0._orig_mod.ln_1.weight"), "transformer.h.0.ln_1.weight");
  EXPECT_EQ(without_wrappers("module._fsdp_wrapped_module.wte.weight"), "wte.weight");
  EXPECT_EQ(without_wrappers("transformer.module"), "transformer.module");
  for (const std::string prefix : {"_orig_mod.", "module.", "module._orig_mod."}) {
    TempDir dir;
    const ModelConfig model = small("");
    const ModelTensors file = file_of(
        dir, model, [&](TensorSource& source) { source.name = prefix + source.name; },
        {constant(prefix + "lm_head.weight", {11, 4}), constant(prefix + "transformer.h.0.attn.bias", {1, 1, 6, 6})});
    EXPECT_EQ(*match(file, model).name_of("transformer.wpe.weight"), prefix + "transformer.wpe.weight");
  }
  TempDir dir;
  expect_error(ErrorCode::kFormat, {"\"module.transformer.wpe.weight\"", "are both \"transformer.wpe.weight\""}, [&] {
    match(file_of(dir, small(""), {}, {constant("module.transformer.wpe.weight", {6, 4})}), small(""));
  });
}

bool is_linear(const std::string& name) {
  return name.find(".c_") != std::string::npos && name.ends_with(".weight");
}

// The matrices of the linear layers hold 10 row + column of the model's orientation.
float numbered(std::size_t row, std::size_t column) {
  return static_cast<float>(10 * row + column);
}

void transpose(TensorSource& source) {
  if (!is_linear(source.name)) return;
  std::reverse(source.shape.begin(), source.shape.end());
  const auto cols = static_cast<std::size_t>(source.shape[1]);
  source.fetch = [cols](std::int64_t first, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(first) + i;
      out[i] = numbered(at % cols, at / cols);
    }
  };
}

TEST(ExpectedTensors, MatricesInTheOtherOrientationAreTakenWhenAllAre) {
  for (const char* family : {"gpt2", "gpt_neo"}) {
    TempDir dir;
    const ModelConfig model = small("", family);
    const ModelTensors file = file_of(dir, model, transpose);
    const ParameterFinder finder = match(file, model);
    EXPECT_TRUE(finder.transposed());
    for (const char* part : {"model.safetensors", "other way round", "nn.Linear"})
      EXPECT_NE(finder.note().find(part), std::string::npos) << finder.note();
    for (const TensorSpec& spec : tensors_of(model)) {
      EXPECT_EQ(finder.shape_of(spec.name), spec.shape) << spec.name;
      if (!is_linear(spec.name)) continue;  // the square matrix of the attention's output among them
      const auto rows = static_cast<std::size_t>(spec.shape[0]), cols = static_cast<std::size_t>(spec.shape[1]);
      std::vector<float> values(rows * cols);
      finder.read(spec.name, values);
      for (std::size_t i = 0; i < values.size(); ++i)
        EXPECT_EQ(values[i], numbered(i / cols, i % cols)) << spec.name << " " << i;
    }
  }
}

TEST(ExpectedTensors, SomeMatricesTransposedIsAnError) {
  TempDir dir;
  const auto change = [](TensorSource& source) {
    if (source.name.find(".mlp.c_fc.") != std::string::npos) transpose(source);
  };
  expect_error(ErrorCode::kFormat,
               {"tensor \"transformer.h.1.mlp.c_fc.weight\" is [10, 4], config.json needs [4, 10]; it is transposed, "
                "other matrices of the file are not"},
               [&] { match(file_of(dir, small(""), change), small("")); });
  // All lie the other way round, and one has another size besides: the message speaks of the file's shapes.
  const auto other = [](TensorSource& source) {
    transpose(source);
    if (source.name == "transformer.h.0.mlp.c_fc.weight") source.shape = {9, 4};
  };
  expect_error(ErrorCode::kFormat, {"h.0.mlp.c_fc.weight\" is [9, 4], config.json needs [10, 4]; n_inner is 10"},
               [&] { match(file_of(dir, small(""), other), small("")); });
}

TEST(ExpectedTensors, EveryMismatchIsNamed) {
  TempDir dir;
  const ModelConfig model = small(R"(, "head": {"kind": "grouped", "group_size": 5})");
  const auto change = [](TensorSource& source) {
    if (source.name == "lm_head.scale") source.shape = {3, 2};
    if (source.name == "transformer.h.1.ln_2.bias") source.name.clear();
  };
  expect_error(ErrorCode::kFormat,
               {"model.safetensors: tensor \"transformer.h.1.ln_2.bias\" [4] is missing",
                "tensor \"lm_head.scale\" is [3, 2], config.json needs [3, 5]; the head is grouped scale_shift, 3 "
                "groups of 5, id_ranges",
                "tensor \"extra\" [2] is not part of the model"},
               [&] { match(file_of(dir, model, change, {constant("extra", {2})}), model); });
  expect_error(ErrorCode::kFormat, {"and "}, [&] { match(file_of(dir, small("")), small("", "gpt_neo")); });
  expect_error(ErrorCode::kFormat, {"differs from \"transformer.wte.weight\", the token embedding"}, [&] {
    match(file_of(dir, small(""), {}, {constant("lm_head.weight", {11, 4}, 2)}), small(""));
  });
}

}  // namespace
}  // namespace fabula::models
