#include "base/fail.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::text {
namespace {

namespace fs = std::filesystem;

constexpr const char *kJson = "tokenizer.json", *kVocab = "vocab.json", *kMerges = "merges.txt";

Tokenizer read_source(const ModelSource& source, const FolderTokens& tokens) {
  if (source.has(kJson)) {
    const MappedFile file = source.open(kJson);
    return file.checked([&] { return parse_tokenizer_json(file.text(), file.path().string()); });
  }
  if (!source.has(kVocab) || !source.has(kMerges)) {
    fail(ErrorCode::kNotFound, "{} has no tokenizer.json (nor vocab.json with merges.txt)", source.name());
  }
  return import_gpt2(source.open(kVocab), source.open(kMerges), tokens);
}

/// A file of another name may lie in any folder: what is beside it need not belong to it.
FolderTokens tokens_beside(const fs::path& path) {
  const fs::path name = path.filename();
  if (name != "tokenizer.json" && name != "vocab.json") return {};
  return read_folder_tokens(path.has_parent_path() ? path.parent_path() : ".");
}

Tokenizer with_end_token(Tokenizer tokenizer, const FolderTokens& tokens, const std::string& name,
                         const LoadOptions& options) {
  if (options.end_token.empty()) {
    settle_end_token(tokenizer, tokens);
    return tokenizer;
  }
  try {
    tokenizer.set_end_token(options.end_token);
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", name, error.what());
  }
  return tokenizer;
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& path, const LoadOptions& options) {
  if (fs::is_directory(path)) return load_tokenizer(FolderSource(path), options);
  if (path.filename() == "vocab.json") return load_gpt2(path, fs::path(path).replace_filename("merges.txt"), options);
  Tokenizer tokenizer = path.extension() == ".tiktoken" ? import_tiktoken(path, path.stem().string())
                        : path.extension() == ".bin"    ? import_llama2c(path)
                                                        : read_tokenizer_json(path);
  return with_end_token(std::move(tokenizer), tokens_beside(path), path.string(), options);
}

Tokenizer load_tokenizer(const ModelSource& source, const LoadOptions& options) {
  const FolderTokens tokens = read_folder_tokens(source);
  return with_end_token(read_source(source, tokens), tokens, source.name(), options);
}

Tokenizer load_gpt2(const fs::path& vocab, const fs::path& merges, const LoadOptions& options) {
  const FolderTokens tokens = tokens_beside(vocab);
  return with_end_token(import_gpt2(vocab, merges, tokens), tokens, vocab.string(), options);
}

}  // namespace fabula::text
