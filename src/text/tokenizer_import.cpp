#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "formats/json_access.hpp"
#include "text/pre_tokenizer.hpp"
#include "text/ranked_merges.hpp"
#include "text/tokenizer_files.hpp"
#include "text/utf8.hpp"
#include "text/vocabulary_reader.hpp"

namespace fabula::text {
namespace {

/// Calls handle(line, number) for every line that is not empty, without its end; numbers count from 1.
template <class Handle>
void for_each_line(std::string_view text, const Handle& handle) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) handle(line, number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string decode_base64(std::string_view text, std::string_view file, size_t line) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string out;
  uint32_t bits = 0;
  bool good = !text.empty() && text.size() % 4 == 0;
  for (size_t i = 0; good && i < text.size(); ++i) {
    const size_t digit = i + padding >= text.size() ? 0 : kDigits.find(text[i]);
    good = digit != std::string_view::npos;
    bits = bits << 6 | static_cast<uint32_t>(digit & 63);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>(bits >> shift & 0xff));
    bits = 0;
  }
  if (!good) fail(ErrorCode::kFormat, "{}: line {} starts with {}, which is not base64", file, line, quote(text));
  out.erase(out.size() - padding);
  return out;
}

// The ids that the tiktoken registry gives; they are not in the rank files.
std::vector<AddedToken> tiktoken_special_tokens(std::string_view vocabulary) {
  if (vocabulary == "cl100k_base") {
    return {{100257, "<|endoftext|>"},
            {100258, "<|fim_prefix|>"},
            {100259, "<|fim_middle|>"},
            {100260, "<|fim_suffix|>"},
            {100276, "<|endofprompt|>"}};
  }
  if (vocabulary == "o200k_base") return {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}};
  return {{50256, "<|endoftext|>"}};
}

}  // namespace

Tokenizer import_gpt2(const MappedFile& vocab, const MappedFile& merges, const FolderTokens& beside) {
  return vocab.checked([&] {
    return merges.checked([&] {
      return parse_gpt2(vocab.text(), vocab.path().string(), merges.text(), merges.path().string(), beside);
    });
  });
}

Tokenizer parse_gpt2(std::string_view vocab_json, std::string_view vocab_name, std::string_view merges_text,
                     std::string_view merges_name, const FolderTokens& beside) {
  TokenizerParts parts;
  parts.patterns = {std::string(named_pattern("gpt2"))};
  if (beside.prefix_space) parts.prefix = PrefixSpace::kUnlessSpace;
  std::unordered_map<std::string_view, const NamedToken*> named;
  for (const NamedToken& token : beside.named) named.emplace(token.content, &token);
  const nlohmann::json vocabulary = parse_vocabulary_json(vocab_json, vocab_name);
  if (!vocabulary.is_object()) {
    fail(ErrorCode::kFormat, "{}: expected a JSON object of tokens and ids, found {}", vocab_name,
         vocabulary.type_name());
  }
  for (const auto& [printable, id] : vocabulary.items()) {
    if (!id.is_number_unsigned()) {
      fail(ErrorCode::kFormat, "{}: the id of {} is {}, expected a whole number", vocab_name, quote(printable),
           id.is_number() || id.is_boolean() ? dump_json(id) : id.type_name());
    }
    const auto found = named.find(printable);
    const bool is_named = found != named.end() || printable == kEndOfText;
    place_token(parts.tokens, id.get<uint64_t>(), is_named ? printable : token_from_alphabet(printable, vocab_name),
                vocab_name);
    if (is_named)
      parts.added.push_back({id.get<uint32_t>(), printable, found == named.end() || found->second->special});
    if (found != named.end()) named.erase(found);
  }
  MergeReader merges(parts.tokens, merges_name);
  for_each_line(merges_text, [&](std::string_view line, size_t number) {
    if (number == 1 && line.starts_with("#version")) return;
    merges.add_printable(line, number);
  });
  parts.merges = merges.take();
  for (const NamedToken& token : beside.named) {
    if (!named.contains(token.content) || !token.id) continue;
    place_token(parts.tokens, *token.id, token.content, vocab_name);
    parts.added.push_back({*token.id, token.content, token.special});
  }
  return make_tokenizer(std::move(parts), vocab_name);
}

Tokenizer import_tiktoken(const std::filesystem::path& path, std::string_view vocabulary) {
  const MappedFile file(path);
  return file.checked([&] { return parse_tiktoken(file.text(), path.string(), vocabulary); });
}

Tokenizer parse_tiktoken(std::string_view ranks, std::string_view name, std::string_view vocabulary) {
  constexpr size_t kMaxTokenBytes = 1024;
  TokenizerParts parts;
  try {
    parts.patterns = {std::string(named_pattern(vocabulary))};
  } catch (const Error& error) {
    fail(error.code(), "{}: {}; a rank file is named after its vocabulary", name, error.what());
  }
  for_each_line(ranks, [&](std::string_view line, size_t number) {
    const size_t space = line.find(' ');
    uint64_t rank = 0;
    const char* const end = line.data() + line.size();
    const char* const digits = space == std::string_view::npos ? end : line.data() + space + 1;
    const auto [parsed, error] = std::from_chars(digits, end, rank);
    if (digits == end || error != std::errc() || parsed != end) {
      fail(ErrorCode::kFormat, "{}: line {} is {}, expected `base64 rank`", name, number, quote(line));
    }
    std::string bytes = decode_base64(line.substr(0, space), name, number);
    if (bytes.empty() || bytes.size() > kMaxTokenBytes) {
      fail(ErrorCode::kFormat, "{}: the token on line {} has {} bytes, expected 1 to {}", name, number, bytes.size(),
           kMaxTokenBytes);
    }
    if (rank < parts.tokens.size() && !parts.tokens[rank].empty()) {
      fail(ErrorCode::kFormat, "{}: line {} gives rank {} a second time", name, number, rank);
    }
    place_token(parts.tokens, rank, std::move(bytes), name);
  });
  std::vector<uint32_t> ids(parts.tokens.size());
  std::iota(ids.begin(), ids.end(), 0u);  // its id is a token's rank
  parts.merges = merges_of_ranks(parts.tokens, ids);
  parts.added = tiktoken_special_tokens(vocabulary);
  for (const AddedToken& token : parts.added) place_token(parts.tokens, token.id, token.content, name);
  parts.whole_pieces = true;
  return make_tokenizer(std::move(parts), name);
}

}  // namespace fabula::text
