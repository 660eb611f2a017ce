#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "api_test.hpp"
#include "temp_dir.hpp"

namespace fabula::test {
namespace {

std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    std::ifstream in(folder / name, std::ios::binary);
    files[name].assign(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

std::vector<MemoryFile> listed(const std::map<std::string, std::string>& files) {
  std::vector<MemoryFile> list;
  for (const auto& [name, content] : files) list.push_back({name, content});
  return list;
}

/// What a text needs is refused, whether as the model is opened or as a session is.
void expect_refused(const std::map<std::string, std::string>& files, fabula_status status, const std::string& part) {
  expect_thrown([&] { Session(device(), Model(listed(files))); }, status, part);
}

TEST(ApiModel, IsDescribed) {
  const ModelInfo grouped = model().info();
  EXPECT_EQ(grouped.family, "gpt2");
  EXPECT_EQ(grouped.vocabulary, kEndToken + 1);
  EXPECT_EQ(grouped.context, 64);
  EXPECT_EQ(grouped.layers, 1);
  EXPECT_EQ(grouped.hidden, 16);
  EXPECT_GT(grouped.parameters, grouped.vocabulary * grouped.hidden);
  EXPECT_GT(grouped.groups, 0);
  EXPECT_EQ(grouped.start_token, kEndToken);
  EXPECT_EQ(grouped.end_token, kEndToken);
  EXPECT_EQ(Model(full_model().string()).info().groups, 0);
}

TEST(ApiModel, FromMemoryIsThatOfTheFolder) {
  const std::string expected = session().generate("abc", text_options(12, 1, 5));
  const std::map<std::string, std::string> files = files_of(grouped_model());
  EXPECT_EQ(Session(device(), Model(listed(files))).generate("abc", text_options(12, 1, 5)), expected);
}

TEST(ApiModel, ThatIsNotThereIsNotFound) {
  expect_thrown([] { Model("/nothing/here"); }, FABULA_NOT_FOUND, "/nothing/here");
  expect_thrown([] { Model(std::vector<MemoryFile>()); }, FABULA_NOT_FOUND, "config.json");
  auto files = files_of(grouped_model());
  files.erase("model.safetensors");
  expect_refused(files, FABULA_NOT_FOUND, "model.safetensors");
}

TEST(ApiModel, WithDamagedFilesIsRefused) {
  auto files = files_of(grouped_model());
  const auto whole = files;
  files["config.json"] = "{\"model_type\": ";
  expect_refused(files, FABULA_FORMAT, "config.json");
  files = whole;
  files["tokenizer.json"] = "[]";
  expect_refused(files, FABULA_FORMAT, "tokenizer.json");
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{5}, whole.at("model.safetensors").size() - 4}) {
    files = whole;
    files["model.safetensors"].resize(bytes);
    expect_refused(files, FABULA_FORMAT, "model.safetensors");
  }
  const TempDir folder;
  std::ofstream(folder / "config.json") << "{]";
  expect_thrown([&] { Model(folder.path().string()); }, FABULA_FORMAT, (folder / "config.json").string());
}

TEST(ApiModel, OptionsThatAreNoneAreRefused) {
  ModelOptions options;
  options.weights = "int3";
  expect_thrown([&] { Model(grouped_model().string(), options); }, FABULA_INVALID_ARGUMENT, "int3");
  options.weights.clear();
  options.end_token = "<|nothing|>";
  expect_thrown([&] { Model(grouped_model().string(), options); }, FABULA_INVALID_ARGUMENT, "<|nothing|>");
  const std::map<std::string, std::string> files = files_of(grouped_model());
  std::vector<MemoryFile> twice = listed(files);
  twice.push_back(twice.front());
  expect_thrown([&] { Model{twice}; }, FABULA_INVALID_ARGUMENT, twice.front().name);
}

TEST(ApiModel, StoresWeightsAsIsAsked) {
  for (const char* weights : {"fp16", "bf16", "int8"}) {
    ModelOptions options;
    options.weights = weights;
    EXPECT_FALSE(Session(device(), Model(grouped_model().string(), options)).generate("abc", text_options(4)).empty())
        << weights;
  }
}

TEST(ApiTokenizer, GoesBothWays) {
  const std::string text = "Zoë <|endoftext|>";
  const std::vector<std::uint32_t> ids = model().encode(text);
  EXPECT_EQ(ids.size(), text.size());
  EXPECT_EQ(model().decode(ids), text);
  EXPECT_EQ(model().encode("a<|endoftext|>", true), (std::vector<std::uint32_t>{model().encode("a")[0], kEndToken}));
  EXPECT_EQ(model().decode({kEndToken, kEndToken}), "<|endoftext|><|endoftext|>") << "asked for a second time";
  EXPECT_TRUE(model().encode("").empty());
  EXPECT_EQ(model().decode({}), "");
  expect_thrown([] { model().decode({1, 70000}); }, FABULA_INVALID_ARGUMENT, "70000");
}

TEST(ApiTokenizer, TellsHowMuchWouldFit) {
  std::uint32_t ids[4] = {9999, 9999, 9999, 9999};
  std::size_t count = 0;
  expect_failed(fabula_encode(model().get(), "abc", 3, 0, nullptr, 0, &count), FABULA_TOO_SMALL, "3 tokens");
  EXPECT_EQ(count, 3U);
  expect_failed(fabula_encode(model().get(), "abc", 3, 0, ids, 2, &count), FABULA_TOO_SMALL, "room for 2");
  EXPECT_EQ(count, 3U);
  EXPECT_EQ(ids[0], model().encode("a")[0]);
  EXPECT_EQ(ids[2], 9999U);
  EXPECT_EQ(fabula_encode(model().get(), "abc", 3, 0, ids, 3, nullptr), FABULA_OK);
  EXPECT_EQ(ids[3], 9999U);

  char text[5] = "....";
  expect_failed(fabula_decode(model().get(), ids, 3, text, 2, &count), FABULA_TOO_SMALL, "3 bytes");
  EXPECT_EQ(count, 3U);
  EXPECT_STREQ(text, "ab..");
  EXPECT_EQ(fabula_decode(model().get(), ids, 3, text, 3, &count), FABULA_OK);
  EXPECT_STREQ(text, "abc.") << "no room for a zero byte";
  EXPECT_EQ(fabula_decode(model().get(), ids, 2, text, 4, &count), FABULA_OK);
  EXPECT_STREQ(text, "ab");
}

}  // namespace
}  // namespace fabula::test
