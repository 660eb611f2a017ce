// GGUF files: what is written, where each number goes, that what comes back is what went out, and what is refused.
#include "convert/gguf.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "convert/gguf_names.hpp"
#include "convert/gguf_numbers.hpp"
#include "convert/gguf_rewrite.hpp"
#include "convert/small_models.hpp"
#include "convert/written_model.hpp"
#include "expect_error.hpp"
#include "formats/gguf.hpp"
#include "formats/model_tensors.hpp"
#include "formats/mutate.hpp"
#include "temp_dir.hpp"
#include "weights/quantise.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::expect_same_tensors;
using test::small_model;
using test::TempDir;

constexpr std::int64_t kVocabulary = 300;

fs::path small_folder(const TempDir& dir, const ModelConfig& model, TensorDtype dtype = TensorDtype::kF32) {
  fs::path folder = dir / "source" / "model";
  test::write_small_model(folder, model, test::small_bpe(290), dtype);
  return folder;
}

fs::path exported(const TempDir& dir, const fs::path& folder, const std::string& name,
                  std::optional<WeightType> type = {}) {
  export_gguf(infer::ModelFolder(folder), dir / name, type);
  return dir / name;
}

struct Kind {
  std::string name;
  ModelConfig model;
};

std::vector<Kind> exact_kinds() {
  std::vector<Kind> kinds = {{"gpt2", small_model(ModelFamily::kGpt2, kVocabulary)},
                             {"llama", small_model(ModelFamily::kLlama, kVocabulary)}};
  for (const std::size_t i : {0, 1}) {
    kinds.push_back(kinds[i]);
    kinds.back().name += "_untied";
    kinds.back().model.tie_word_embeddings = !kinds[i].model.tie_word_embeddings;
  }
  kinds.push_back(kinds[1]);
  kinds.back().name = "llama_wide_heads";
  kinds.back().model.head_size = 16;
  kinds.push_back(kinds[1]);
  kinds.back().name = "llama_bias";
  kinds.back().model.head.bias = true;
  kinds.push_back(kinds[0]);
  kinds.back().name = "gpt2_fused";
  kinds.back().model.head.kind = HeadKind::kFused;
  return kinds;
}

TEST(ConvertGguf, WhatGoesOutComesBackBitByBit) {
  for (const Kind& kind : exact_kinds()) {
    SCOPED_TRACE(kind.name);
    const TempDir dir;
    const fs::path folder = small_folder(dir, kind.model), file = exported(dir, folder, "a.gguf");
    const fs::path back = dir / "back" / "model";
    fs::create_directory(dir / "back");
    const ModelConfig read = import_gguf({.source = file, .out = back});
    expect_same_tensors(folder, back);
    const ModelConfig was = infer::ModelFolder(folder).config().model, is = infer::ModelFolder(back).config().model;
    EXPECT_EQ(is.family, was.family);
    EXPECT_EQ(is.layer_norm_epsilon, was.layer_norm_epsilon);
    EXPECT_EQ(is.rope_theta, was.rope_theta);
    EXPECT_EQ(is.head_dim(), was.head_dim());
    EXPECT_EQ(is.tie_word_embeddings, was.tie_word_embeddings);
    EXPECT_EQ(is.head.bias, was.head.bias);
    EXPECT_EQ(is.eos_token_ids, was.eos_token_ids);
    EXPECT_EQ(is.bos_token_id, was.bos_token_id);
    EXPECT_EQ(read.n_positions, 40);
    EXPECT_EQ(read_file(exported(dir, back, "b.gguf")), read_file(file));
  }
}

TEST(ConvertGguf, NarrowTypesComeBackByTheirBytes) {
  for (const Kind& kind : exact_kinds())
    for (const WeightType type : {WeightType::kF16, WeightType::kBf16, WeightType::kQ8_0}) {
      SCOPED_TRACE(fmt::format("{} {}", kind.name, kWeightTypeNames[static_cast<std::size_t>(type)]));
      const TempDir dir;
      const fs::path file = exported(dir, small_folder(dir, kind.model), "a.gguf", type), back = dir / "back" / "model";
      fs::create_directory(dir / "back");
      import_gguf({.source = file, .out = back});
      EXPECT_EQ(read_file(exported(dir, back, "b.gguf", type)), read_file(file));
    }
}

