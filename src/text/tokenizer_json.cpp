#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "formats/json_access.hpp"
#include "text/byte_alphabet.hpp"
#include "text/tokenizer_files.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

// Hugging Face tokenizer.json: https://huggingface.co/docs/tokenizers
namespace fabula::text {
namespace {

using nlohmann::json;

/// In an entry of added_tokens, where other readers pass over it: this token ends documents.
constexpr const char* kEndMark = "end_of_text";
constexpr size_t kMaxShown = 100;

class Reader {
 public:
  Reader(const json& root, std::string_view name) : root_(root), name_(name) {}

  TokenizerParts read() {
    if (!root_.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object, found {}", name_, root_.type_name());
    read_normalizer();
    read_pre_tokenizer(member(root_, "pre_tokenizer"));
    if (!byte_level_) refuse_part("pre_tokenizer", member(root_, "pre_tokenizer"), "a ByteLevel one is needed");
    read_decoder();
    read_post_processor();
    read_added_tokens();
    read_model();
    return std::move(parts_);
  }

 private:
  static const json& member(const json& object, const char* key) {
    static const json kNull;
    if (!object.is_object()) return kNull;
    const auto found = object.find(key);
    return found != object.end() ? *found : kNull;
  }

  std::string type_of(const json& part, std::string_view where) const {
    const json& type = member(part, "type");
    if (!type.is_string()) fail(ErrorCode::kFormat, "{}: {} has no \"type\"", name_, where);
    return type.get<std::string>();
  }

  /// A part by its kind: "NFKC", "a Sequence of NFD, StripAccents".
  static std::string kind_of(const json& part) {
    const json& type = member(part, "type");
    if (!type.is_string()) return part.is_string() ? quote(part.get_ref<const std::string&>()) : part.type_name();
    const auto& name = type.get_ref<const std::string&>();
    std::string inner;
    for (const char* const list : {"normalizers", "pretokenizers", "decoders"}) {
      for (const json& stage : member(part, list)) {
        const json& stage_type = member(stage, "type");
        if (inner.size() > kMaxShown) break;
        inner += (inner.empty() ? " of " : ", ") + (stage_type.is_string() ? stage_type.get<std::string>() : "?");
      }
    }
    return shown((inner.empty() ? "" : "a ") + name + inner);
  }
  static std::string shown(std::string_view text) {  // without the quotes
    const std::string quoted = quote(text, kMaxShown);
    const size_t end = quoted.rfind('"');
    return quoted.substr(1, end - 1) + quoted.substr(end + 1);
  }

  [[noreturn]] void refuse(std::string_view where, std::string_view found, std::string_view why) const {
    fail(ErrorCode::kUnsupported, "{}: {} is {}; {}: fabula reads byte-level BPE tokenizers", name_, where, found, why);
  }
  [[noreturn]] void refuse_part(std::string_view where, const json& found, std::string_view why) const {
    refuse(where, kind_of(found), why);
  }

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
      parts_.prefix_space = member(part, "add_prefix_space") == true;
      if (parts_.prefix_space && !parts_.patterns.empty()) {
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

  void read_post_processor() {
    const json& processor = member(root_, "post_processor");
    if (processor.is_null() || member(processor, "type") == "ByteLevel") return;
    parts_.notes.push_back(
        fmt::format("the tokenizer's post_processor {} is not run: no tokens are put before or after a text",
                    quote(type_of(processor, "post_processor"))));
  }

  void read_added_tokens() {
    const json& added = member(root_, "added_tokens");
    if (added.is_null()) return;
    if (!added.is_array())
      fail(ErrorCode::kFormat, "{}: added_tokens is {}, expected a list", name_, added.type_name());
    for (const json& entry : added) {
      const json &id = member(entry, "id"), &content = member(entry, "content");
      if (!id.is_number_unsigned() || !content.is_string() || content.get_ref<const std::string&>().empty()) {
        fail(ErrorCode::kFormat, "{}: added token {} needs an \"id\" and a \"content\"", name_, parts_.added.size());
      }
      for (const char* const flag : {"lstrip", "rstrip", "single_word"}) {
        if (member(entry, flag) == true) {
          refuse("the added token " + quote(content.get_ref<const std::string&>()), flag, "that is not supported");
        }
      }
      place_token(parts_.tokens, id.get<uint64_t>(), content.get<std::string>(), name_);
      parts_.added.push_back({id.get<uint32_t>(), content.get<std::string>(), member(entry, "special") != false});
      if (member(entry, kEndMark) == true) parts_.end = id.get<uint32_t>();
    }
  }

  void read_model() {
    const json& model = member(root_, "model");
    if (!model.is_object()) fail(ErrorCode::kFormat, "{}: it has no \"model\"", name_);
    const json& type = member(model, "type");  // old files have none
    if (!type.is_null() && type != "BPE") refuse_part("the model's type", type, "BPE is needed");
    for (const char* const key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const json& affix = member(model, key);
      if (!affix.is_null() && affix != "") refuse_part(fmt::format("the model's {}", key), affix, "it must be empty");
    }
    // byte_fallback is for characters without a token, and the Tokenizer sees to it that every byte has one.
    parts_.whole_pieces = member(model, "ignore_merges") == true;
    read_vocabulary(member(model, "vocab"));
    read_merges(member(model, "merges"));
  }

  void read_vocabulary(const json& vocabulary) {
    if (!vocabulary.is_object()) {
      fail(ErrorCode::kFormat, "{}: the model's vocab is {}, expected an object of tokens and ids", name_,
           vocabulary.type_name());
    }
    for (const auto& [printable, id] : vocabulary.items()) {
      if (!id.is_number_unsigned()) {
        fail(ErrorCode::kFormat, "{}: the id of {} is {}, expected a whole number", name_, quote(printable),
             quote(id.dump()));
      }
      const auto value = id.get<uint64_t>();
      const bool is_added = value < parts_.tokens.size() && parts_.tokens[value] == printable;
      if (!is_added) place_token(parts_.tokens, value, token_from_alphabet(printable, name_), name_);
    }
  }

  void read_merges(const json& merges) {
    if (!merges.is_array()) {
      fail(ErrorCode::kFormat, "{}: the model's merges are {}, expected a list", name_, merges.type_name());
    }
    MergeReader reader(parts_.tokens, name_);
    for (size_t i = 0; i < merges.size(); ++i) {
      const json& merge = merges[i];
      if (merge.is_string()) {
        reader.add_printable(merge.get_ref<const std::string&>(), i);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        reader.add_printable(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(), i);
      } else {
        fail(ErrorCode::kFormat, "{}: merge {} is neither \"left right\" nor [left, right]", name_, i);
      }
    }
    parts_.merges = reader.take();
  }

  const json& root_;
  std::string_view name_;
  TokenizerParts parts_;
  bool byte_level_ = false;
  int depth_ = 0;
};

nlohmann::ordered_json byte_level(bool use_regex, bool prefix_space = false) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

nlohmann::ordered_json pre_tokenizer_json(const TokenizerParts& parts) {
  if (parts.patterns.size() == 1 && parts.patterns[0] == named_pattern("gpt2"))
    return byte_level(true, parts.prefix_space);
  if (parts.patterns.empty()) return byte_level(false, parts.prefix_space);
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const std::string& pattern : parts.patterns) {
    stages.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  stages.push_back(byte_level(false));
  return {{"type", "Sequence"}, {"pretokenizers", stages}};
}

}  // namespace

Tokenizer read_tokenizer_json(const std::filesystem::path& path) {
  const MappedFile file(path);
  return file.checked([&] { return parse_tokenizer_json(file.text(), path.string()); });
}

Tokenizer parse_tokenizer_json(std::string_view text, std::string_view name) {
  const json root = parse_vocabulary_json(text, name);
  return make_tokenizer(Reader(root, name).read(), name);
}

std::string tokenizer_json(const Tokenizer& tokenizer) {
  using ordered_json = nlohmann::ordered_json;
  const TokenizerParts& parts = tokenizer.parts();
  std::vector<bool> is_added(parts.tokens.size(), false);
  ordered_json added = ordered_json::array();
  for (const AddedToken& token : parts.added) {
    is_added[token.id] = true;
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", token.special}});
    // <|endoftext|> needs no mark: it is what ends documents where nothing else is named.
    if (parts.end == token.id && token.content != kEndOfText) added.back()[kEndMark] = true;
  }
  std::vector<bool> is_merged(parts.tokens.size(), false);  // merges name their tokens by what stands in the vocabulary
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
  ordered_json root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  root["added_tokens"] = std::move(added);
  root["normalizer"] = parts.nfc ? ordered_json{{"type", "NFC"}} : ordered_json();
  root["pre_tokenizer"] = pre_tokenizer_json(parts);
  root["post_processor"] = byte_level(false);
  root["decoder"] = byte_level(true);
  root["model"] = std::move(model);
  return root.dump(1);
}

void write_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path) {
  write_file_atomically(path, tokenizer_json(tokenizer));
}

}  // namespace fabula::text
