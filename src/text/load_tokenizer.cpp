#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::text {
namespace {

namespace fs = std::filesystem;

Tokenizer read_folder(const fs::path& folder, const FolderTokens& tokens) {
  const fs::path json = FolderUpdate::current(folder, "tokenizer.json");
  if (fs::exists(json)) return read_tokenizer_json(json);
  if (!fs::exists(folder / "vocab.json") || !fs::exists(folder / "merges.txt")) {
    fail(ErrorCode::kNotFound, "{} has no tokenizer.json (nor vocab.json with merges.txt)", folder.string());
  }
  return import_gpt2(folder / "vocab.json", folder / "merges.txt", tokens);
}

/// A file of another name may lie in any folder: what is beside it need not belong to it.
FolderTokens tokens_beside(const fs::path& path) {
  const fs::path name = path.filename();
  if (name != "tokenizer.json" && name != "vocab.json") return {};
  return read_folder_tokens(path.has_parent_path() ? path.parent_path() : ".");
}

Tokenizer with_end_token(Tokenizer tokenizer, const FolderTokens& tokens, const fs::path& path,
                         const LoadOptions& options) {
  if (options.end_token.empty()) {
    settle_end_token(tokenizer, tokens);
    return tokenizer;
  }
  try {
    tokenizer.set_end_token(options.end_token);
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", path.string(), error.what());
  }
  return tokenizer;
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& path, const LoadOptions& options) {
  if (fs::is_directory(path)) {
    const FolderTokens tokens = read_folder_tokens(path);
    return with_end_token(read_folder(path, tokens), tokens, path, options);
  }
  if (path.filename() == "vocab.json") return load_gpt2(path, fs::path(path).replace_filename("merges.txt"), options);
  Tokenizer tokenizer = path.extension() == ".tiktoken" ? import_tiktoken(path, path.stem().string())
                        : path.extension() == ".bin"    ? import_llama2c(path)
                                                        : read_tokenizer_json(path);
  return with_end_token(std::move(tokenizer), tokens_beside(path), path, options);
}

Tokenizer load_gpt2(const fs::path& vocab, const fs::path& merges, const LoadOptions& options) {
  const FolderTokens tokens = tokens_beside(vocab);
  return with_end_token(import_gpt2(vocab, merges, tokens), tokens, vocab, options);
}

}  // namespace fabula::text
