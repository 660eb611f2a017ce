// Folders for transformers: what is in them, and that nothing is lost on the way out and in again.
#include <gtest/gtest.h>

#include <limits>

#include "base/atomic_file.hpp"
#include "convert/convert.hpp"
#include "convert/written_model.hpp"
#include "expect_error.hpp"
#include "formats/run_state.hpp"
#include "infer/model_folder.hpp"
#include "temp_dir.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::files_in;
using test::read_json;

constexpr const char* kGpt2 = R"({"model_type": "gpt2", "vocab_size": 257, "n_positions": 16, "n_embd": 8, "n_layer": 1,
  "n_head": 2, "bos_token_id": 256, "eos_token_id": 256, "head": {"kind": "full"}})";
constexpr const char* kNeo = R"({"model_type": "gpt_neo", "vocab_size": 257, "max_position_embeddings": 16,
  "hidden_size": 8, "num_layers": 2, "num_heads": 2, "window_size": 4, "head": {"kind": "fused"}})";
constexpr const char* kLlama = R"({"model_type": "llama", "vocab_size": 257, "max_position_embeddings": 16,
  "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
  "num_key_value_heads": 1, "head": {"kind": "full"}})";
constexpr const char* kGrouped = R"({"model_type": "gpt2", "vocab_size": 257, "n_positions": 16, "n_embd": 8,
  "n_layer": 1, "n_head": 2, "bos_token_id": 256, "eos_token_id": 256, "tie_word_embeddings": true, "head": {"kind": "grouped", "modulation": "per_group",
  "map": "clustered", "shortlist": 5, "groups": 3, "group_size": 90, "class_input": true}})";

/// Groups of 90, 90 and 72 of the tokens backwards, the first five in the shortlist.
TokenMap backwards() {
  TokenMap map;
  std::uint32_t token = 257;
  while (map.shortlist.size() < 5) map.shortlist.push_back(--token);
  for (const std::size_t size : {90u, 90u, 72u}) {
    std::vector<std::uint32_t>& group = map.groups.emplace_back();
    while (group.size() < size) group.push_back(--token);
  }
  return map;
}

