#pragma once
#include <filesystem>
#include <string_view>

#include "text/text_ends.hpp"
#include "text/tokenizer.hpp"

namespace fabula::text {

/// The readers throw kNotFound or kIo when a file cannot be read, kFormat when it is not what it should be,
/// kUnsupported when it is valid but not BPE of bytes or with byte fallback, or asks for what fabula does not do. The
/// parsers take a file's content and its name for messages.

struct LoadOptions {
  std::string end_token;  ///< the text of the token that ends a document; empty: as the files say
};

/// A tokenizer from any of the forms below: a folder with tokenizer.json, or with vocab.json and merges.txt; a
/// tokenizer.json of any name; a vocab.json with merges.txt beside it; a *.tiktoken named after its vocabulary; a *.bin
/// of llama2.c. Beside
/// tokenizer.json and vocab.json the files that FolderTokens lists are read too.
Tokenizer load_tokenizer(const std::filesystem::path& path, const LoadOptions& options = {});
/// The first of these forms, of files that lie anywhere.
Tokenizer load_tokenizer(const ModelSource& source, const LoadOptions& options = {});

/// The same from a vocab.json and a merges.txt that may lie apart.
Tokenizer load_gpt2(const std::filesystem::path& vocab, const std::filesystem::path& merges,
                    const LoadOptions& options = {});

/// Hugging Face tokenizer.json: model BPE with a ByteLevel pre-tokenizer, or Split patterns followed by one; or with
/// byte_fallback and spaces as Llama 2 has them.
Tokenizer read_tokenizer_json(const std::filesystem::path& path);
Tokenizer parse_tokenizer_json(std::string_view json, std::string_view name);
/// The same format, for fabula and Hugging Face alike; written whole or not at all.
void write_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path);
std::string tokenizer_json(const Tokenizer& tokenizer);

/// GPT-2's vocab.json and merges.txt, with the GPT-2 pre-tokenizer, and what the files beside them name.
Tokenizer import_gpt2(const MappedFile& vocab, const MappedFile& merges, const FolderTokens& beside = {});
inline Tokenizer import_gpt2(const std::filesystem::path& vocab, const std::filesystem::path& merges,
                             const FolderTokens& beside = {}) {
  return import_gpt2(MappedFile(vocab), MappedFile(merges), beside);
}
Tokenizer parse_gpt2(std::string_view vocab_json, std::string_view vocab_name, std::string_view merges_text,
                     std::string_view merges_name, const FolderTokens& beside = {});

/// A tiktoken rank file: lines of `base64 rank`. `vocabulary` names the pattern and special tokens: "gpt2" (r50k_base),
/// "cl100k_base" or "o200k_base".
Tokenizer import_tiktoken(const std::filesystem::path& path, std::string_view vocabulary);
Tokenizer parse_tiktoken(std::string_view ranks, std::string_view name, std::string_view vocabulary);

/// llama2.c's tokenizer.bin: SentencePiece BPE by scores, with byte fallback. The tokens are llama2.c's for any text,
/// but for one that spells <s> or another token of a name, which stays text.
Tokenizer import_llama2c(const std::filesystem::path& path);
Tokenizer parse_llama2c(std::string_view bytes, std::string_view name);
/// The same format, from which parse_llama2c makes this tokenizer again. Error kUnsupported with the reason where it
/// cannot say what the tokenizer does.
std::string llama2c_tokenizer(const Tokenizer& tokenizer);

}  // namespace fabula::text
