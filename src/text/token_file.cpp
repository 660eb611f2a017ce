#include "text/token_file.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "base/hash.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian and used as they lie");

constexpr char kMagic[8] = {'F', 'A', 'B', 'T', 'O', 'K', 'E', 'N'};
constexpr uint32_t kVersionWithoutSum = 1, kVersion = 2;  // read; read and written
constexpr uint64_t kMaxNarrowVocabulary = 65536;          // ids fit 2 bytes

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t token_bytes;  // 2 or 4
  uint64_t vocab_size;
  uint64_t eot_id;
  uint64_t token_count;
  uint64_t document_count;
  uint64_t tokenizer_fingerprint;
  uint64_t offsets_begin;  // bytes from the file's start
  uint64_t file_size;
  uint64_t content_sum;  // XXH64 of everything behind the header; version 1: 0
  uint64_t reserved[5];  // 0
  uint64_t checksum;     // FNV-1a of everything before
};
static_assert(sizeof(Header) == 128);

uint64_t checksum_of(const Header& header) {
  return fnv1a(&header, offsetof(Header, checksum));
}

constexpr uint64_t round_up_to_8(uint64_t size) {
  return (size + 7) / 8 * 8;
}

/// Encodes a batch of documents and appends them.
class Writer {
 public:
  Writer(const Tokenizer& tokenizer, const std::filesystem::path& out, size_t threads)
      : tokenizer_(tokenizer),
        file_(out),
        threads_(threads),
        wide_(tokenizer.vocab_size() > kMaxNarrowVocabulary),
        eot_(tokenizer.eot_id()) {
    const Header blank{};
    file_.write(&blank, sizeof(blank));
  }

  void append(std::span<const std::string_view> documents) {
    for (const std::vector<uint32_t>& document :
         tokenizer_.encode_documents(documents, threads_, {.added_tokens = true})) {
      offsets_.push_back(tokens_);
      tokens_ += document.size() + 1;
      for (const uint32_t id : document) put(id);
      put(eot_);
    }
    write(buffer_);
    buffer_.clear();
  }

  void finish() {
    offsets_.push_back(tokens_);
    const uint64_t tokens_end = sizeof(Header) + tokens_ * token_bytes();
    const uint64_t padding = round_up_to_8(tokens_end) - tokens_end;
    write(std::string(padding, '\0'));
    write({reinterpret_cast<const char*>(offsets_.data()), offsets_.size() * sizeof(uint64_t)});
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof(kMagic));
    header.version = kVersion;
    header.token_bytes = token_bytes();
    header.vocab_size = tokenizer_.vocab_size();
    header.eot_id = eot_;
    header.token_count = tokens_;
    header.document_count = documents();
    header.tokenizer_fingerprint = tokenizer_.fingerprint();
    header.offsets_begin = tokens_end + padding;
    header.file_size = header.offsets_begin + offsets_.size() * sizeof(uint64_t);
    header.content_sum = sum_.value();
    header.checksum = checksum_of(header);
    file_.write_at(0, &header, sizeof(header));
    file_.commit();
  }

  uint64_t tokens() const { return tokens_; }
  uint64_t documents() const { return offsets_.size() - 1; }

 private:
  uint32_t token_bytes() const { return wide_ ? 4 : 2; }
  void write(std::string_view bytes) {
    sum_.add(bytes);
    file_.write(bytes);
  }
  void put(uint32_t id) { buffer_.append(reinterpret_cast<const char*>(&id), token_bytes()); }  // little-endian

  const Tokenizer& tokenizer_;
  AtomicFile file_;
  size_t threads_;
  bool wide_;
  uint32_t eot_;
  std::string buffer_;
  Checksum sum_;
  std::vector<uint64_t> offsets_;
  uint64_t tokens_ = 0;
};

}  // namespace

