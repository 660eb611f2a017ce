#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "text/ranked_merges.hpp"
#include "text/space_blocks.hpp"
#include "text/tokenizer_json.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

// SentencePiece's BPE as Hugging Face writes it: Llama 2, Mistral. Spaces are U+2581 in the file, put there by a
// normalizer or by a Metaspace pre-tokenizer; what fabula writes of a tokenizer.bin has them as they are, so that a
// text's own U+2581 stays one.
namespace fabula::text {
namespace {

class ByteFallbackReader : TokenizerJson {
 public:
  using TokenizerJson::TokenizerJson;

  TokenizerParts read() {
    parts_.fallback.emplace().drops_prefix = false;
    read_normalizer(member(root_, "normalizer"));
    check_normalizer();
    read_pre_tokenizer();
    read_decoder(member(root_, "decoder"));
    if (replaces_in_decoder_ != fallback().blocks_are_spaces)
      refuse_part("decoder", member(root_, "decoder"), "it must write a space where the file has U+2581");
    read_added_tokens();
    note_normalized_tokens();
    read_post_processor();
    read_model();
    return std::move(parts_);
  }

 private:
  ByteFallback& fallback() { return *parts_.fallback; }

  static std::string text_of(const json& value) { return value.is_string() ? value.get<std::string>() : ""; }

  /// {"type": "Replace", "pattern": {"String": from}, "content": to}
  static bool replaces(const json& part, std::string_view from, std::string_view to) {
    return text_of(member(member(part, "pattern"), "String")) == from && text_of(member(part, "content")) == to;
  }

  /// Calls read(stage) for the stages of a Sequence.
  template <class Read>
  void for_each_stage(const char* where, const json& part, const char* list, const Read& read) {
    constexpr size_t kMaxStages = 8;
    const json& stages = member(part, list);
    if (!stages.is_array() || stages.size() > kMaxStages) refuse_part(where, part, "a short list of stages is needed");
    for (const json& stage : stages) {
      if (member(stage, "type") == "Sequence") refuse_part(where, part, "no Sequence within another is read");
      read(stage);
    }
  }

  void read_normalizer(const json& part) {
    if (part.is_null()) return;
    const std::string type = type_of(part, "normalizer");
    if (type == "Sequence") {
      for_each_stage("normalizer", part, "normalizers", [&](const json& stage) { read_normalizer(stage); });
    } else if (type == "Prepend" && prepended_.empty() && !text_of(member(part, "prepend")).empty()) {
      prepended_ = text_of(member(part, "prepend"));
    } else if (type == "Replace" && replaces(part, " ", kSpaceBlock)) {
      fallback().blocks_are_spaces = true;
    } else {
      refuse_part("normalizer", part, "only a Prepend and a Replace of spaces by U+2581 are read");
    }
  }

  void check_normalizer() {
    if (prepended_.empty()) return;
    if (prepended_ != (fallback().blocks_are_spaces ? kSpaceBlock : std::string_view(" ")))
      refuse("normalizer", "a Prepend of " + quote(prepended_), "it must put a space before a text");
    parts_.prefix = PrefixSpace::kAlways;
  }

  void read_pre_tokenizer() {
    const json& part = member(root_, "pre_tokenizer");
    if (part.is_null()) return;
    if (type_of(part, "pre_tokenizer") != "Metaspace" || fallback().blocks_are_spaces || !prepended_.empty())
      refuse_part("pre_tokenizer", part, "with byte fallback, none or a Metaspace without a normalizer is read");
    if (text_of(member(part, "replacement")) != kSpaceBlock)
      refuse("pre_tokenizer", "a Metaspace of another character", "U+2581 is needed");
    fallback().blocks_are_spaces = true;
    fallback().cut_at_spaces = member(part, "split") != false;
    parts_.prefix = prefix_of(part);
  }