std::vector<std::int32_t> integers(const ModelTensors& tensors, const std::string& name) {
  const auto bytes = tensors.raw(name);
  EXPECT_EQ(tensors.info(name).dtype, TensorDtype::kI32) << name;
  std::vector<std::int32_t> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(HuggingFaceFolder, HasWhatTransformersReads) {
  const test::TempDir dir;
  for (const char* config : {kGpt2, kNeo, kLlama}) {
    const fs::path folder = dir / json::parse(config)["model_type"].get<std::string>();
    test::write_model(folder, config, test::byte_tokenizer());
    const json keys = read_json(folder / "config.json");
    EXPECT_EQ(keys["dtype"], "float32");
    EXPECT_FALSE(keys.contains("torch_dtype"));
    EXPECT_FALSE(keys.contains("auto_map"));
    EXPECT_TRUE(keys["tie_word_embeddings"].is_boolean());
    for (const auto& [name, value] : keys.items()) {
      const bool real = name.ends_with("drop") || name.ends_with("dropout") || name.ends_with("epsilon") ||
                        name.ends_with("range") || name.ends_with("eps") || name == "rope_theta";
      const bool whole = name.starts_with("n_") || name.starts_with("num_") || name.ends_with("_size");
      EXPECT_TRUE(!real || value.is_number_float()) << name << " " << value;
      EXPECT_TRUE(!whole || value.is_number_integer() || value.is_null()) << name << " " << value;
      EXPECT_FALSE(name == "temperature" || name == "max_length" || name == "do_sample") << name;
    }
    const SafetensorsFile weights = SafetensorsFile::open(folder / "model.safetensors");
    EXPECT_EQ(weights.metadata().at("format"), "pt");
    EXPECT_EQ(weights.contains("lm_head.weight"), !keys["tie_word_embeddings"].get<bool>());
    EXPECT_EQ(files_in(folder), (std::vector<std::string>{"config.json", "generation_config.json", "model.safetensors",
                                                          "tokenizer.json", "tokenizer_config.json"}));
  }
  const json gpt2 = read_json(dir / "gpt2" / "config.json"), llama = read_json(dir / "llama" / "config.json");
  EXPECT_EQ(gpt2["n_ctx"], 16);
  EXPECT_EQ(gpt2["architectures"], json({"GPT2LMHeadModel"}));
  EXPECT_EQ(llama["rope_parameters"], json({{"rope_type", "default"}, {"rope_theta", 10000.0}}));
  EXPECT_EQ(llama["attention_bias"], false);
  EXPECT_EQ(read_json(dir / "gpt2" / "generation_config.json"),
            json({{"bos_token_id", 256}, {"eos_token_id", 256}, {"pad_token_id", 256}}));
  const json tokenizer = read_json(dir / "gpt2" / "tokenizer_config.json");
  EXPECT_EQ(tokenizer["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(tokenizer["model_max_length"], 16);
  EXPECT_EQ(tokenizer["eos_token"], "<|endoftext|>");
  EXPECT_EQ(tokenizer["add_prefix_space"], false);
  EXPECT_EQ(tokenizer["model_input_names"], json({"input_ids", "attention_mask"}));
}

TEST(HuggingFaceFolder, OfAnOwnHeadBringsItsClassesAndItsMap) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGrouped, test::byte_tokenizer(), backwards());
  const json keys = read_json(dir / "run" / "config.json");
  EXPECT_EQ(keys["model_type"], "fabula_gpt2");
  EXPECT_EQ(keys["architectures"], json({"FabulaGPT2ForCausalLM"}));
  EXPECT_EQ(keys["auto_map"]["AutoConfig"], "configuration_fabula.FabulaGPT2Config");
  EXPECT_EQ(keys["auto_map"]["AutoModelForCausalLM"], "modeling_fabula.FabulaGPT2ForCausalLM");
  for (const char* name : {"configuration_fabula.py", "modeling_fabula.py"})
    EXPECT_EQ(read_file(dir / "run" / name), read_file(fs::path(FABULA_SOURCE_DIR) / "src/infer/python" / name));
  const ModelTensors tensors = ModelTensors::open(dir / "run");
  EXPECT_EQ(integers(tensors, "lm_head.shortlist"), (std::vector<std::int32_t>{256, 255, 254, 253, 252}));
  EXPECT_EQ(integers(tensors, "lm_head.starts"), (std::vector<std::int32_t>{0, 90, 180, 252}));
  const std::vector<std::int32_t> tokens = integers(tensors, "lm_head.tokens");
  ASSERT_EQ(tokens.size(), 252u);
  EXPECT_EQ(tokens.front(), 251);
  EXPECT_EQ(tokens.back(), 0);
  EXPECT_TRUE(infer::ModelFolder(dir / "run").model().head().token_map() != nullptr);
}

TEST(HuggingFaceFolder, IsTheSameBitsOutAndIn) {
  const test::TempDir dir;
  for (const TensorDtype dtype : {TensorDtype::kF32, TensorDtype::kF16, TensorDtype::kBf16}) {
    const std::string name(dtype_name(dtype));
    const fs::path run = dir / name, out = dir / (name + "_out"), in = dir / (name + "_in");
    test::write_model(run, kGrouped, test::byte_tokenizer(), backwards(), dtype);
    EXPECT_EQ(read_json(run / "config.json")["dtype"], dtype == TensorDtype::kF32   ? "float32"
                                                       : dtype == TensorDtype::kF16 ? "float16"
                                                                                    : "bfloat16");
    EXPECT_EQ(export_model({.run = run, .out = out}), std::vector{out});
    EXPECT_NE(read_file(out / "README.md").find("library_name: transformers"), std::string::npos);
    // What save_pretrained leaves behind: no file of the map, which the weights have too.
    fs::remove(out / "token_groups.json");
    const Imported imported = import_model({.source = out, .out = in});
    EXPECT_EQ(imported.from, Format::kHuggingFace);
    test::expect_same_tensors(run, in);
    for (const char* file : {"config.json", "tokenizer.json", "token_groups.json", "generation_config.json"})
      EXPECT_EQ(read_file(in / file), read_file(run / file)) << file;
  }
}

TEST(HuggingFaceFolder, ChangesTypeOnDemand) {
  const test::TempDir dir;
  test::write_model(dir / "run", kLlama, test::byte_tokenizer());
  export_model({.run = dir / "run", .out = dir / "half", .type = WeightType::kBf16});
  const ModelTensors wide = ModelTensors::open(dir / "run"), half = ModelTensors::open(dir / "half");
  for (const std::string& name : wide.names()) {
    EXPECT_EQ(half.info(name).dtype, TensorDtype::kBf16) << name;
    std::vector<float> before(static_cast<size_t>(wide.info(name).elements)), after(before.size());
    wide.read_f32(name, before), half.read_f32(name, after);
    for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(after[i], before[i], std::abs(before[i]) / 256) << name;
  }
  test::expect_error(ErrorCode::kUnsupported, {"q8_0", "--format gguf"},
                     [&] { export_model({.run = dir / "run", .out = dir / "bytes", .type = WeightType::kQ8_0}); });
  EXPECT_FALSE(fs::exists(dir / "bytes"));
}

TEST(HuggingFaceFolder, NumbersBeyondATypeNameWhatHoldsThem) {
  const test::TempDir dir;
  const auto refused = [&](float value, TensorDtype dtype, const std::string& what) {
    TensorSource source = tensor_from_memory("a", {1}, std::span(&value, 1));
    source.dtype = dtype;
    test::expect_error(ErrorCode::kNumeric, {what}, [&] { write_safetensors(dir / "a", {source}); });
  };
  refused(1e6f, TensorDtype::kF16, "range; F32 and BF16 hold it");
  refused(std::numeric_limits<float>::max(), TensorDtype::kF16, "range; F32 holds it");
  refused(std::numeric_limits<float>::max(), TensorDtype::kBf16, "range; F32 holds it");
}

TEST(HuggingFaceFolder, OfAnotherMapThanItsFileIsRefused) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGrouped, test::byte_tokenizer(), backwards());
  TokenMap other = backwards();
  std::swap(other.groups[0][0], other.groups[1][0]);
  write_token_map(dir / "run" / kTokenMapFile, other, 257);
  test::expect_error(ErrorCode::kFormat, {"another group map than the token_groups.json", "model.safetensors"},
                     [&] { export_model({.run = dir / "run", .out = dir / "out"}); });
  EXPECT_FALSE(fs::exists(dir / "out"));
  fs::remove(dir / "run" / kTokenMapFile);  // then what is in the weights counts
  export_model({.run = dir / "run", .out = dir / "out"});
  EXPECT_EQ(read_token_map(dir / "out" / kTokenMapFile, 257), backwards());
}

