// The weights of a folder: in one file, in several, or in another format.
#include "formats/model_tensors.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

TensorSource constant(const std::string& name, float value) {
  return {name, {3}, [value](std::int64_t, std::span<float> out) { std::fill(out.begin(), out.end(), value); }};
}

constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

// Tensors "a" and "b" in one shard, "c" in another.
struct Sharded {
  Sharded() {
    write_safetensors(dir / kFirst, {constant("a", 1), constant("b", 2)});
    write_safetensors(dir / kSecond, {constant("c", 3)});
    index(R"({"metadata": {"total_size": 36}, "weight_map": {"a": "model-00001-of-00002.safetensors",
      "b": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}})");
  }
  void index(std::string_view text) { write(dir / "model.safetensors.index.json", text); }
  void refused(ErrorCode code, const std::vector<std::string>& parts) {
    expect_error(code, parts, [&] { ModelTensors::open(dir.path()); });
  }
  TempDir dir;
};

TEST(ModelTensors, OneFileOrSeveralAreTheSame) {
  const Sharded sharded;
  TempDir whole;
  write_safetensors(whole / "model.safetensors", {constant("a", 1), constant("b", 2), constant("c", 3)});
  for (const auto& folder : {sharded.dir.path(), whole.path()}) {
    const ModelTensors tensors = ModelTensors::open(folder);
    EXPECT_EQ(tensors.names(), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_TRUE(tensors.contains("c"));
    EXPECT_FALSE(tensors.contains("d"));
    float value = 0;
    for (const auto& name : tensors.names()) {
      float read = 0;
      tensors.read_f32(name, std::span(&read, 1), 2);
      EXPECT_EQ(read, ++value) << name;
      EXPECT_EQ(tensors.info(name).elements, 3);
      EXPECT_EQ(tensors.raw(name).size(), 12u);
    }
    expect_error(ErrorCode::kNotFound, {folder.string(), "has no tensor \"d\""}, [&] { tensors.info("d"); });
  }
  EXPECT_EQ(ModelTensors::open(sharded.dir.path()).path().filename(), "model.safetensors.index.json");
  // The whole file comes first, as in transformers.
  write_safetensors(sharded.dir / "model.safetensors", {constant("whole", 1)});
  EXPECT_EQ(ModelTensors::open(sharded.dir.path()).names(), std::vector<std::string>{"whole"});
}

TEST(ModelTensors, AnIndexThatDisagreesIsRefused) {
  Sharded s;
  std::filesystem::rename(s.dir / kSecond, s.dir / "away");
  s.refused(ErrorCode::kNotFound, {kSecond, "is missing", "model.safetensors.index.json names it among 2 files"});
  write_safetensors(s.dir / kSecond, {constant("b", 3), constant("c", 3)});
  s.refused(ErrorCode::kFormat, {kSecond, "tensor \"b\" lies in model-00001-of-00002.safetensors too"});
  write_safetensors(s.dir / kSecond, {constant("c", 3), constant("d", 3)});
  s.refused(ErrorCode::kFormat, {kSecond, "holds tensor \"d\", which model.safetensors.index.json does not name"});
  write_safetensors(s.dir / kSecond, {constant("d", 3)});
  s.refused(ErrorCode::kFormat, {"index.json: tensor \"c\" is said to lie in", kSecond, "no such tensor"});
  write_safetensors(s.dir / kSecond, {constant("c", 3)});
  s.index(R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
    "c": "model-00002-of-00002.safetensors"}})");
  s.refused(ErrorCode::kFormat, {"\"b\" is said to lie in", kSecond, "it lies in", kFirst});
}

