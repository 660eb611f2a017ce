#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/fixture.hpp"
#include "text/token_file.hpp"

namespace fabula::text {
namespace {

using nlohmann::json;
using Ids = std::vector<uint32_t>;

/// The small vocabulary with "<eos>" and "<pad>" behind it, and no token of a well-known name.
json json_with_eos() {
  json root = json::parse(tokenizer_json(test::small_tokenizer()));
  root["added_tokens"][0]["content"] = "<eos>";
  const uint32_t id = root["added_tokens"][0]["id"];
  root["added_tokens"].push_back({{"id", id + 1}, {"content", "<pad>"}});
  return root;
}
uint32_t eos_id() {
  return test::small_tokenizer().eot_id();
}

class Folder : public test::TempDir {
 public:
  const Folder& with(const std::string& name, const json& content) const {
    write_file_atomically(*this / name, content.is_string() ? content.get<std::string>() : content.dump());
    return *this;
  }
};

TEST(EndToken, IsTakenFromTheFilesBesideTheTokenizer) {
  const auto end_of = [](const std::string& name, const json& content) {
    const Folder folder;
    folder.with("tokenizer.json", json_with_eos()).with(name, content);
    EXPECT_EQ(load_tokenizer(folder / "tokenizer.json").has_eot(), load_tokenizer(folder.path()).has_eot());
    const Tokenizer tokenizer = load_tokenizer(folder.path());
    return tokenizer.has_eot() ? std::string(tokenizer.end_of_text()) : "none";
  };
  EXPECT_EQ(end_of("notes.json", json::object()), "none");
  EXPECT_EQ(end_of("config.json", {{"eos_token_id", eos_id()}}), "<eos>");
  EXPECT_EQ(end_of("config.json", {{"eos_token_id", nullptr}}), "none");
  EXPECT_EQ(end_of("generation_config.json", {{"eos_token_id", {eos_id(), 3}}}), "<eos>");
  EXPECT_EQ(end_of("tokenizer_config.json", {{"eos_token", "<eos>"}}), "<eos>");
  EXPECT_EQ(end_of("special_tokens_map.json", {{"eos_token", {{"content", "<eos>"}, {"lstrip", false}}}}), "<eos>");
  // Ids of another vocabulary: beyond this one, a byte's, a merge's.
  EXPECT_EQ(end_of("config.json", {{"eos_token_id", {50256, 10, 300}}}), "none");
  EXPECT_EQ(end_of("special_tokens_map.json", {{"eos_token", "<s>"}}), "none");
}

TEST(EndToken, IsWhatTheFilesSayEvenBesideAWellKnownName) {
  const Folder folder;
  json root = json::parse(tokenizer_json(test::small_tokenizer()));
  root["added_tokens"].push_back({{"id", eos_id() + 1}, {"content", "<|im_end|>"}});
  folder.with("tokenizer.json", root);
  EXPECT_EQ(load_tokenizer(folder.path()).end_of_text(), kEndOfText);
  folder.with("config.json", {{"eos_token_id", eos_id() + 1}});
  EXPECT_EQ(load_tokenizer(folder.path()).eot_id(), eos_id() + 1);
  folder.with("tokenizer_config.json", {{"eos_token", kEndOfText}});  // the tokenizer's own file goes first
  EXPECT_EQ(load_tokenizer(folder.path()).eot_id(), eos_id());
  const FolderTokens tokens = read_folder_tokens(folder.path());
  EXPECT_EQ(tokens.end_ids, Ids{eos_id() + 1});
}

TEST(EndToken, CanBeNamedAndIsKeptInTheFile) {
  const Folder folder;
  folder.with("tokenizer.json", json_with_eos());
  const Tokenizer tokenizer = load_tokenizer(folder.path(), {.end_token = "<pad>"});
  EXPECT_EQ(tokenizer.eot_id(), eos_id() + 1);
  EXPECT_EQ(tokenizer.end_of_text(), "<pad>");
  write_tokenizer_json(tokenizer, folder / "other.json");
  EXPECT_EQ(load_tokenizer(folder / "other.json").end_of_text(), "<pad>");
  EXPECT_EQ(load_tokenizer(folder / "other.json").fingerprint(), tokenizer.fingerprint());
  for (const std::string bad : {"<end>", "two words", "a"})
    test::expect_error(ErrorCode::kInvalidArgument, {folder.path().string(), bad, "<eos>", "<pad>"},
                       [&] { load_tokenizer(folder.path(), {.end_token = bad}); });
}

TEST(EndToken, MayBeATokenThatMergesMake) {
  const Folder folder;
  json root = json_with_eos();
  const std::string merged = test::small_tokenizer().token_bytes(300);
  folder.with("tokenizer.json", root);
  const Tokenizer tokenizer = load_tokenizer(folder.path(), {.end_token = merged});
  EXPECT_EQ(tokenizer.eot_id(), 300u);
  EXPECT_EQ(tokenizer.encode("x" + merged + "x", {.added_tokens = true})[1], 300u);
  const Tokenizer again = parse_tokenizer_json(tokenizer_json(tokenizer), "again");
  EXPECT_EQ(again.eot_id(), 300u);
  EXPECT_EQ(again.fingerprint(), tokenizer.fingerprint());
}

TEST(EndToken, OfATokenFileIsTheTokenizers) {
  const Folder folder;
  folder.with("tokenizer.json", json_with_eos()).with("text.txt", "one");
  const Tokenizer eos = load_tokenizer(folder.path(), {.end_token = "<eos>"}),
                  pad = load_tokenizer(folder.path(), {.end_token = "<pad>"});
  prepare_token_file(std::vector<std::filesystem::path>{folder / "text.txt"}, eos, folder / "tokens");
  const TokenFile file(folder / "tokens");
  EXPECT_EQ(file.eot_id(), eos_id());
  file.check_tokenizer(eos);
  test::expect_error(ErrorCode::kInvalidArgument, {"<eos>", "<pad>", "--end-token"},
                     [&] { file.check_tokenizer(pad); });
}

TEST(EndToken, DamagedFilesBesideItAreNamed) {
  const auto refused = [](const std::string& name, const json& content, const std::vector<std::string>& parts) {
    const Folder folder;
    folder.with("tokenizer.json", json_with_eos()).with(name, content);
    std::vector<std::string> all = parts;
    all.push_back((folder / name).string());
    test::expect_error(ErrorCode::kFormat, all, [&] { load_tokenizer(folder.path()); });
  };
  refused("config.json", {{"eos_token_id", "<eos>"}}, {"eos_token_id", "<eos>", "token id"});
  refused("config.json", {{"eos_token_id", {1.5}}}, {"eos_token_id", "1.5"});
  refused("generation_config.json", json::array(), {"array"});
  refused("special_tokens_map.json", "{\"eos_token\": ", {"not valid JSON"});
  refused("tokenizer_config.json", R"({"eos_token": "a", "eos_token": "b"})", {"eos_token", "twice"});
  refused("added_tokens.json", {{"<x>", -1}}, {"<x>", "-1"});
  refused("tokenizer_config.json", {{"added_tokens_decoder", {{"ten", {{"content", "x"}}}}}}, {"ten"});
}

TEST(Gpt2Folder, IsATokenizerWhereverOneIsNamed) {
  const json fixture = test::read_fixture("small_bpe.json");
  const uint32_t eot = eos_id();
  json vocab = fixture.at("vocab");
  vocab.erase(std::string(kEndOfText));
  vocab["<s>"] = eot;
  const Folder folder;
  folder.with("vocab.json", vocab).with("merges.txt", test::joined_merges(fixture.at("merges")));
  EXPECT_FALSE(load_tokenizer(folder.path()).has_eot());
  EXPECT_EQ(load_tokenizer(folder.path()).parts().added.size(), 0u);
  folder.with("added_tokens.json", {{"<|im start|>", eot + 2}, {"<mark>", eot + 3}})
      .with("special_tokens_map.json",
            {{"eos_token", "<s>"}, {"pad_token", "<gone>"}, {"additional_special_tokens", {"<|im start|>"}}});
  for (const std::filesystem::path& path : {folder.path(), folder / "vocab.json"}) {
    const Tokenizer tokenizer = load_tokenizer(path);
    EXPECT_EQ(tokenizer.vocab_size(), eot + 4);
    EXPECT_EQ(tokenizer.eot_id(), eot);
    EXPECT_EQ(tokenizer.encode("<s><|im start|><mark>", {.added_tokens = true}), (Ids{eot, eot + 2, eot + 3}));
    ASSERT_EQ(tokenizer.parts().added.size(), 3u);
    for (const AddedToken& token : tokenizer.parts().added) EXPECT_EQ(token.special, token.content != "<mark>");
    EXPECT_EQ(tokenizer.encode("It's the lowest"), test::small_tokenizer().encode("It's the lowest"));
  }
  folder.with("tokenizer_config.json",
              {{"add_prefix_space", true},
               {"added_tokens_decoder", {{std::to_string(eot + 5), {{"content", "<late>"}, {"special", true}}}}}});
  const Tokenizer spaced = load_tokenizer(folder.path());
  EXPECT_EQ(spaced.token_id("<late>"), eot + 5);
  EXPECT_EQ(spaced.encode("the"), test::small_tokenizer().encode(" the"));
  const Folder empty;
  test::expect_error(ErrorCode::kNotFound, {empty.path().string(), "tokenizer.json", "vocab.json", "merges.txt"},
                     [&] { load_tokenizer(empty.path()); });
}

}  // namespace
}  // namespace fabula::text