  PrefixSpace prefix_of(const json& metaspace) {
    const json& scheme = member(metaspace, "prepend_scheme");
    if (scheme == "always" || (scheme.is_null() && member(metaspace, "add_prefix_space") != false))
      return PrefixSpace::kUnlessSpace;
    if (scheme == "first") return PrefixSpace::kFirstUnlessSpace;
    if (scheme.is_null() || scheme == "never") return PrefixSpace::kNever;
    refuse("the Metaspace's prepend_scheme", kind_of(scheme), "it must be always, first or never");
  }

  void read_decoder(const json& part) {
    if (part.is_null()) refuse_part("decoder", part, "one with ByteFallback is needed");
    const std::string type = type_of(part, "decoder");
    if (type == "Sequence") {
      for_each_stage("decoder", part, "decoders", [&](const json& stage) { read_decoder(stage); });
    } else if (type == "Replace" && replaces(part, kSpaceBlock, " ")) {
      replaces_in_decoder_ = true;
    } else if (type == "Strip" && text_of(member(part, "content")) == " " && member(part, "start") == 1 &&
               member(part, "stop") == 0) {
      fallback().drops_prefix = true;
    } else if (type == "Metaspace" && text_of(member(part, "replacement")) == kSpaceBlock) {
      replaces_in_decoder_ = true;
      fallback().drops_prefix = fallback().drops_prefix || prefix_of(part) != PrefixSpace::kNever;
    } else if (type != "ByteFallback" && type != "Fuse") {
      refuse_part("decoder", part,
                  "with byte fallback, only Replace, ByteFallback, Fuse, Strip and Metaspace are read");
    }
  }

  /// Some files look for <s> behind the space that the normalizer puts before a text, and so miss it elsewhere.
  void note_normalized_tokens() {
    if (prepended_.empty()) return;
    for (const json& entry : member(root_, "added_tokens")) {
      if (member(entry, "normalized") != true) continue;
      parts_.notes.push_back(fmt::format("the added token {} is found wherever it stands, not only in normalized text",
                                         quote(text_of(member(entry, "content")))));
      return;
    }
  }

  /// One token before the text is what a model's config says too; whoever starts a text puts it there.
  void read_post_processor() {
    const json& single = member(member(root_, "post_processor"), "single");
    if (single.is_array() && single.size() == 2 && member(single[1], "Sequence").is_object()) {
      const std::string name = text_of(member(member(single[0], "SpecialToken"), "id"));
      for (const AddedToken& token : parts_.added)
        if (token.content == name) fallback().begin = token.id;
    }
    if (!fallback().begin) note_post_processor();
  }

  void read_model() {
    const json& model = checked_model();
    if (member(model, "ignore_merges") == true)
      refuse("the model's ignore_merges", "true", "with byte fallback it must be false");
    std::vector<std::string> named = parts_.tokens;  // without the tokens of bytes, which no merge names
    fallback().byte_ids.fill(UINT32_MAX);
    for_each_token(member(model, "vocab"), [&](const std::string& text, uint64_t id) {
      const std::optional<uint8_t> byte = byte_of_token_name(text);
      std::string bytes = byte ? std::string(1, static_cast<char>(*byte)) : bytes_of(text);
      place_token(parts_.tokens, id, bytes, name_);
      if (byte) fallback().byte_ids[*byte] = static_cast<uint32_t>(id);
      place_token(named, id, byte ? "" : std::move(bytes), name_);
    });
    MergeReader reader(named, name_);
    for_each_merge(
        member(model, "merges"),
        [&](const std::string& line, size_t i) {
          const auto [left, right] = reader.halves(line, i);
          reader.add(bytes_of(left), bytes_of(right), i);
        },
        [&](const std::string& left, const std::string& right, size_t i) {
          reader.add(bytes_of(left), bytes_of(right), i);
        });
    parts_.merges = reader.take();
    read_merge_ranks(member(model, kMergeRanks));
  }