TEST(ConvertGguf, BlocksHoldTheQuantisersBits) {
  const TempDir dir;
  const fs::path folder = small_folder(dir, small_model(ModelFamily::kLlama, kVocabulary));
  const GgufFile file = GgufFile::open(exported(dir, folder, "a.gguf", WeightType::kQ8_0));
  const GgufTensorInfo& info = file.info("blk.1.ffn_up.weight");
  ASSERT_EQ(info.type, GgufType::kQ8_0);
  std::vector<float> numbers(64 * 32);
  ModelTensors::open(folder).read_f32("model.layers.1.mlp.up_proj.weight", numbers);
  const weights::ScaledRows rows = weights::quantise(numbers, 64, 32);
  const auto bytes = file.raw("blk.1.ffn_up.weight");
  ASSERT_EQ(bytes.size(), 64u * 34);
  for (std::size_t row = 0; row < 64; ++row) {
    EXPECT_EQ(std::memcmp(bytes.data() + row * 34, &rows.scales[row], 2), 0) << row;
    EXPECT_EQ(std::memcmp(bytes.data() + row * 34 + 2, &rows.bytes[row * 32], 32), 0) << row;
  }
}

TEST(ConvertGguf, TypesAreThoseOfTheTensorsOrAsAskedFor) {
  const TempDir dir;
  const fs::path folder = small_folder(dir, small_model(ModelFamily::kGpt2, kVocabulary), TensorDtype::kBf16);
  const auto check = [&](const fs::path& path, GgufType type, std::int64_t file_type) {
    const GgufFile file = GgufFile::open(path);
    EXPECT_EQ(file.integer("general.file_type"), file_type);
    EXPECT_EQ(file.integer("general.quantization_version").has_value(), type == GgufType::kQ8_0);
    for (const std::string& name : file.tensors()) {
      const bool narrow = file.info(name).shape.size() == 2 && name != "position_embd.weight";
      EXPECT_EQ(file.info(name).type, narrow ? type : GgufType::kF32) << name;
    }
  };
  check(exported(dir, folder, "a"), GgufType::kBf16, 32);
  check(exported(dir, folder, "b", WeightType::kF32), GgufType::kF32, 0);
  check(exported(dir, folder, "c", WeightType::kF16), GgufType::kF16, 1);
  check(exported(dir, folder, "d", WeightType::kQ8_0), GgufType::kQ8_0, 7);
}

TEST(ConvertGguf, RowsThatFillNoBlocksAreHalves) {
  const TempDir dir;
  ModelConfig model = small_model(ModelFamily::kGpt2, kVocabulary);
  model.hidden = 24;
  const GgufFile file = GgufFile::open(exported(dir, small_folder(dir, model), "a", WeightType::kQ8_0));
  EXPECT_EQ(file.info("blk.0.ffn_up.weight").type, GgufType::kF16);     // rows of 24
  EXPECT_EQ(file.info("blk.0.ffn_down.weight").type, GgufType::kQ8_0);  // rows of 64
  EXPECT_EQ(file.integer("general.file_type"), 7);
}