/// Puts these integers in the place of the map's tensors.
void write_map_tensors(const fs::path& folder, const std::vector<std::int32_t>& tokens,
                       const std::vector<std::int32_t>& starts) {
  const RunConfig config = load_config(folder);
  const models::LanguageModel model(config.model, {.map = backwards(), .counts = {}});
  std::vector<TensorSource> sources;
  for (const graph::ParameterSpec& spec : model.parameters())
    sources.push_back(test::random_tensor(spec, TensorDtype::kF32));
  sources.push_back(integer_tensor("lm_head.tokens", {std::ssize(tokens)}, tokens));
  sources.push_back(integer_tensor("lm_head.starts", {std::ssize(starts)}, starts));
  write_safetensors(folder / "model.safetensors", sources, {{"format", "pt"}});
}

TEST(HuggingFaceFolder, AMapThatIsNoneIsRefused) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGrouped, test::byte_tokenizer(), backwards());
  fs::remove(dir / "run" / kTokenMapFile);
  const auto refused = [&](const std::vector<std::int32_t>& tokens, const std::vector<std::int32_t>& starts,
                           const std::string& part) {
    write_map_tensors(dir / "run", tokens, starts);
    test::expect_error(ErrorCode::kFormat, {"model.safetensors", part}, [&] { infer::ModelFolder(dir / "run"); });
  };
  refused({1, 2, 3}, {0, 2, 4}, "has the number 4, expected 0 to 3");
  refused({1, 2, 3}, {0, 2, 1, 3}, "must rise from 0 to 3");
  refused({1, 2, 3}, {1, 3}, "must rise from 0");
  refused({1, 2, 3}, {}, "must rise from 0");
  refused({1, 2, 257}, {0, 3}, "has the number 257, expected 0 to 256");
  refused({1, -2, 3}, {0, 3}, "has the number -2");
  refused({1, 1, 3}, {0, 3}, "token 1");
  refused({1, 2, 3}, {0, 3}, "are in no group");
}