TEST(ModelTensors, AnIndexNamesFilesBesideItAndNothingElse) {
  Sharded s;
  for (const char* name :
       {"/etc/passwd", "../a.safetensors", "..", ".", "", "sub/a.safetensors", "a\\\\b", "a\\u0000b"}) {
    s.index(fmt::format(R"({{"weight_map": {{"a": "{}"}}}})", name));
    s.refused(ErrorCode::kFormat, {"model.safetensors.index.json: tensor \"a\"", "must lie beside the index"});
  }
  for (const char* text :
       {"", "[]", "{}", R"({"weight_map": 3})", R"({"weight_map": {}})", R"({"weight_map": {"a": 3}})",
        R"({"weight_map": {"a": "x", "a": "y"}})", R"({"weight_map": {"a": {"b": {"c": {"d": 1}}}}})"}) {
    s.index(text);
    s.refused(ErrorCode::kFormat, {"model.safetensors.index.json"});
  }
  std::string many = R"({"weight_map": {)";
  for (int i = 0; i < 1001; ++i) many += fmt::format("{}\"t{}\": \"f{}\"", i == 0 ? "" : ", ", i, i);
  s.index(many + "}}");
  s.refused(ErrorCode::kFormat, {"names 1001 files, at most 1000"});
  s.index("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 946\n");
  s.refused(ErrorCode::kFormat, {"model.safetensors.index.json", "Git LFS pointer", "git lfs pull"});
}

TEST(ModelTensors, WeightsInAnotherFormatAreNamedWithTheWayOut) {
  const std::string pickle = "PK\x03\x04 a zip archive";
  struct Case {
    std::vector<std::string> files;
    std::vector<std::string> parts;
  };
  for (const Case& c : std::vector<Case>{
           {{"pytorch_model.bin", "training_args.bin", "flax_model.msgpack"},
            {"has no model.safetensors; its weights lie in pytorch_model.bin", "PyTorch", "fabula reads safetensors",
             "AutoModelForCausalLM.from_pretrained(\"", "save_pretrained", "safe_serialization=True"}},
           {{"pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"}, {"save_pretrained"}},
           {{"ckpt.pt"}, {"ckpt.pt", "torch.load(\"", "ckpt.pt\"", "save_file", "model.safetensors\""}},
           {{"last.ckpt", "optimizer.pt"}, {"lie in last.ckpt", "save_file"}},
           {{"tf_model.h5"}, {"TensorFlow", "from_tf=True"}},
           {{"flax_model.msgpack"}, {"Flax", "from_flax=True"}},
           {{"model.Q4.gguf"}, {"model.Q4.gguf", "llama.cpp", "fabula import"}},
           {{"model-00001-of-00002.safetensors"}, {"model.safetensors.index.json is missing"}},
           {{"adapter_model.safetensors"}, {"adapter of another model", "merge_and_unload"}},
           {{"best.safetensors"}, {"best.safetensors; if that is the model, name it model.safetensors"}},
           {{"training_args.bin", "readme.txt"}, {"has no model.safetensors (the weights)"}}}) {
    TempDir dir;
    for (const std::string& file : c.files) write(dir / file, pickle);
    expect_error(ErrorCode::kNotFound, c.parts, [&] { ModelTensors::open(dir.path()); });
    EXPECT_EQ(any_weights_in(dir.path()).empty(), c.files.front() == "training_args.bin");
  }
}

TEST(ModelTensors, WhatIsNoSafetensorsFileIsNamed) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 946\n";
  for (const char* file : {"model.safetensors", "pytorch_model.bin"}) {
    TempDir dir;
    write(dir / file, pointer);
    expect_error(ErrorCode::kFormat, {file, "Git LFS pointer", "946 bytes", "git lfs pull"},
                 [&] { ModelTensors::open(dir.path()); });
  }
  TempDir dir;
  for (const auto& [bytes, name] : std::map<std::string, std::string>{
           {"PK\x03\x04 more than eight bytes", "ZIP archive"}, {std::string("GGUF\3\0\0\0 and more", 17), "GGUF"}}) {
    write(dir / "model.safetensors", bytes);
    expect_error(ErrorCode::kFormat, {"model.safetensors", name, "not a safetensors file"},
                 [&] { ModelTensors::open(dir.path()); });
  }
}

}  // namespace
}  // namespace fabula
