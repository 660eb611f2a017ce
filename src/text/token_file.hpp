#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "text/text_file.hpp"
#include "text/tokenizer.hpp"

namespace fabula::text {

struct TokenFileCounts {
  uint64_t documents = 0;
  uint64_t tokens = 0;             ///< with the one that ends each document
  uint64_t bytes = 0;              ///< of text
  std::vector<std::string> notes;  ///< of the text files (TextFile::notes)
};

/// Tokenizes text files into one token file: documents as TextFile finds them, in order, each ending with the
/// tokenizer's eot token. Added tokens in the texts become their ids. The file appears whole or not at all. Throws
/// kInvalidArgument when the texts hold no document.
TokenFileCounts prepare_token_file(std::span<const std::filesystem::path> texts, const Tokenizer& tokenizer,
                                   const std::filesystem::path& out, size_t threads = 0,
                                   const TextOptions& options = {});

/// Does the file start as a token file does? Error kNotFound, kIo.
bool is_token_file(const std::filesystem::path& path);

/// A token file, memory-mapped. Little-endian layout: a header of 128 bytes, the tokens (2 bytes each for a vocabulary
/// of up to 65,536, else 4), padding to a multiple of 8, then documents + 1 offsets of 8 bytes: where each document
/// starts, in tokens.
class TokenFile {
 public:
  /// Checks everything: the header's checksum, the size, the offsets, every id, the checksum of tokens and offsets
  /// (files of version 1 have none). Throws kFormat naming the file and the numbers.
  explicit TokenFile(const std::filesystem::path& path);

  uint64_t size() const { return token_count_; }
  uint32_t operator[](uint64_t index) const { return wide_ ? tokens32_[index] : tokens16_[index]; }
  /// Copies the tokens [begin, begin + out.size()), which must lie within size(): ids below vocab_size(), whatever
  /// happens to the file meanwhile. Error kIo naming it when it was cut short or written to.
  void read(uint64_t begin, std::span<uint32_t> out) const;
  /// Calls visit(tokens) for the tokens [begin, begin + count) in runs, as read() gives them.
  template <class Visit>
  void for_each_run(uint64_t begin, uint64_t count, const Visit& visit) const {
    std::vector<uint32_t> run;
    for (const uint64_t end = begin + count; begin < end; begin += run.size()) {
      run.resize(static_cast<size_t>(std::min<uint64_t>(end - begin, uint64_t{64} << 10)));
      read(begin, run);
      visit(std::span<const uint32_t>(run));
    }
  }

  uint64_t document_count() const { return offsets_.size() - 1; }
  /// Where document i starts; document_count() gives size(). [document_count() + 1]
  std::span<const uint64_t> document_offsets() const { return offsets_; }

  uint32_t vocab_size() const { return vocab_size_; }
  uint32_t eot_id() const { return eot_id_; }
  uint64_t tokenizer_fingerprint() const { return fingerprint_; }
  /// Throws kInvalidArgument unless the file was made with this tokenizer.
  void check_tokenizer(const Tokenizer& tokenizer) const;
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void read_header();
  void check_contents() const;

  MappedFile file_;
  bool wide_ = false;
  const uint16_t* tokens16_ = nullptr;  // one of the two, by wide_
  const uint32_t* tokens32_ = nullptr;
  std::span<const uint64_t> offsets_;
  uint64_t token_count_ = 0, fingerprint_ = 0;
  std::optional<uint64_t> content_sum_;  // none in version 1
  uint32_t vocab_size_ = 0, eot_id_ = 0;
};

}  // namespace fabula::text