  std::string bytes_of(std::string_view text) {
    if (!fallback().blocks_are_spaces) return std::string(text);
    if (text.find(' ') != std::string_view::npos)
      fail(ErrorCode::kFormat, "{}: the token {} holds a space, which this file writes as U+2581", name_, quote(text));
    return blocks_to_spaces(text);
  }

  void read_merge_ranks(const json& ranks) {
    if (ranks.is_null()) return;
    if (!ranks.is_array() || ranks.size() != parts_.merges.size())
      fail(ErrorCode::kFormat, "{}: the model's {} are {}, expected a list of {} numbers", name_, kMergeRanks,
           ranks.is_array() ? fmt::format("{} numbers", ranks.size()) : ranks.type_name(), parts_.merges.size());
    uint32_t last = 0;
    for (size_t i = 0; i < ranks.size(); ++i) {
      if (!ranks[i].is_number_unsigned() || ranks[i].get<uint64_t>() < last || ranks[i].get<uint64_t>() > i)
        fail(ErrorCode::kFormat, "{}: the model's {} hold {} at place {}, expected {} to {}", name_, kMergeRanks,
             quote(ranks[i].dump()), i, last, i);
      parts_.merges[i].rank = last = ranks[i].get<uint32_t>();
    }
    make_ranks_dense(parts_.merges);
  }