TEST(ConvertGguf, EveryTensorOfAGoldenFileIsInItsPlace) {
  const auto lines = [](const fs::path& path) {
    const GgufFile file = GgufFile::open(path);
    const std::uint64_t start = file.info("token_embd.weight").offset;
    std::vector<std::string> result;
    for (const std::string& name : file.tensors()) {
      const auto bytes = file.raw(name);
      result.push_back(fmt::format("{} {} {} {} {:016x}", name, gguf_type_info(file.info(name).type)->name,
                                   fmt::join(file.info(name).shape, "x"), file.info(name).offset - start,
                                   fnv1a(bytes.data(), bytes.size())));
    }
    return result;
  };
  const TempDir dir;
  ModelConfig gpt2 = small_model(ModelFamily::kGpt2, kVocabulary),
              llama = small_model(ModelFamily::kLlama, kVocabulary);
  gpt2.layers = llama.layers = 1;
  const std::vector<std::string> expected_gpt2 = {"blk.0.attn_norm.bias F32 32 43648 c8a5945fd507d156",
                                                  "blk.0.attn_norm.weight F32 32 43520 9d85c666ed9941f7",
                                                  "blk.0.attn_output.bias F32 32 60544 5948ca044473ba08",
                                                  "blk.0.attn_output.weight F32 32x32 56448 ddfd1f35a46c4c53",
                                                  "blk.0.attn_qkv.bias F32 96 56064 0eb804d57b63f6c8",
                                                  "blk.0.attn_qkv.weight F32 96x32 43776 c24e489f25e6cde7",
                                                  "blk.0.ffn_down.bias F32 32 77568 6e20652d5aa9f901",
                                                  "blk.0.ffn_down.weight F32 32x64 69376 a0f853127c0171dc",
                                                  "blk.0.ffn_norm.bias F32 32 60800 fc34fd0cc91d7053",
                                                  "blk.0.ffn_norm.weight F32 32 60672 be45f118f5a24a96",
                                                  "blk.0.ffn_up.bias F32 64 69120 e16b75d4e033814d",
                                                  "blk.0.ffn_up.weight F32 64x32 60928 2d8eec806c038a1d",
                                                  "output_norm.bias F32 32 77824 b8b9e88cac06298c",
                                                  "output_norm.weight F32 32 77696 d184cd41ef10f685",
                                                  "position_embd.weight F32 40x32 38400 b061839b52ff3261",
                                                  "token_embd.weight F32 300x32 0 a54fccca9b9b116a"},
                                 expected_llama = {"blk.0.attn_k.weight Q8_0 16x32 11424 8e63d96148c53f33",
                                                   "blk.0.attn_norm.weight F32 32 10208 a29803435efa4b22",
                                                   "blk.0.attn_output.weight Q8_0 32x32 12512 1872675f69a3585b",
                                                   "blk.0.attn_q.weight Q8_0 32x32 10336 2706f022246e0213",
                                                   "blk.0.attn_v.weight Q8_0 16x32 11968 eddb515cdcfbc7e4",
                                                   "blk.0.ffn_down.weight Q8_0 32x64 18080 7670855cec6c8fbe",
                                                   "blk.0.ffn_gate.weight Q8_0 64x32 13728 759ccba6a6733457",
                                                   "blk.0.ffn_norm.weight F32 32 13600 5674cd8b2d7569eb",
                                                   "blk.0.ffn_up.weight Q8_0 64x32 15904 fc3697e06e9bba6b",
                                                   "output_norm.weight F32 32 20256 f4032cc403ad981d",
                                                   "token_embd.weight Q8_0 300x32 0 e7836837526a96bd"};
  EXPECT_EQ(lines(exported(dir, small_folder(dir, gpt2), "gpt2", WeightType::kF32)), expected_gpt2);
  EXPECT_EQ(lines(exported(dir, small_folder(dir, llama), "llama", WeightType::kQ8_0)), expected_llama);
}

