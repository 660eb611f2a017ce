#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "text/byte_alphabet.hpp"
#include "text/pre_tokenizer.hpp"
#include "text/tokenizer_json.hpp"
#include "text/vocabulary_reader.hpp"

namespace fabula::text {
namespace {

class ByteLevelReader : TokenizerJson {
 public:
  using TokenizerJson::TokenizerJson;

  TokenizerParts read() {
    read_normalizer();
    read_pre_tokenizer(member(root_, "pre_tokenizer"));
    if (!byte_level_) refuse_part("pre_tokenizer", member(root_, "pre_tokenizer"), "a ByteLevel one is needed");
    read_decoder();
    note_post_processor();
    read_added_tokens();
    read_model();
    return std::move(parts_);
  }

 private:
  void read_normalizer() {
    const json* normalizer = &member(root_, "normalizer");
    if (normalizer->is_null()) return;
    if (type_of(*normalizer, "normalizer") == "Sequence") {
      const json& stages = member(*normalizer, "normalizers");
      if (stages.empty()) return;
      if (stages.is_array() && stages.size() == 1) normalizer = &stages[0];
    }
    if (type_of(*normalizer, "normalizer") != "NFC") refuse_part("normalizer", *normalizer, "only none or NFC is read");
    parts_.nfc = true;
    parts_.notes.push_back(
        "the tokenizer asks for NFC normalization, which fabula leaves to you: text that is not in NFC already keeps "
        "its bytes and gets other tokens than elsewhere");
  }

  void read_pre_tokenizer(const json& part) {
    if (part.is_null()) refuse_part("pre_tokenizer", part, "a ByteLevel one is needed");
    const std::string type = type_of(part, "pre_tokenizer");
    if (byte_level_) refuse_part("pre_tokenizer", part, "nothing may follow ByteLevel");
    if (type == "Sequence") {
      const json& stages = member(part, "pretokenizers");
      constexpr size_t kMaxStages = 16;
      if (!stages.is_array() || stages.size() > kMaxStages || ++depth_ > 4) {
        refuse_part("pre_tokenizer", part, "a short list of stages is needed");
      }
      for (const json& stage : stages) read_pre_tokenizer(stage);
    } else if (type == "ByteLevel") {
      if (member(part, "add_prefix_space") == true) parts_.prefix = PrefixSpace::kUnlessSpace;
      if (parts_.prefix != PrefixSpace::kNever && !parts_.patterns.empty()) {
        refuse_part(
            "pre_tokenizer", member(root_, "pre_tokenizer"),
            "add_prefix_space of a ByteLevel behind other stages, which puts a space before every piece, is not "
            "supported");
      }
      if (member(part, "use_regex") != false) parts_.patterns.emplace_back(named_pattern("gpt2"));
      byte_level_ = true;
    } else if (type == "Split") {
      read_split(part);
    } else if (type == "Digits") {
      parts_.patterns.emplace_back(member(part, "individual_digits") == true ? "\\p{N}" : "\\p{N}+");
    } else {
      refuse_part("pre_tokenizer", part, "this kind is not supported");
    }
  }

  void read_split(const json& part) {
    const json& behavior = member(part, "behavior");
    const bool inverted = member(part, "invert") == true;
    // "Removed" inverted keeps the matches, which is Isolated where the pattern covers everything, as those in use do.
    if (!(behavior == "Isolated" || (behavior == "Removed" && inverted))) {
      refuse("pre_tokenizer",
             fmt::format("a Split with behavior {}{}", kind_of(behavior), inverted ? ", inverted" : ""),
             "a Split must be Isolated");
    }
    const json& pattern = member(part, "pattern");
    const json &regex = member(pattern, "Regex"), &literal = member(pattern, "String");
    if (regex.is_string()) {
      parts_.patterns.push_back(regex.get<std::string>());
    } else if (literal.is_string() && literal.get_ref<const std::string&>().find("\\E") == std::string::npos) {
      parts_.patterns.push_back("\\Q" + literal.get<std::string>() + "\\E");
    } else {
      refuse_part("pre_tokenizer", part, "a Split needs a pattern of kind Regex or String");
    }
  }