TokenFileCounts prepare_token_file(std::span<const std::filesystem::path> texts, const Tokenizer& tokenizer,
                                   const std::filesystem::path& out, size_t threads, const TextOptions& options) {
  constexpr size_t kBatchBytes = size_t{32} << 20;  // of text whose tokens are in memory at once
  const std::string& end_token = tokenizer.token_bytes(tokenizer.eot_id());
  TokenFileCounts counts;
  std::deque<TextFile> files;
  for (const std::filesystem::path& text : texts) files.emplace_back(text, options, end_token);
  Writer writer(tokenizer, out, threads);
  for (const TextFile& file : files) {
    counts.bytes += file.bytes();
    counts.documents += file.document_count();
    for (std::string& note : file.notes()) counts.notes.push_back(std::move(note));
    for (size_t begin = 0; begin < file.document_count();) {
      size_t end = begin;
      for (size_t bytes = 0; end < file.document_count() && bytes < kBatchBytes; ++end)
        bytes += file.document_bytes(end);
      file.checked([&] { writer.append(file.documents(begin, end).views); });
      begin = end;
    }
  }
  if (counts.documents == 0) {
    fail(ErrorCode::kInvalidArgument, "no document in the {} text file(s) given ({} bytes): nothing is written to {}",
         texts.size(), counts.bytes, out.string());
  }
  writer.finish();
  counts.tokens = writer.tokens();
  return counts;
}

bool is_token_file(const std::filesystem::path& path) {
  if (is_pipe(path)) return false;
  const MappedFile file(path);
  return file.bytes().size() >= sizeof(kMagic) &&
         file.checked([&] { return std::memcmp(file.bytes().data(), kMagic, sizeof(kMagic)) == 0; });
}

TokenFile::TokenFile(const std::filesystem::path& path) : file_(path) {
  file_.checked([&] { read_header(); });
  file_.checked([&] { check_contents(); });
}

void TokenFile::read_header() {
  const std::span<const std::byte> bytes = file_.bytes();
  const std::string name = path().string();
  Header header{};
  if (bytes.size() < sizeof(header)) {
    fail(ErrorCode::kFormat, "{}: {} bytes are too few for a token file, whose header alone has {}", name, bytes.size(),
         sizeof(header));
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    fail(ErrorCode::kFormat, "{}: not a token file; `fabula data prepare` makes one from text", name);
  }
  if (header.version != kVersion && header.version != kVersionWithoutSum) {
    fail(ErrorCode::kFormat,
         "{}: token file version {}, this program reads version {} and version {}; prepare it again from the text",
         name, header.version, kVersionWithoutSum, kVersion);
  }
  if (header.checksum != checksum_of(header)) {
    fail(ErrorCode::kFormat, "{}: the header's checksum is {:016x}, its content gives {:016x}: the file is damaged",
         name, header.checksum, checksum_of(header));
  }
  // Bounds first, so that the products below cannot overflow.
  const uint64_t size = bytes.size();
  const bool sane = (header.token_bytes == 2 || header.token_bytes == 4) && header.vocab_size > 0 &&
                    header.vocab_size <= (header.token_bytes == 2 ? kMaxNarrowVocabulary : kMaxVocabulary) &&
                    header.eot_id < header.vocab_size && header.token_count < size && header.document_count < size &&
                    header.document_count > 0;
  if (!sane) {
    fail(ErrorCode::kFormat, "{}: impossible header: {} bytes a token, vocabulary {}, eot {}, {} tokens, {} documents",
         name, header.token_bytes, header.vocab_size, header.eot_id, header.token_count, header.document_count);
  }
  const uint64_t offsets_begin = round_up_to_8(sizeof(Header) + header.token_count * header.token_bytes);
  const uint64_t expected_size = offsets_begin + (header.document_count + 1) * sizeof(uint64_t);
  if (header.offsets_begin != offsets_begin || header.file_size != expected_size || size != expected_size) {
    fail(ErrorCode::kFormat,
         "{}: the file has {} bytes and its header says {}, but {} tokens and {} documents take {}: it is truncated or "
         "damaged; prepare it again from the text",
         name, size, header.file_size, header.token_count, header.document_count, expected_size);
  }
  wide_ = header.token_bytes == 4;
  const std::byte* const tokens = bytes.data() + sizeof(Header);
  tokens32_ = wide_ ? reinterpret_cast<const uint32_t*>(tokens) : nullptr;
  tokens16_ = wide_ ? nullptr : reinterpret_cast<const uint16_t*>(tokens);
  offsets_ = {reinterpret_cast<const uint64_t*>(bytes.data() + offsets_begin), header.document_count + 1};
  token_count_ = header.token_count;
  fingerprint_ = header.tokenizer_fingerprint;
  vocab_size_ = static_cast<uint32_t>(header.vocab_size);
  eot_id_ = static_cast<uint32_t>(header.eot_id);
  if (header.version != kVersionWithoutSum) content_sum_ = header.content_sum;
}