TEST(ConvertGguf, RowsOfQueriesAndKeysAreNeighboursWhereLlamaWantsThem) {
  const TempDir dir;
  ModelConfig model = small_model(ModelFamily::kLlama, kVocabulary);
  const fs::path folder = small_folder(dir, model);
  std::vector<float> ours(32 * 32);
  ModelTensors::open(folder).read_f32("model.layers.0.self_attn.q_proj.weight", ours);
  const GgufFile llama = GgufFile::open(exported(dir, folder, "a"));
  const auto* const theirs = reinterpret_cast<const float*>(llama.raw("blk.0.attn_q.weight").data());
  // A head of 8 rows: both halves, row by row.
  for (const auto& [row, from] :
       std::vector<std::pair<int, int>>{{0, 0}, {1, 4}, {2, 1}, {3, 5}, {6, 3}, {7, 7}, {9, 12}})
    EXPECT_EQ(std::memcmp(theirs + row * 32, &ours[static_cast<std::size_t>(from) * 32], 32 * 4), 0) << row;
  model.head.bias = true;
  const GgufFile qwen2 = GgufFile::open(exported(dir, small_folder(dir, model), "b"));
  EXPECT_EQ(qwen2.text("general.architecture"), "qwen2");
  EXPECT_EQ(std::memcmp(qwen2.raw("blk.0.attn_q.weight").data(), ours.data(), 32 * 32 * 4), 0);
  EXPECT_EQ(qwen2.info("blk.0.attn_k.bias").shape, std::vector<std::int64_t>{16});
  EXPECT_EQ(qwen2.info("output.bias").shape, std::vector<std::int64_t>{kVocabulary});
}

TEST(ConvertGguf, AWidenedModelComputesTheSame) {
  for (const bool tied : {true, false}) {
    const TempDir dir;
    ModelConfig model = small_model(ModelFamily::kGpt2, kVocabulary);
    model.head.bias = true;
    model.tie_word_embeddings = tied;
    const fs::path folder = small_folder(dir, model), back = dir / "back";
    const fs::path file = exported(dir, folder, "a", WeightType::kF32);
    const ModelConfig wide = import_gguf({.source = file, .out = back});
    EXPECT_EQ(wide.hidden, 40);
    EXPECT_EQ(wide.heads, 5);
    EXPECT_EQ(wide.inner, 64);
    EXPECT_FALSE(wide.tie_word_embeddings);
    EXPECT_FALSE(wide.head.bias);
    if (!tied) continue;  // one of them is computed
    std::vector<std::uint32_t> ids;
    for (std::uint32_t i = 0; i < 12; ++i) ids.push_back(i * 7919 % 290);
    test::DecodedFolder original(folder), widened(back);
    const auto expected = original.log_probs(ids), actual = widened.log_probs(ids);
    double most = 0;
    for (std::size_t t = 0; t < ids.size(); ++t)
      for (std::size_t v = 0; v < kVocabulary; ++v)
        most = std::max(most, std::abs(double{expected[t][v]} - double{actual[t][v]}));
    EXPECT_LT(most, 1e-4);
    EXPECT_LT(expected[0][5], -0.1);  // they say something
  }
}

TEST(ConvertGguf, WhatNoFileCanHoldIsRefusedAndNothingIsLeft) {
  const auto refused = [](const ModelConfig& model, std::vector<std::string> parts) {
    const TempDir dir;
    const fs::path folder = small_folder(dir, model);
    expect_error(ErrorCode::kUnsupported, parts, [&] { exported(dir, folder, "a.gguf"); });
    EXPECT_FALSE(fs::exists(dir / "a.gguf"));
  };
  refused(small_model(ModelFamily::kGptNeo, kVocabulary), {"GPT-Neo", "--format hf"});
  ModelConfig model = small_model(ModelFamily::kGpt2, kVocabulary);
  model.tie_word_embeddings = false;
  model.head.kind = HeadKind::kGrouped;
  model.head.bias = true;  // always
  refused(model, {"grouped", "--format hf", "fabula train CONFIG --from"});
  model.head.kind = HeadKind::kAdaptive;
  model.head.bias = false;
  refused(model, {"adaptive", "--format hf"});
  model = small_model(ModelFamily::kLlama, kVocabulary);
  model.head.bias = true;
  model.head_size = 16;
  refused(model, {"qwen2", "heads of", "--format hf"});
}

