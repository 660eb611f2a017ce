#include "text/tokenizer_json.hpp"

#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

namespace fabula::text {
namespace {

using nlohmann::json;

constexpr size_t kMaxShown = 100;

std::string shown(std::string_view text) {  // without the quotes
  const std::string quoted = quote(text, kMaxShown);
  const size_t end = quoted.rfind('"');
  return quoted.substr(1, end - 1) + quoted.substr(end + 1);
}

}  // namespace

const json& TokenizerJson::member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found != object.end() ? *found : kNull;
}

std::string TokenizerJson::type_of(const json& part, std::string_view where) const {
  const json& type = member(part, "type");
  if (!type.is_string()) fail(ErrorCode::kFormat, "{}: {} has no \"type\"", name_, where);
  return type.get<std::string>();
}

std::string TokenizerJson::kind_of(const json& part) {
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

void TokenizerJson::refuse(std::string_view where, std::string_view found, std::string_view why) const {
  fail(ErrorCode::kUnsupported,
       "{}: {} is {}; {}: fabula reads BPE tokenizers, byte-level ones and those with byte fallback", name_, where,
       found, why);
}

void TokenizerJson::note_post_processor() {
  const json& processor = member(root_, "post_processor");
  if (processor.is_null() || member(processor, "type") == "ByteLevel") return;
  parts_.notes.push_back(
      fmt::format("the tokenizer's post_processor {} is not run: no tokens are put before or after a text",
                  quote(type_of(processor, "post_processor"))));
}

void TokenizerJson::read_added_tokens() {
  const json& added = member(root_, "added_tokens");
  if (added.is_null()) return;
  if (!added.is_array()) fail(ErrorCode::kFormat, "{}: added_tokens is {}, expected a list", name_, added.type_name());
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

const json& TokenizerJson::checked_model() const {
  const json& model = member(root_, "model");
  if (!model.is_object()) fail(ErrorCode::kFormat, "{}: it has no \"model\"", name_);
  const json& type = member(model, "type");  // old files have none
  if (!type.is_null() && type != "BPE") refuse_part("the model's type", type, "BPE is needed");
  for (const char* const key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& affix = member(model, key);
    if (!affix.is_null() && affix != "") refuse_part(fmt::format("the model's {}", key), affix, "it must be empty");
  }
  return model;
}

void TokenizerJson::for_each_token(const json& vocabulary,
                                   const std::function<void(const std::string&, uint64_t)>& handle) const {
  if (!vocabulary.is_object()) {
    fail(ErrorCode::kFormat, "{}: the model's vocab is {}, expected an object of tokens and ids", name_,
         vocabulary.type_name());
  }
  for (const auto& [text, id] : vocabulary.items()) {
    if (!id.is_number_unsigned()) {
      fail(ErrorCode::kFormat, "{}: the id of {} is {}, expected a whole number", name_, quote(text), quote(id.dump()));
    }
    const auto value = id.get<uint64_t>();
    const bool is_added = value < parts_.tokens.size() && parts_.tokens[value] == text;
    if (!is_added) handle(text, value);
  }
}

void TokenizerJson::for_each_merge(
    const json& merges, const std::function<void(const std::string&, size_t)>& joined,
    const std::function<void(const std::string&, const std::string&, size_t)>& pair) const {
  if (!merges.is_array()) {
    fail(ErrorCode::kFormat, "{}: the model's merges are {}, expected a list", name_, merges.type_name());
  }
  for (size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    if (merge.is_string()) {
      joined(merge.get_ref<const std::string&>(), i);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pair(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(), i);
    } else {
      fail(ErrorCode::kFormat, "{}: merge {} is neither \"left right\" nor [left, right]", name_, i);
    }
  }
}

Tokenizer read_tokenizer_json(const std::filesystem::path& path) {
  const MappedFile file(path);
  return file.checked([&] { return parse_tokenizer_json(file.text(), path.string()); });
}

Tokenizer parse_tokenizer_json(std::string_view text, std::string_view name) {
  const json root = parse_vocabulary_json(text, name);
  if (!root.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object, found {}", name, root.type_name());
  return make_tokenizer(
      is_byte_fallback_json(root) ? read_byte_fallback_json(root, name) : read_byte_level_json(root, name), name);
}

std::string tokenizer_json(const Tokenizer& tokenizer) {
  using ordered_json = nlohmann::ordered_json;
  const TokenizerParts& parts = tokenizer.parts();
  ordered_json added = ordered_json::array();
  for (const AddedToken& token : parts.added) {
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
  ordered_json root = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  root["added_tokens"] = std::move(added);
  if (parts.fallback) {
    write_byte_fallback_json(parts, root);
  } else {
    write_byte_level_json(parts, root);
  }
  return root.dump(1);
}

void write_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path) {
  write_file_atomically(path, tokenizer_json(tokenizer));
}

}  // namespace fabula::text