  void read_decoder() {
    const json& decoder = member(root_, "decoder");
    if (decoder.is_null() || member(decoder, "type") == "ByteLevel") return;
    refuse_part("decoder", decoder, "a ByteLevel one is needed");
  }

  void read_model() {
    const json& model = checked_model();
    // byte_fallback is for characters without a token, and the Tokenizer sees to it that every byte has one.
    parts_.whole_pieces = member(model, "ignore_merges") == true;
    for_each_token(member(model, "vocab"), [&](const std::string& printable, uint64_t id) {
      place_token(parts_.tokens, id, token_from_alphabet(printable, name_), name_);
    });
    MergeReader reader(parts_.tokens, name_);
    for_each_merge(
        member(model, "merges"), [&](const std::string& line, size_t i) { reader.add_printable(line, i); },
        [&](const std::string& left, const std::string& right, size_t i) { reader.add_printable(left, right, i); });
    parts_.merges = reader.take();
  }

  bool byte_level_ = false;
  int depth_ = 0;
};

nlohmann::ordered_json byte_level(bool use_regex, bool prefix_space = false) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

nlohmann::ordered_json pre_tokenizer_json(const TokenizerParts& parts) {
  const bool prefix_space = parts.prefix != PrefixSpace::kNever;
  if (parts.patterns.size() == 1 && parts.patterns[0] == named_pattern("gpt2")) return byte_level(true, prefix_space);
  if (parts.patterns.empty()) return byte_level(false, prefix_space);
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const std::string& pattern : parts.patterns) {
    stages.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  stages.push_back(byte_level(false));
  return {{"type", "Sequence"}, {"pretokenizers", stages}};
}

}  // namespace

TokenizerParts read_byte_level_json(const nlohmann::json& root, std::string_view name) {
  return ByteLevelReader(root, name).read();
}

void write_byte_level_json(const TokenizerParts& parts, nlohmann::ordered_json& root) {
  using ordered_json = nlohmann::ordered_json;
  std::vector<bool> is_added(parts.tokens.size(), false), is_merged = is_added;
  for (const AddedToken& token : parts.added) is_added[token.id] = true;
  // Merges name their tokens by what stands in the vocabulary.
  for (const Merge& merge : parts.merges)
    is_merged[merge.left] = is_merged[merge.right] = is_merged[merge.result] = true;
  ordered_json::object_t vocabulary;  // appended to directly: operator[] of an ordered object searches all of it
  for (uint32_t id = 0; id < parts.tokens.size(); ++id) {
    const std::string& token = parts.tokens[id];
    if (!token.empty() && (!is_added[id] || is_merged[id])) vocabulary.emplace_back(to_byte_alphabet(token), id);
  }
  ordered_json merges = ordered_json::array();
  for (const Merge& merge : parts.merges) {
    merges.push_back(to_byte_alphabet(parts.tokens[merge.left]) + " " + to_byte_alphabet(parts.tokens[merge.right]));
  }
  ordered_json model = {{"type", "BPE"},
                        {"dropout", nullptr},
                        {"unk_token", nullptr},
                        {"continuing_subword_prefix", nullptr},
                        {"end_of_word_suffix", nullptr},
                        {"fuse_unk", false},
                        {"byte_fallback", false},
                        {"ignore_merges", parts.whole_pieces}};
  model["vocab"] = std::move(vocabulary);
  model["merges"] = std::move(merges);
  root["normalizer"] = parts.nfc ? ordered_json{{"type", "NFC"}} : ordered_json();
  root["pre_tokenizer"] = pre_tokenizer_json(parts);
  root["post_processor"] = byte_level(false);
  root["decoder"] = byte_level(true);
  root["model"] = std::move(model);
}

}  // namespace fabula::text