void TokenFile::check_contents() const {
  for (uint64_t i = 0; i < token_count_; ++i) {
    if ((*this)[i] >= vocab_size_) {
      fail(ErrorCode::kFormat, "{}: token {} is id {}, beyond the vocabulary of {}", path().string(), i, (*this)[i],
           vocab_size_);
    }
  }
  bool good = offsets_.front() == 0 && offsets_.back() == token_count_;
  for (size_t i = 0; good && i < document_count(); ++i) {
    good = offsets_[i] < offsets_[i + 1] && offsets_[i + 1] <= token_count_;
    if (good && (*this)[offsets_[i + 1] - 1] != eot_id_) {
      fail(ErrorCode::kFormat, "{}: document {} ends with id {}, not with the eot id {}", path().string(), i,
           (*this)[offsets_[i + 1] - 1], eot_id_);
    }
  }
  if (!good) {
    fail(ErrorCode::kFormat, "{}: the document offsets do not rise from 0 to the {} tokens: the file is damaged",
         path().string(), token_count_);
  }
  const uint64_t sum = content_sum_ ? checksum(file_.bytes().subspan(sizeof(Header))) : 0;
  if (content_sum_ && sum != *content_sum_) {
    fail(
        ErrorCode::kFormat,
        "{}: the checksum of its tokens is {}, the header says {}: the file is damaged; prepare it again from the text",
        path().string(), checksum_text(sum), checksum_text(*content_sum_));
  }
}

void TokenFile::read(uint64_t begin, std::span<uint32_t> out) const {
  if (begin > token_count_ || out.size() > token_count_ - begin) {
    fail(ErrorCode::kInvalidArgument, "{}: tokens {} to {} were asked for, it has {}", path().string(), begin,
         begin + out.size(), token_count_);
  }
  if (wide_) {
    std::copy_n(tokens32_ + begin, out.size(), out.begin());
  } else {
    std::copy_n(tokens16_ + begin, out.size(), out.begin());
  }
  file_.check();
  if (std::any_of(out.begin(), out.end(), [&](uint32_t id) { return id >= vocab_size_; }))
    fail(ErrorCode::kIo, "{}: was written to while it was read: an id beyond the vocabulary of {} is in it now",
         path().string(), vocab_size_);
}

void TokenFile::check_tokenizer(const Tokenizer& tokenizer) const {
  if (tokenizer.fingerprint() == fingerprint_ && tokenizer.vocab_size() == vocab_size_) {
    if (!tokenizer.has_eot() || tokenizer.eot_id() == eot_id_) return;
    fail(ErrorCode::kInvalidArgument,
         "{}: its documents end with {} (id {}), the tokenizer given ends them with {} (id {}); name one of the two "
         "with "
         "--end-token, or prepare it again",
         path().string(), quote(tokenizer.token_bytes(eot_id_)), eot_id_, quote(tokenizer.end_of_text()),
         tokenizer.eot_id());
  }
  fail(ErrorCode::kInvalidArgument,
       "{}: made with another tokenizer (fingerprint {:016x}, vocabulary {}) than the one given (fingerprint {:016x}, "
       "vocabulary {}); prepare it again with this one",
       path().string(), fingerprint_, vocab_size_, tokenizer.fingerprint(), tokenizer.vocab_size());
}

}  // namespace fabula::text