TEST(Overwriting, HappensOnlyWhenAskedFor) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGpt2, test::byte_tokenizer());
  test::write_model(dir / "grouped", kGrouped, test::byte_tokenizer(), backwards());
  export_model({.run = dir / "grouped", .out = dir / "out"});
  write_file_atomically(dir / "out" / "notes.txt", "mine");
  test::expect_error(ErrorCode::kInvalidArgument, {"holds files already", "--overwrite"},
                     [&] { export_model({.run = dir / "run", .out = dir / "out"}); });
  EXPECT_TRUE(fs::exists(dir / "out" / "modeling_fabula.py"));
  export_model({.run = dir / "run", .out = dir / "out", .overwrite = true});
  test::expect_same_tensors(dir / "run", dir / "out");
  EXPECT_EQ(files_in(dir / "out"),
            (std::vector<std::string>{"README.md", "config.json", "generation_config.json", "model.safetensors",
                                      "notes.txt", "tokenizer.json", "tokenizer_config.json"}));
  fs::create_directory(dir / "other");
  write_file_atomically(dir / "other" / "notes.txt", "mine");
  test::expect_error(ErrorCode::kInvalidArgument, {"no model", "--overwrite leaves alone"},
                     [&] { export_model({.run = dir / "run", .out = dir / "other", .overwrite = true}); });
  write_file_atomically(dir / "out" / "state.json", "{}");
  test::expect_error(ErrorCode::kInvalidArgument, {"a run that can be trained on"},
                     [&] { export_model({.run = dir / "run", .out = dir / "out", .overwrite = true}); });
}

TEST(Overwriting, NeverReplacesWhatIsRead) {
  const test::TempDir dir;
  test::write_model(dir / "run", kLlama, test::byte_tokenizer());
  fs::create_directory_symlink(dir / "run", dir / "link");
  const std::vector<std::string> files = files_in(dir / "run");
  for (const char* const out : {"run", "link", "run/"}) {
    const auto refused = [&](const std::function<void()>& call) {
      test::expect_error(ErrorCode::kInvalidArgument, {"is what is read; name another --out"}, call);
    };
    refused([&] { import_model({.source = dir / "run", .out = dir / out, .overwrite = true}); });
    for (const Format format : {Format::kHuggingFace, Format::kGguf})
      refused([&] { export_model({.run = dir / "run", .format = format, .out = dir / out, .overwrite = true}); });
  }
  EXPECT_EQ(files_in(dir / "run"), files);
}

