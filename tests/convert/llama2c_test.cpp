// llama2.c checkpoints: what is refused, where each number goes, and what the model computes.
#include "convert/llama2c.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "convert/written_model.hpp"
#include "expect_error.hpp"
#include "formats/safetensors.hpp"
#include "support/llama2c_model.hpp"
#include "temp_dir.hpp"
#include "text/llama2c_vocabulary.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Llama2cSizes;

Llama2cSizes small_sizes() {
  return {.dim = 12,
          .hidden = 20,
          .layers = 2,
          .heads = 3,
          .kv_heads = 1,
          .vocab = static_cast<int>(test::small_pieces().size()),
          .positions = 10};
}

/// A folder with model.bin and tok.bin.
class Files : public test::TempDir {
 public:
  explicit Files(const std::string& checkpoint) {
    write_file_atomically(*this / "model.bin", checkpoint);
    write_file_atomically(*this / "tok.bin", test::llama2c_file(test::small_pieces()));
  }
  fs::path out() const { return *this / "out"; }
  ModelConfig import(bool overwrite = false) const {
    return import_llama2c(
        {.source = *this / "model.bin", .tokenizer = *this / "tok.bin", .out = out(), .overwrite = overwrite});
  }
};

using test::read_json;

TEST(Llama2c, BecomesAHuggingFaceFolder) {
  for (const bool tied : {true, false}) {
    Llama2cSizes sizes = small_sizes();
    sizes.tied = tied;
    const Files files(test::random_llama2c(sizes, 1));
    const ModelConfig read = files.import();
    EXPECT_EQ(read.hidden, 12);
    EXPECT_EQ(read.tie_word_embeddings, tied);
    const json config = read_json(files.out() / "config.json");
    const json expected = {{"model_type", "llama"},  {"hidden_size", 12},         {"intermediate_size", 20},
                           {"num_hidden_layers", 2}, {"num_attention_heads", 3},  {"num_key_value_heads", 1},
                           {"head_dim", 4},          {"vocab_size", sizes.vocab}, {"max_position_embeddings", 10},
                           {"rms_norm_eps", 1e-5},   {"rope_theta", 10000.0},     {"tie_word_embeddings", tied},
                           {"bos_token_id", 1},      {"eos_token_id", 1},         {"hidden_act", "silu"}};
    for (const auto& [key, value] : expected.items()) EXPECT_EQ(config[key], value) << key;
    EXPECT_EQ(read_json(files.out() / "generation_config.json")["eos_token_id"], json({1, 2}));
    EXPECT_EQ(read_json(files.out() / "tokenizer_config.json")["eos_token"], "<s>");
    EXPECT_EQ(text::load_tokenizer(files.out()).fingerprint(), text::load_tokenizer(files / "tok.bin").fingerprint());
    std::vector<std::string> left;  // and nothing else
    for (const auto& entry : fs::directory_iterator(files.out())) left.push_back(entry.path().filename());
    EXPECT_EQ(left.size(), 5u);
    const SafetensorsFile weights = SafetensorsFile::open(files.out() / "model.safetensors");
    EXPECT_EQ(weights.names().size(), tied ? 20u : 21u);
    EXPECT_EQ(weights.metadata().at("format"), "pt");
    EXPECT_EQ(weights.contains("lm_head.weight"), !tied);
  }
}

/// The numbers of a file, each its own place.
std::string numbered(const Llama2cSizes& sizes) {
  std::string file = test::random_llama2c(sizes, 1);
  for (size_t i = 28; i < file.size(); i += 4) {
    const float place = static_cast<float>(i / 4 - 7);
    std::memcpy(file.data() + i, &place, 4);
  }
  return file;
}