  std::string prepended_;
  bool replaces_in_decoder_ = false;
};

using nlohmann::ordered_json;

ordered_json replace_json(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

bool has_metaspace(const TokenizerParts& parts) {
  return parts.fallback->cut_at_spaces || parts.prefix == PrefixSpace::kUnlessSpace ||
         parts.prefix == PrefixSpace::kFirstUnlessSpace;
}

ordered_json normalizer_json(const TokenizerParts& parts) {
  if (has_metaspace(parts)) return nullptr;
  const bool blocks = parts.fallback->blocks_are_spaces;
  ordered_json stages = ordered_json::array();
  if (parts.prefix == PrefixSpace::kAlways)
    stages.push_back({{"type", "Prepend"}, {"prepend", blocks ? kSpaceBlock : " "}});
  if (blocks) stages.push_back(replace_json(" ", kSpaceBlock));
  if (stages.size() < 2) return stages.empty() ? ordered_json() : stages[0];
  return {{"type", "Sequence"}, {"normalizers", stages}};
}

ordered_json metaspace_json(const TokenizerParts& parts) {
  if (!has_metaspace(parts)) return nullptr;
  const char* scheme = parts.prefix == PrefixSpace::kNever         ? "never"
                       : parts.prefix == PrefixSpace::kUnlessSpace ? "always"
                                                                   : "first";
  return {{"type", "Metaspace"},
          {"replacement", kSpaceBlock},
          {"prepend_scheme", scheme},
          {"split", parts.fallback->cut_at_spaces}};
}

ordered_json fallback_decoder_json(const ByteFallback& fallback) {
  ordered_json stages = ordered_json::array();
  if (fallback.blocks_are_spaces) stages.push_back(replace_json(kSpaceBlock, " "));
  stages.push_back({{"type", "ByteFallback"}});
  stages.push_back({{"type", "Fuse"}});
  if (fallback.drops_prefix) stages.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", stages}};
}

ordered_json template_json(const TokenizerParts& parts) {
  if (!parts.fallback->begin) return nullptr;
  const std::string& name = parts.tokens[*parts.fallback->begin];
  const auto special = [&](int type) { return ordered_json{{"SpecialToken", {{"id", name}, {"type_id", type}}}}; };
  const auto text = [&](const char* id, int type) {
    return ordered_json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  ordered_json tokens = ordered_json::object();
  tokens[name] = {
      {"id", name}, {"ids", ordered_json::array({*parts.fallback->begin})}, {"tokens", ordered_json::array({name})}};
  return {{"type", "TemplateProcessing"},
          {"single", ordered_json::array({special(0), text("A", 0)})},
          {"pair", ordered_json::array({special(0), text("A", 0), special(1), text("B", 1)})},
          {"special_tokens", tokens}};
}

/// A vocabulary's entries as the file writes them; empty for what stands for nothing.
std::vector<std::string> written_tokens(const TokenizerParts& parts) {
  std::vector<std::string> written = parts.tokens;
  if (parts.fallback->blocks_are_spaces)
    for (std::string& token : written) token = spaces_to_blocks(token);
  for (size_t byte = 0; byte < 256; ++byte) written[parts.fallback->byte_ids[byte]] = byte_token_name(byte);
  return written;
}

}  // namespace

bool is_byte_fallback_json(const nlohmann::json& root) {
  const auto has_type = [](const nlohmann::json& part, const char* type) {
    return part.is_object() && part.contains("type") && part["type"] == type;
  };
  const auto model = root.find("model");
  if (model == root.end() || !model->is_object() || model->value("byte_fallback", nlohmann::json()) != true)
    return false;
  const auto part = root.find("pre_tokenizer");
  if (part == root.end() || !part->is_object()) return true;
  // Byte-level files may have the flag too: it has nothing to do there.
  if (has_type(*part, "Sequence") && part->contains("pretokenizers"))
    for (const nlohmann::json& stage : (*part)["pretokenizers"])
      if (has_type(stage, "ByteLevel")) return false;
  return !has_type(*part, "ByteLevel");
}

TokenizerParts read_byte_fallback_json(const nlohmann::json& root, std::string_view name) {
  return ByteFallbackReader(root, name).read();
}

void write_byte_fallback_json(const TokenizerParts& parts, ordered_json& root) {
  const std::vector<std::string> written = written_tokens(parts);
  std::unordered_map<std::string_view, uint32_t> ids;  // of two tokens with one text the one that is no added token
  for (const AddedToken& token : parts.added) ids[written[token.id]] = token.id;
  std::vector<bool> is_added(written.size(), false);
  for (const AddedToken& token : parts.added) is_added[token.id] = true;
  for (uint32_t id = 0; id < written.size(); ++id)
    if (!written[id].empty() && !is_added[id]) ids[written[id]] = id;
  ordered_json::object_t vocabulary;  // appended to directly: operator[] of an ordered object searches all of it
  for (uint32_t id = 0; id < written.size(); ++id)
    if (!written[id].empty() && ids[written[id]] == id) vocabulary.emplace_back(written[id], id);
  ordered_json merges = ordered_json::array(), ranks = merges;
  bool shared_ranks = false;
  for (const Merge& merge : parts.merges) {
    const std::string &left = written[merge.left], &right = written[merge.right];
    // Older readers know a merge as one text alone, which cannot hold spaces.
    merges.push_back(parts.fallback->blocks_are_spaces ? ordered_json(left + " " + right)
                                                       : ordered_json::array({left, right}));
    shared_ranks = shared_ranks || merge.rank != ranks.size();
    ranks.push_back(merge.rank);
  }
  const bool has_unknown = ids.contains("<unk>");
  ordered_json model = {{"type", "BPE"},
                        {"dropout", nullptr},
                        {"unk_token", has_unknown ? ordered_json("<unk>") : ordered_json()},
                        {"continuing_subword_prefix", nullptr},
                        {"end_of_word_suffix", nullptr},
                        {"fuse_unk", true},
                        {"byte_fallback", true},
                        {"ignore_merges", false}};
  model["vocab"] = std::move(vocabulary);
  model["merges"] = std::move(merges);
  if (shared_ranks) model[kMergeRanks] = std::move(ranks);
  root["normalizer"] = normalizer_json(parts);
  root["pre_tokenizer"] = metaspace_json(parts);
  root["post_processor"] = template_json(parts);
  root["decoder"] = fallback_decoder_json(*parts.fallback);
  root["model"] = std::move(model);
}

}  // namespace fabula::text