TEST(Overwriting, SeesWhatAnUpdateCutShortHasLeft) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGpt2, test::byte_tokenizer());
  // Before its moment of change: nothing.
  fs::create_directories(dir / "killed" / "checkpoint.writing");
  write_file_atomically(dir / "killed" / "checkpoint.writing" / "model.safetensors", "half");
  export_model({.run = dir / "run", .out = dir / "killed"});
  test::expect_same_tensors(dir / "run", dir / "killed");
  // After it: a run, though no state.json is in its place yet.
  fs::create_directories(dir / "trained" / "checkpoint.ready");
  write_file_atomically(dir / "trained" / "config.json", "{}");
  write_file_atomically(dir / "trained" / "checkpoint.ready" / "state.json", "{}");
  test::expect_error(ErrorCode::kInvalidArgument, {"a run that can be trained on"},
                     [&] { export_model({.run = dir / "run", .out = dir / "trained", .overwrite = true}); });
  fs::create_directories(dir / "model" / "checkpoint.ready");
  write_file_atomically(dir / "model" / "checkpoint.ready" / "config.json", "{}");
  export_model({.run = dir / "run", .out = dir / "model", .overwrite = true});
  test::expect_same_tensors(dir / "run", dir / "model");
}

TEST(Overwriting, LeavesNothingOfTheFormerModel) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGpt2, test::byte_tokenizer());
  export_model({.run = dir / "run", .out = dir / "out/"});
  EXPECT_NE(read_file(dir / "out" / "README.md").find("\n# out\n"), std::string::npos);
  for (const char* const name : {"chat_template.jinja", "adapter_config.json", "tokenizer.model",
                                 "model-1-of-2.safetensors", "other.safetensors", "notes.txt"})
    write_file_atomically(dir / "out" / name, "{}");
  write_file_atomically(
      dir / "out" / "model.safetensors.index.json",
      json({{"weight_map", {{"a", "model-1-of-2.safetensors"}, {"b", "notes.txt"}, {"c", 1}}}}).dump());
  import_model({.source = dir / "run", .out = dir / "out", .overwrite = true});
  EXPECT_EQ(files_in(dir / "out"),
            (std::vector<std::string>{"config.json", "generation_config.json", "model.safetensors", "notes.txt",
                                      "other.safetensors", "tokenizer.json", "tokenizer_config.json"}));
  write_file_atomically(dir / "out" / "README.md", "# mine\n");
  import_model({.source = dir / "run", .out = dir / "out", .overwrite = true});
  EXPECT_EQ(read_file(dir / "out" / "README.md"), "# mine\n");
  fs::create_directories(dir / "out" / "tokenizer.model" / "full");
  test::expect_error(ErrorCode::kIo, {"tokenizer.model", "cannot remove"},
                     [&] { import_model({.source = dir / "run", .out = dir / "out", .overwrite = true}); });
}

TEST(ModelCard, SaysWhatARunStartedFrom) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGrouped, test::byte_tokenizer(), backwards());
  RunState state;
  state.texts[kStartKey] = "runs/my first (step 40)";
  write_run_state(dir / "run" / "state.json", state);
  export_model({.run = dir / "run", .out = dir / "out"});
  const std::string card = read_file(dir / "out" / "README.md");
  for (const char* const part :
       {"- started from: runs/my first (step 40)\n", "config.json --from 'runs/my first' --data",
        "AutoTokenizer.from_pretrained(\".\", trust_remote_code=True)"})
    EXPECT_NE(card.find(part), std::string::npos) << part << "\n" << card;
}

