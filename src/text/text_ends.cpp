#include "text/text_ends.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "formats/json_access.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// One of a folder's JSON files; an object without keys where there is none.
struct SideFile {
  fs::path path;
  json root = json::object();

  SideFile(const ModelSource& source, const char* name) : path(source.path_of(name)) {
    constexpr size_t kMaxBytes = 16u << 20;
    if (!source.has(name)) return;
    root = parse_json(source.read(name, kMaxBytes), path.string(), {.max_bytes = kMaxBytes});
    if (!root.is_object()) {
      fail(ErrorCode::kFormat, "{}: expected a JSON object, found {}", path.string(), root.type_name());
    }
  }

  const json& at(const char* key) const {
    static const json kNull;
    const auto found = root.find(key);
    return found != root.end() ? *found : kNull;
  }

  /// A number or a list of them; null and -1 are none.
  std::vector<uint32_t> ids(const char* key) const {
    std::vector<uint32_t> out;
    const json& value = at(key);
    if (value.is_null()) return out;
    for (const json& id : value.is_array() ? value : json::array({value})) {
      if (id == -1) continue;
      if (!id.is_number_unsigned() || id.get<uint64_t>() > UINT32_MAX) {
        fail(ErrorCode::kFormat, "{}: {} is {}, expected a token id or a list of them", path.string(), key,
             dump_json(value).substr(0, 60));
      }
      out.push_back(id.get<uint32_t>());
    }
    return out;
  }

  /// Files name a token by its text, or by an object with that and its properties. Empty for anything else.
  static std::string token_text(const json& token) {
    if (token.is_string()) return token.get<std::string>();
    const auto content = token.is_object() ? token.find("content") : token.end();
    return token.is_object() && content != token.end() && content->is_string() ? content->get<std::string>() : "";
  }
};

void add_named(std::vector<NamedToken>& named, NamedToken token) {
  if (token.content.empty()) return;
  const auto same = [&](const NamedToken& other) { return other.content == token.content; };
  const auto found = std::find_if(named.begin(), named.end(), same);
  if (found == named.end()) {
    named.push_back(std::move(token));
  } else {
    found->special = found->special || token.special;
    if (!found->id) found->id = token.id;
  }
}

/// "bos_token", "pad_token" and so on, and the list of the others.
void add_special_tokens(std::vector<NamedToken>& named, const SideFile& file) {
  for (const auto& [key, value] : file.root.items()) {
    if (key.ends_with("_token")) add_named(named, {SideFile::token_text(value), {}, true});
    if (key != "additional_special_tokens" || !value.is_array()) continue;
    for (const json& token : value) add_named(named, {SideFile::token_text(token), {}, true});
  }
}

void add_added_tokens(std::vector<NamedToken>& named, const SideFile& file) {
  for (const auto& [content, id] : file.root.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxVocabulary) {
      fail(ErrorCode::kFormat, "{}: the id of {} is {}, expected a whole number below {}", file.path.string(),
           quote(content), dump_json(id).substr(0, 60), kMaxVocabulary);
    }
    add_named(named, {content, id.get<uint32_t>(), false});
  }
}

/// tokenizer_config.json's added_tokens_decoder: ids, as texts, and tokens.
void add_decoder_tokens(std::vector<NamedToken>& named, const SideFile& file) {
  const json& decoder = file.at("added_tokens_decoder");
  if (!decoder.is_object()) return;
  for (const auto& [id, token] : decoder.items()) {
    const bool is_number = !id.empty() && id.size() <= 7 && id.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number || std::stoul(id) >= kMaxVocabulary) {
      fail(ErrorCode::kFormat, "{}: added_tokens_decoder has the id {}, expected a whole number below {}",
           file.path.string(), quote(id), kMaxVocabulary);
    }
    const auto special = token.is_object() ? token.find("special") : token.end();
    add_named(named, {SideFile::token_text(token), static_cast<uint32_t>(std::stoul(id)),
                      token.is_object() && special != token.end() && *special == true});
  }
}

void append_new(std::vector<uint32_t>& ids, const std::vector<uint32_t>& more) {
  for (const uint32_t id : more)
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

}  // namespace

FolderTokens read_folder_tokens(const fs::path& folder) {
  return read_folder_tokens(FolderSource(folder));
}

FolderTokens read_folder_tokens(const ModelSource& source) {
  const SideFile config(source, "config.json"), generation(source, "generation_config.json"),
      tokenizer(source, "tokenizer_config.json"), map(source, "special_tokens_map.json"),
      added(source, "added_tokens.json");
  FolderTokens result;
  for (const SideFile* const file : {&tokenizer, &map}) {
    if (result.end_token.empty()) {
      result.end_token = SideFile::token_text(file->at("eos_token"));
      result.end_token_file = file->path.string();
    }
  }
  for (const SideFile* const file : {&config, &generation}) {
    append_new(result.end_ids, file->ids("eos_token_id"));
    const std::vector<uint32_t> begin = file->ids("bos_token_id");
    if (!result.begin_id && !begin.empty()) result.begin_id = begin.front();
  }
  add_added_tokens(result.named, added);
  add_decoder_tokens(result.named, tokenizer);
  add_special_tokens(result.named, tokenizer);
  add_special_tokens(result.named, map);
  result.prefix_space = tokenizer.at("add_prefix_space") == true;
  return result;
}

std::optional<uint32_t> first_end_id(const Tokenizer& tokenizer, const std::vector<uint32_t>& ids) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto usable = [&](uint32_t id) {
    const auto is_added = [&](const AddedToken& token) { return token.id == id; };
    const auto makes = [&](const Merge& merge) { return merge.result == id; };
    return tokenizer.can_end_documents(id) && (std::any_of(parts.added.begin(), parts.added.end(), is_added) ||
                                               std::none_of(parts.merges.begin(), parts.merges.end(), makes));
  };
  const auto found = std::find_if(ids.begin(), ids.end(), usable);
  return found != ids.end() ? std::optional(*found) : std::nullopt;
}

void settle_end_token(Tokenizer& tokenizer, const FolderTokens& tokens) {
  if (tokenizer.parts().end) return;  // its own file says it
  if (!tokens.end_token.empty()) {
    const std::optional<uint32_t> id = tokenizer.token_id(tokens.end_token);
    if (id && tokenizer.can_end_documents(*id)) return tokenizer.set_end_token(tokens.end_token);
    tokenizer.add_note(fmt::format("{} names {} as the end of a text, which is not a token of its own: not used",
                                   tokens.end_token_file, quote(tokens.end_token)));
  }
  if (const std::optional<uint32_t> id = first_end_id(tokenizer, tokens.end_ids)) {
    tokenizer.set_end_token(tokenizer.token_bytes(*id));
  }
}

}  // namespace fabula::text