TEST(Llama2c, EveryNumberGoesToItsPlace) {
  Llama2cSizes sizes = small_sizes();
  sizes.tied = false;
  const Files files(numbered(sizes));
  files.import();
  const SafetensorsFile weights = SafetensorsFile::open(files.out() / "model.safetensors");
  const auto is = [&](const std::string& name, const std::vector<std::int64_t>& shape, std::int64_t first,
                      const std::vector<int>& rows_of_head = {}) {
    EXPECT_EQ(weights.info(name).shape, shape) << name;
    std::vector<float> values(static_cast<size_t>(weights.info(name).elements));
    weights.read_f32(name, values);
    const std::int64_t columns = shape.back();
    for (size_t i = 0; i < values.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / columns, column = static_cast<std::int64_t>(i) % columns;
      const std::int64_t from = rows_of_head.empty() ? row : row / 4 * 4 + rows_of_head[static_cast<size_t>(row % 4)];
      ASSERT_EQ(values[i], static_cast<float>(first + from * columns + column)) << name << " " << i;
    }
  };
  const std::int64_t V = sizes.vocab, D = 12, F = 20, K = 4, L = 2;
  std::int64_t at = 0;
  const auto next = [&](std::int64_t count) { return std::exchange(at, at + count); };
  is("model.embed_tokens.weight", {V, D}, next(V * D));
  const auto layers = [&](const std::string& name, const std::vector<std::int64_t>& shape,
                          const std::vector<int>& rows = {}) {
    const std::int64_t size = shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    for (std::int64_t layer = 0; layer < L; ++layer)
      is(fmt::format("model.layers.{}.{}.weight", layer, name), shape, next(size), rows);
  };
  layers("input_layernorm", {D});
  layers("self_attn.q_proj", {D, D}, {0, 2, 1, 3});
  layers("self_attn.k_proj", {K, D}, {0, 2, 1, 3});
  layers("self_attn.v_proj", {K, D});
  layers("self_attn.o_proj", {D, D});
  layers("post_attention_layernorm", {D});
  layers("mlp.gate_proj", {F, D});
  layers("mlp.down_proj", {D, F});
  layers("mlp.up_proj", {F, D});
  is("model.norm.weight", {D}, next(D));
  next(10 * 4);
  is("lm_head.weight", {V, D}, next(V * D));
}

TEST(Llama2c, WhatIsNoCheckpointIsRefusedAndWritesNothing) {
  const std::string good = test::random_llama2c(small_sizes(), 1);
  const auto refused = [](ErrorCode code, const std::string& checkpoint, std::vector<std::string> parts) {
    const Files files(checkpoint);
    parts.push_back("model.bin");
    test::expect_error(code, parts, [&] { files.import(); });
    EXPECT_FALSE(fs::exists(files.out()));
  };
  const auto with = [&](size_t index, std::int32_t number) {
    std::string file = good;
    std::memcpy(file.data() + 4 * index, &number, 4);
    return file;
  };
  const ErrorCode format = ErrorCode::kFormat;
  refused(format, "", {"0 bytes are too few"});
  refused(format, good.substr(0, 27), {"27 bytes are too few"});
  refused(format, good.substr(0, good.size() - 4), {"cut short", std::to_string(good.size())});
  refused(format, good + "....", {std::to_string(good.size() + 4), std::to_string(good.size())});
  refused(ErrorCode::kUnsupported, with(0, 0x616b3432), {"version 20"});
  for (size_t index = 0; index < 7; ++index)
    for (const std::int32_t number :
         {0, -1, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()})
      if (index != 5 || number != -1) refused(format, with(index, number), {"is", "expected 1 to"});
  refused(format, with(5, -1), {"with a classifier"});
  refused(format, with(3, 5), {"dim 12 is no multiple of twice n_heads 5"});
  refused(format, with(3, 4), {"dim 12 is no multiple of twice n_heads 4"});
  refused(format, with(4, 2), {"n_heads 3 is no multiple of n_kv_heads 2"});
  refused(format, with(1, 21), {"it is cut short"});
  refused(format, with(28 / 4 + 500, 0x7fc00000), {"a weight is nan"});
  refused(format, with(28 / 4 + 500, 0x7f800000), {"a weight is inf"});
}

TEST(Llama2c, AnotherTokenizerAndAFolderInUseAreRefused) {
  Llama2cSizes sizes = small_sizes();
  const Files files(test::random_llama2c(sizes, 1));
  fs::create_directory(files.out());
  write_file_atomically(files.out() / "notes.txt", "mine");
  test::expect_error(ErrorCode::kInvalidArgument, {"out holds files already"}, [&] { files.import(); });
  EXPECT_EQ(read_file(files.out() / "notes.txt"), "mine");
  fs::remove(files.out() / "notes.txt");
  files.import();
  test::expect_error(ErrorCode::kInvalidArgument, {"holds files already"}, [&] { files.import(); });
  sizes.vocab -= 1;
  const Files others(test::random_llama2c(sizes, 1));
  test::expect_error(ErrorCode::kInvalidArgument, {"tok.bin has 273 tokens", "a vocabulary of 272"},
                     [&] { others.import(); });
  EXPECT_FALSE(fs::exists(others.out()));
  test::expect_error(ErrorCode::kNotFound, {"none.bin"},
                     [&] { import_llama2c({.source = others / "none.bin", .out = others.out()}); });
}