TEST(ConvertGguf, NumbersBeyondTheTypeAreRefusedByTheirTensor) {
  const TempDir dir;
  const fs::path folder = small_folder(dir, small_model(ModelFamily::kLlama, kVocabulary));
  std::string bytes = read_file(folder / kWeightsFile);
  const std::uint64_t at =
      SafetensorsFile::open(folder / kWeightsFile).info("model.layers.0.mlp.up_proj.weight").offset;
  const auto put = [&](float number) {
    std::memcpy(bytes.data() + at + 400, &number, 4);
    write_file_atomically(folder / kWeightsFile, bytes);
  };
  put(1e6f);
  expect_error(ErrorCode::kNumeric, {"blk.0.ffn_up.weight", "1000000", "fp16"},
               [&] { exported(dir, folder, "a", WeightType::kF16); });
  exported(dir, folder, "b", WeightType::kBf16);
  put(1e7f);
  expect_error(ErrorCode::kNumeric, {"blk.0.ffn_up.weight", "fp16"},
               [&] { exported(dir, folder, "a", WeightType::kQ8_0); });
  put(std::numeric_limits<float>::quiet_NaN());
  expect_error(ErrorCode::kNumeric, {"blk.0.ffn_up.weight", "nan"}, [&] { exported(dir, folder, "a"); });
  EXPECT_FALSE(fs::exists(dir / "a"));
}

/// A good file, and others that differ in one thing.
class Rewritten {
 public:
  explicit Rewritten(ModelConfig model = small_model(ModelFamily::kLlama, kVocabulary))
      : file_(exported(dir_, small_folder(dir_, model), "good.gguf")) {}

  void refused(ErrorCode code, std::vector<std::string> parts, const test::GgufChange& change) const {
    test::rewrite_gguf(file_, dir_ / "bad.gguf", change);
    parts.push_back("bad.gguf");
    expect_error(code, parts, [&] { import_gguf({.source = dir_ / "bad.gguf", .out = dir_ / "out"}); });
    EXPECT_FALSE(fs::exists(dir_ / "out"));
  }
  void taken(const test::GgufChange& change) const {
    test::rewrite_gguf(file_, dir_ / "other.gguf", change);
    import_gguf({.source = dir_ / "other.gguf", .out = dir_ / "out"});
    fs::remove_all(dir_ / "out");
  }

 private:
  TempDir dir_;
  fs::path file_;
};