TEST(ImportedFolder, MayHoldWhatOthersLeave) {
  const test::TempDir dir;
  test::write_model(dir / "run", kGpt2, test::byte_tokenizer());
  // Masks of old versions, the tied matrix once more, no prefix, and vocab.json's place taken by tokenizer.json.
  const ModelTensors tensors = ModelTensors::open(dir / "run");
  std::vector<TensorSource> sources;
  const auto copy = [&](const std::string& from, const std::string& to) {
    sources.push_back({to, tensors.info(from).shape, [&tensors, from](std::int64_t first, std::span<float> out) {
                         tensors.read_f32(from, out, first);
                       }});
  };
  for (const std::string& name : tensors.names()) copy(name, name.substr(std::string("transformer.").size()));
  copy("transformer.wte.weight", "lm_head.weight");
  copy("transformer.wpe.weight", "h.0.attn.bias");
  copy("transformer.ln_f.bias", "h.0.attn.masked_bias");
  fs::create_directory(dir / "theirs");
  for (const std::string& name : files_in(dir / "run")) fs::copy(dir / "run" / name, dir / "theirs" / name);
  write_safetensors(dir / "theirs" / "model.safetensors", sources);
  import_model({.source = dir / "theirs", .out = dir / "in"});
  test::expect_same_tensors(dir / "run", dir / "in");
}

TEST(ImportedFolder, MayBeInShardsAndHaveMoreRowsThanTokens) {
  const test::TempDir dir;
  json padded = json::parse(kGpt2);
  padded["vocab_size"] = 320;
  test::write_model(dir / "run", padded.dump(), test::byte_tokenizer(), {}, TensorDtype::kBf16);
  fs::copy(dir / "run", dir / "shards");
  const ModelTensors tensors = ModelTensors::open(dir / "run");
  json index;
  std::vector<TensorSource> shards[2];
  for (const std::string& name : tensors.names()) {
    const size_t shard = index["weight_map"].size() % 2;
    shards[shard].push_back(
        {name, tensors.info(name).shape,
         [&tensors, name](std::int64_t first, std::span<float> out) { tensors.read_f32(name, out, first); },
         TensorDtype::kBf16});
    index["weight_map"][name] = "model-" + std::to_string(shard) + ".safetensors";
  }
  for (size_t shard = 0; shard < 2; ++shard)
    write_safetensors(dir / "shards" / ("model-" + std::to_string(shard) + ".safetensors"), shards[shard]);
  write_file_atomically(dir / "shards" / "model.safetensors.index.json", index.dump());
  fs::remove(dir / "shards" / "model.safetensors");
  import_model({.source = dir / "shards", .out = dir / "in"});
  test::expect_same_tensors(dir / "run", dir / "in");
  EXPECT_EQ(read_json(dir / "in" / "config.json")["vocab_size"], 320);
}

TEST(ImportedFolder, OfAnotherFamilyIsRefusedByName) {
  const test::TempDir dir;
  test::write_model(dir / "run", kLlama, test::byte_tokenizer());
  const json good = read_json(dir / "run" / "config.json");
  const auto refused = [&](const char* key, const json& value, const std::vector<std::string>& parts) {
    json config = good;
    config[key] = value;
    write_file_atomically(dir / "run" / "config.json", config.dump());
    test::expect_error(ErrorCode::kUnsupported, parts,
                       [&] { import_model({.source = dir / "run", .out = dir / "in"}); });
    EXPECT_FALSE(fs::exists(dir / "in"));
  };
  refused("model_type", "mistral", {"mistral", "gpt2", "gpt_neo", "llama"});
  refused("attention_bias", true, {"attention_bias", "not implemented"});
  refused("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}, {"rope_scaling"});
  refused("quantization_config", {{"bits", 4}}, {"quantization_config"});
  json config = good;
  config["rope_scaling"] = nullptr;
  config.erase("rope_parameters");
  write_file_atomically(dir / "run" / "config.json", config.dump());
  import_model({.source = dir / "run", .out = dir / "in"});
  test::expect_error(ErrorCode::kNotFound, {"none is not there"},
                     [&] { import_model({.source = dir / "none", .out = dir / "in2"}); });
  write_file_atomically(dir / "model.pt", "PK\x03\x04 of torch");
  test::expect_error(ErrorCode::kFormat, {"model.pt is ", "Hugging Face folders (GPT-2, GPT-Neo, Llama)"},
                     [&] { import_model({.source = dir / "model.pt", .out = dir / "in2"}); });
}

}  // namespace
}  // namespace fabula::convert
