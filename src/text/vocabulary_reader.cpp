#include "text/vocabulary_reader.hpp"

#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.hpp"
#include "formats/json_access.hpp"
#include "text/byte_alphabet.hpp"
#include "text/utf8.hpp"

namespace fabula::text {

nlohmann::json parse_vocabulary_json(std::string_view json, std::string_view file) {
  return parse_json(json, file, {.max_bytes = size_t{256} << 20, .max_depth = 32});
}

Tokenizer make_tokenizer(TokenizerParts parts, std::string_view file) {
  try {
    return Tokenizer(std::move(parts));
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", file, error.what());
  }
}

void place_token(std::vector<std::string>& tokens, uint64_t id, std::string bytes, std::string_view file) {
  if (id >= kMaxVocabulary) {
    fail(ErrorCode::kFormat, "{}: token {} has id {}, ids must be below {}", file, quote(bytes), id, kMaxVocabulary);
  }
  if (id >= tokens.size()) tokens.resize(id + 1);
  if (!tokens[id].empty() && tokens[id] != bytes) {
    fail(ErrorCode::kFormat, "{}: tokens {} and {} both have id {}", file, quote(tokens[id]), quote(bytes), id);
  }
  tokens[id] = std::move(bytes);
}

std::string token_from_alphabet(std::string_view printable, std::string_view file) {
  std::optional<std::string> bytes = from_byte_alphabet(printable);
  if (!bytes) {
    fail(ErrorCode::kUnsupported,
         "{}: the token {} holds a character outside the byte-level alphabet, so this is not byte-level BPE", file,
         quote(printable));
  }
  return *std::move(bytes);
}

std::string byte_token_name(size_t byte) {
  return fmt::format("<0x{:02X}>", byte);
}

std::optional<uint8_t> byte_of_token_name(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (name.size() != 6 || !name.starts_with("<0x") || name[5] != '>') return std::nullopt;
  const size_t high = kDigits.find(name[3]), low = kDigits.find(name[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

struct MergeReader::Index {
  std::unordered_map<std::string_view, uint32_t> ids;
  std::unordered_set<uint64_t> pairs;
};

MergeReader::MergeReader(const std::vector<std::string>& tokens, std::string_view file)
    : index_(std::make_unique<Index>()), file_(file) {
  index_->ids.reserve(tokens.size());
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) index_->ids.emplace(tokens[id], id);
  }
}

MergeReader::~MergeReader() = default;

void MergeReader::add(std::string_view left, std::string_view right, size_t where) {
  const auto id_of = [&](std::string_view bytes) {
    const auto found = index_->ids.find(bytes);
    if (found == index_->ids.end()) {
      fail(ErrorCode::kFormat, "{}: merge {} ({} + {}) needs the token {}, which the vocabulary lacks", file_, where,
           quote(left), quote(right), quote(bytes));
    }
    return found->second;
  };
  const Merge merge{id_of(left), id_of(right), id_of(std::string(left) + std::string(right)),
                    static_cast<uint32_t>(merges_.size())};
  if (!index_->pairs.insert(uint64_t{merge.left} << 32 | merge.right).second) {
    fail(ErrorCode::kFormat, "{}: merge {} ({} + {}) stands there twice", file_, where, quote(left), quote(right));
  }
  merges_.push_back(merge);
}

std::pair<std::string_view, std::string_view> MergeReader::halves(std::string_view line, size_t where) const {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos) {
    fail(ErrorCode::kFormat, "{}: merge {} is {}, expected two tokens with one space between", file_, where,
         quote(line));
  }
  return {line.substr(0, space), line.substr(space + 1)};
}

void MergeReader::add_printable(std::string_view line, size_t where) {
  const auto [left, right] = halves(line, where);
  add_printable(left, right, where);
}

void MergeReader::add_printable(std::string_view left, std::string_view right, size_t where) {
  add(token_from_alphabet(left, file_), token_from_alphabet(right, file_), where);
}

}  // namespace fabula::text