TEST(ConvertGguf, OtherArchitecturesAndQuantisationsAreRefusedByName) {
  const Rewritten file;
  const ErrorCode unsupported = ErrorCode::kUnsupported, format = ErrorCode::kFormat;
  file.refused(unsupported, {"qwen3", "gpt2, llama"},
               {.keys = [](GgufKeys& keys) { keys.text("general.architecture", "qwen3"); }});
  file.refused(unsupported, {"not named"}, {.without_keys = {"general.architecture"}});
  file.refused(unsupported, {"blk.0.ffn_up.weight", "Q4_0", "Q8_0"}, {.retyped = {{"blk.0.ffn_up.weight", 2}}});
  file.refused(unsupported, {"llama.attention.sliding_window"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.attention.sliding_window", 8); }});
  file.refused(unsupported, {"llama.expert_count"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.expert_count", 8); }});
  file.refused(unsupported, {"llama.rope.scaling.type"},
               {.keys = [](GgufKeys& keys) { keys.text("llama.rope.scaling.type", "yarn"); }});
  file.refused(unsupported, {"llama.rope.dimension_count"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.rope.dimension_count", 4); }});
  file.taken({.keys = [](GgufKeys& keys) {
    keys.u32("llama.expert_count", 0);
    keys.text("llama.rope.scaling.type", "none");
  }});
  file.refused(format, {"llama.block_count", "missing"}, {.without_keys = {"llama.block_count"}});
  file.refused(format, {"llama.block_count"}, {.keys = [](GgufKeys& keys) { keys.u32("llama.block_count", 4000000); }});
  file.refused(format, {"blk.2.attn_norm.weight", "missing"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.block_count", 3); }});
  file.refused(unsupported, {"blk.1.", "no part of"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.block_count", 1); }});
  file.refused(format, {"llama.embedding_length"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.embedding_length", 0xFFFFFFFF); }});
  file.refused(format, {"token_embd.weight", "[300, 32]", "[300, 48]"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.embedding_length", 48); }});
  // What config.json may not say.
  for (const double base : {0.0, -1.0, 1e30})
    file.refused(ErrorCode::kInvalidArgument, {"rope_theta"},
                 {.keys = [=](GgufKeys& keys) { keys.f32("llama.rope.freq_base", float(base)); }});
  file.refused(format, {"llama.rope.freq_base"},
               {.keys = [](GgufKeys& keys) { keys.f32("llama.rope.freq_base", std::nan("")); }});
  file.refused(ErrorCode::kInvalidArgument, {"eps"},
               {.keys = [](GgufKeys& keys) { keys.f32("llama.attention.layer_norm_rms_epsilon", 0); }});
  file.refused(ErrorCode::kInvalidArgument, {"position"},
               {.keys = [](GgufKeys& keys) { keys.u32("llama.context_length", 1 << 21); }});
  file.refused(ErrorCode::kNotFound, {"token_embd.weight"}, {.without_tensors = {"token_embd.weight"}});
  file.refused(unsupported, {"rope_freqs.weight"}, {.more = {{"rope_freqs.weight", {4}, 1.0f}}});
  file.refused(unsupported, {"blk.0.attn_q.bias"}, {.more = {{"blk.0.attn_q.bias", {32}, 1.0f}}});
  file.taken({.more = {{"blk.0.attn_q.bias", {32}, 0.0f}}});
}

TEST(ConvertGguf, OtherTokenizersAreRefusedByName) {
  const Rewritten file;
  const ErrorCode unsupported = ErrorCode::kUnsupported, format = ErrorCode::kFormat;
  const auto with = [](std::function<void(GgufKeys&)> change) { return test::GgufChange{.keys = std::move(change)}; };
  file.refused(unsupported, {"t5", "gpt2", "llama"},
               with([](GgufKeys& keys) { keys.text("tokenizer.ggml.model", "t5"); }));
  file.refused(format, {"tokenizer.ggml.model"}, {.without_keys = {"tokenizer.ggml.model"}});
  file.refused(unsupported, {"viking", "gpt-2", "qwen2"},
               with([](GgufKeys& keys) { keys.text("tokenizer.ggml.pre", "viking"); }));
  file.refused(format, {"tokenizer.ggml.tokens"}, {.without_keys = {"tokenizer.ggml.tokens"}});
  file.refused(format, {"tokenizer.ggml.merges"}, {.without_keys = {"tokenizer.ggml.merges"}});
  file.refused(format, {"300 tokens have 1 types"},
               with([](GgufKeys& keys) { keys.i32s("tokenizer.ggml.token_type", std::vector<std::int32_t>{1}); }));
  file.refused(format, {"merge 0"},
               with([](GgufKeys& keys) { keys.texts("tokenizer.ggml.merges", std::vector<std::string>{"zz qq"}); }));
  file.refused(format, {"token 299 has 4000 bytes"}, with([](GgufKeys& keys) {
                 std::vector<std::string> texts(300, "a");
                 texts[299] = std::string(4000, 'b');
                 keys.texts("tokenizer.ggml.tokens", texts);
               }));
  file.refused(format, {"scores"}, with([](GgufKeys& keys) { keys.text("tokenizer.ggml.model", "llama"); }));
  file.taken({.without_keys = {"tokenizer.ggml.pre"}});  // llama.cpp's own pattern
}

TEST(ConvertGguf, DamagedFilesAreReadOrRefused) {
  const TempDir dir;
  for (const ModelFamily family : {ModelFamily::kGpt2, ModelFamily::kLlama}) {
    const fs::path path = exported(dir, small_folder(dir, small_model(family, kVocabulary)), "good.gguf");
    const std::string good = read_file(path);
    const std::size_t header = GgufFile::open(path).info("token_embd.weight").offset;
    std::mt19937 random(3);
    int taken = 0;
    for (int i = 0; i < 200; ++i) {
      std::ofstream(dir / "bad.gguf", std::ios::binary)
          << test::mutate(good.substr(0, header), random) << good.substr(header);
      taken += test::succeeds_or_throws_error([&] { import_gguf({.source = dir / "bad.gguf", .out = dir / "out"}); });
      fs::remove_all(dir / "out");
    }
    EXPECT_LT(taken, 190);
    fs::remove_all(dir / "source");
  }
}

TEST(ConvertGguf, OnlyGgufFilesAreOverwritten) {
  const TempDir dir;
  const fs::path model = small_folder(dir, small_model(ModelFamily::kGpt2, kVocabulary));
  const auto to = [&](const fs::path& out) {
    export_model({.run = model, .format = Format::kGguf, .out = out, .overwrite = true});
  };
  const std::string weights = read_file(model / "model.safetensors");
  expect_error(ErrorCode::kInvalidArgument, {"model.safetensors is no GGUF file"},
               [&] { to(model / "model.safetensors"); });
  EXPECT_EQ(read_file(model / "model.safetensors"), weights);
  expect_error(ErrorCode::kInvalidArgument, {"is what is read"}, [&] { to(model); });
  expect_error(ErrorCode::kInvalidArgument, {"is a folder"}, [&] { to(dir / "source"); });
  write_file_atomically(dir / "empty", "");
  to(dir / "empty");
  to(dir / "empty");
  EXPECT_EQ(import_model({.source = dir / "empty", .out = dir / "in"}).from, Format::kGguf);
  expect_error(ErrorCode::kInvalidArgument, {"is what is read"},
               [&] { import_model({.source = dir / "empty", .out = dir.path(), .overwrite = true}); });
}

TEST(ConvertGguf, OtherQuantisationsAreRefusedBeforeAnythingIsWritten) {
  const TempDir dir;
  const fs::path file = exported(dir, small_folder(dir, small_model(ModelFamily::kGpt2, kVocabulary)), "a.gguf");
  test::rewrite_gguf(file, dir / "q4.gguf", {.retyped = {{"blk.0.ffn_up.weight", 2}}});
  // Of a folder that cannot be written the tensor's type is refused first.
  fs::create_directory(dir / "out");
  write_file_atomically(dir / "out" / "notes.txt", "mine");
  expect_error(ErrorCode::kUnsupported, {"blk.0.ffn_up.weight", "Q4_0"},
               [&] { import_gguf({.source = dir / "q4.gguf", .out = dir / "out"}); });
  expect_error(ErrorCode::kUnsupported, {"type 2"}, [] { dtype_of(static_cast<GgufType>(2)); });
}

TEST(ConvertGguf, AFolderInUseIsLeftAlone) {
  const TempDir dir;
  const fs::path file = exported(dir, small_folder(dir, small_model(ModelFamily::kGpt2, kVocabulary)), "a.gguf");
  fs::create_directory(dir / "out");
  write_file_atomically(dir / "out" / "notes.txt", "mine");
  expect_error(ErrorCode::kInvalidArgument, {"holds files already"},
               [&] { import_gguf({.source = file, .out = dir / "out"}); });
  expect_error(ErrorCode::kInvalidArgument, {"--tokenizer"},
               [&] { import_model({.source = file, .tokenizer = "t.json", .out = dir / "other"}); });
  expect_error(ErrorCode::kInvalidArgument, {"a.gguf", "--overwrite"},
               [&] { export_model({.run = dir / "source" / "model", .format = Format::kGguf, .out = file}); });
  EXPECT_EQ(import_model({.source = file, .out = dir / "other"}).from, Format::kGguf);
}

}  // namespace
}  // namespace fabula::convert