/// The file without cosines and sines, which nothing reads.
std::string without_tables(const std::string& file, const Llama2cSizes& sizes) {
  const auto tables = static_cast<size_t>(sizes.positions * sizes.dim / sizes.heads) * 4;
  const auto classifier = sizes.tied ? 0 : static_cast<size_t>(sizes.vocab * sizes.dim) * 4;
  return file.substr(0, file.size() - classifier - tables) + file.substr(file.size() - classifier);
}

TEST(Llama2c, ComesOutAsItWentIn) {
  for (const bool tied : {true, false}) {
    Llama2cSizes sizes = small_sizes();
    sizes.tied = tied;
    const std::string checkpoint = test::random_llama2c(sizes, 1);
    const Files files(checkpoint);
    files.import();
    const auto written = export_model({.run = files.out(), .format = Format::kLlama2c, .out = files / "c"});
    ASSERT_EQ(written, (std::vector<fs::path>{files / "c" / "model.bin", files / "c" / "tokenizer.bin",
                                              files / "c" / "README.md"}));
    EXPECT_EQ(without_tables(read_file(written[0]), sizes), without_tables(checkpoint, sizes));
    EXPECT_EQ(text::load_tokenizer(written[1]).fingerprint(), text::load_tokenizer(files / "tok.bin").fingerprint());
    test::Llama2cModel plain((files / "model.bin").string()), again(written[0].string());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again.step(1), plain.step(1));
    // The tokenizer beside the checkpoint is found.
    import_model({.source = written[0], .out = files / "again"});
    test::expect_same_tensors(files.out(), files / "again");
    // So is the checkpoint of a folder; what is read is never replaced.
    EXPECT_EQ(import_model({.source = files / "c", .out = files / "of_folder"}).from, Format::kLlama2c);
    test::expect_same_tensors(files.out(), files / "of_folder");
    for (const fs::path& source : {files / "c", written[0]})
      test::expect_error(ErrorCode::kInvalidArgument, {"is what is read", "--out"},
                         [&] { import_model({.source = source, .out = files / "c", .overwrite = true}); });
    EXPECT_TRUE(fs::exists(written[0]));
    EXPECT_NE(read_file(written[2]).find("\n# c\n"), std::string::npos);
  }
}

TEST(Llama2c, WhatItCannotHoldIsRefused) {
  const test::TempDir dir;
  const Files files(test::random_llama2c(small_sizes(), 1));
  files.import();
  const json good = read_json(files.out() / "config.json");
  const std::string vocabulary = std::to_string(test::small_pieces().size());
  const text::Tokenizer pieces = text::load_tokenizer(files / "tok.bin");
  const auto refused = [&](const std::string& config, const text::Tokenizer& tokenizer,
                           const std::vector<std::string>& parts) {
    const fs::path folder = dir / std::to_string(test::files_in(dir.path()).size());
    test::write_model(folder, config, tokenizer);
    test::expect_error(ErrorCode::kUnsupported, parts,
                       [&] { export_model({.run = folder, .format = Format::kLlama2c, .out = dir / "out"}); });
    EXPECT_FALSE(fs::exists(dir / "out"));
  };
  const auto with = [&](const char* key, const json& value) {
    json config = good;
    config[key] = value;
    return config.dump();
  };
  refused(R"({"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": )" + vocabulary + "}", pieces,
          {"Llama bodies, this is GPT-2", "--format hf"});
  refused(with("head", {{"kind", "full"}, {"bias", true}}), pieces, {"output bias", "--format hf"});
  json grouped = good;
  grouped["head"] = {{"kind", "grouped"}};
  grouped["tie_word_embeddings"] = false;
  refused(grouped.dump(), pieces, {"head of two levels"});
  refused(with("rms_norm_eps", 1e-6), pieces, {"rms_norm_eps 1e-05", "1e-06"});
  refused(with("head_dim", 2), pieces, {"heads of hidden size / heads numbers"});
  refused(with("vocab_size", 257), test::byte_tokenizer(), {"tokenizer.bin", "byte-level BPE"});
  refused(with("vocab_size", 400), pieces, {"the tokenizer has " + vocabulary, "400"});
  test::expect_error(ErrorCode::kUnsupported, {"f32 alone"}, [&] {
    export_model({.run = files.out(), .format = Format::kLlama2c, .out = dir / "out", .type = WeightType::kBf16});
  });
}

}  // namespace
}  // namespace fabula::convert
