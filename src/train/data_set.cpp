#include "train/data_set.hpp"

#include <algorithm>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/folder_update.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/mapped_file.hpp"
#include "text/corpus.hpp"
#include "text/documents.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"
#include "train/head_data.hpp"
#include "train/start_from.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMaxTextBytes = 4ull << 30;
constexpr std::size_t kHeldOutShare = 50;  // one document in 50 of a text without a validation text

/// The texts of a run: files, and how they came about.
struct Texts {
  fs::path train, valid;
  std::string description;
};

/// What the files in RUN/data were made from, kept beside them: a later command with other texts must not find them.
struct Source {
  std::string texts;      ///< the texts' contents, as fingerprints
  std::string tokenizer;  ///< where it comes from
};
constexpr const char* kSourceFile = "source.txt";
constexpr std::string_view kMadeFiles[] = {"stories-train.txt", "stories-valid.txt", "train.txt",     "valid.txt",
                                           "train.tokens",      "valid.tokens",      "tokenizer.json"};

std::string fingerprint(const fs::path& path) {
  if (path.empty()) return "none";
  const MappedFile file(path);
  return fmt::format("{} bytes {:016x}", file.size(), file.checked([&] { return fnv1a(file.text()); }));
}

Source source_of(const DataOptions& options, const RunConfig& config) {
  Source source;
  source.texts = options.data.empty()
                     ? fmt::format("{} built-in stories of seed {}", options.corpus_stories, options.corpus_seed)
                     : "training text " + fingerprint(options.data);
  source.texts += ", validation text " + fingerprint(options.valid);
  source.tokenizer = options.tokenizer.empty() ? fmt::format("learned, {} tokens", config.model.vocab_size)
                                               : options.tokenizer.string();
  if (!options.end_token.empty()) source.tokenizer += ", documents end with " + options.end_token;
  return source;
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code code;
  return fs::equivalent(a, b, code) && !code;
}

/// Removes what other texts, or a preparation cut short, have left in RUN/data. Files that are not this program's stay.
void clear_folder(const fs::path& folder, const DataOptions& options) {
  const bool own = fs::exists(folder / kSourceFile);
  std::vector<fs::path> stale;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool made = std::find(std::begin(kMadeFiles), std::end(kMadeFiles), name) != std::end(kMadeFiles);
    const bool litter = name.front() == '.' && name.find(".tmp-") != std::string::npos;
    if (!made && !litter) continue;
    const bool given = same_file(entry.path(), options.data) || same_file(entry.path(), options.valid) ||
                       same_file(entry.path(), options.tokenizer);
    if (made && (given || !own))
      fail(ErrorCode::kInvalidArgument,
           "{} would be overwritten: the run keeps files of its own in that folder; move it elsewhere",
           entry.path().string());
    stale.push_back(entry.path());
  }
  for (const fs::path& path : stale) fs::remove(path);
}

/// Sees to it that RUN/data holds nothing made from other texts. A run with a checkpoint keeps to its texts.
void settle_source(const fs::path& folder, const DataOptions& options, const RunConfig& config, bool has_checkpoint) {
  const Source source = source_of(options, config);
  const fs::path path = folder / kSourceFile;
  const std::string now = source.texts + "\n" + source.tokenizer + "\n";
  const std::string then = fs::exists(path) ? read_file(path) : "";
  if (then == now) return;
  if (!has_checkpoint) {
    clear_folder(folder, options);
  } else if (!then.empty()) {
    const std::string texts_then = then.substr(0, then.find('\n'));
    if (texts_then == source.texts) return;
    fail(ErrorCode::kInvalidArgument,
         "{0} was trained on other texts ({1}; now {2}); name the same ones to continue, or train on the others in "
         "another folder, from these weights: --from {0} --out OTHER",
         folder.parent_path().string(), texts_then, source.texts);
  }
  write_file_atomically(path, now);
}

std::string join(std::span<const std::string_view> documents) {
  std::string text;
  for (std::string_view document : documents) text += text::ended_document(document);
  return text;
}

Texts built_in_texts(const DataOptions& options, const fs::path& folder) {
  Texts texts{folder / "stories-train.txt", folder / "stories-valid.txt",
              fmt::format("{} built-in stories (seed {})", options.corpus_stories, options.corpus_seed)};
  if (fs::exists(texts.train) && fs::exists(texts.valid)) return texts;
  info("writing {}", texts.description);
  text::write_corpus_file(texts.train, options.corpus_seed, options.corpus_stories);
  // Another seed: stories that training does not see.
  text::write_corpus_file(texts.valid, options.corpus_seed ^ 0x9E3779B97F4A7C15ull,
                          std::max<std::uint64_t>(options.corpus_stories / kHeldOutShare, 1));
  return texts;
}

Texts given_texts(const DataOptions& options, const fs::path& folder) {
  Texts texts{options.data, options.valid, options.data.filename().string()};
  if (!texts.valid.empty()) return texts;
  const std::string text = read_file(options.data, kMaxTextBytes);
  const std::vector<std::string_view> documents = text::split_documents(text);
  if (documents.empty())
    fail(ErrorCode::kInvalidArgument, "{} holds no text ({} bytes)", options.data.string(), text.size());
  if (documents.size() < 2) return texts;
  const std::size_t held_out = std::max<std::size_t>(1, documents.size() / kHeldOutShare);
  texts.train = folder / "train.txt";
  texts.valid = folder / "valid.txt";
  texts.description += fmt::format(", the last {} of {} documents held out", held_out, documents.size());
  if (fs::exists(texts.train) && fs::exists(texts.valid)) return texts;
  const std::span<const std::string_view> all(documents);
  write_file_atomically(texts.train, join(all.first(documents.size() - held_out)));
  write_file_atomically(texts.valid, join(all.last(held_out)));
  return texts;
}

text::Tokenizer learn_tokenizer(const fs::path& path, std::int64_t vocab_size) {
  const std::string text = read_file(path, kMaxTextBytes);
  const std::vector<std::string_view> documents = text::split_documents(text);
  text::TrainBpeOptions options;
  options.vocab_size = vocab_size > 0 ? static_cast<std::uint32_t>(vocab_size) : kDefaultVocabulary;
  info("learning a vocabulary of {} tokens from {}", options.vocab_size, path.filename().string());
  return text::train_bpe(documents, options);
}

std::unique_ptr<text::TokenFile> tokenize(const fs::path& text, const text::Tokenizer& tokenizer, const fs::path& out) {
  if (fs::exists(out)) {
    auto existing = std::make_unique<text::TokenFile>(out);
    existing->check_tokenizer(tokenizer);
    return existing;
  }
  const text::TokenFileCounts counts = text::prepare_token_file(std::vector<fs::path>{text}, tokenizer, out);
  info("{}: {} documents, {} tokens", text.filename().string(), counts.documents, counts.tokens);
  return std::make_unique<text::TokenFile>(out);
}

std::unique_ptr<text::TokenFile> open_tokens_or_text(const fs::path& path, const text::Tokenizer& tokenizer,
                                                     const fs::path& out) {
  if (!text::is_token_file(path)) return tokenize(path, tokenizer, out);
  auto file = std::make_unique<text::TokenFile>(path);
  file->check_tokenizer(tokenizer);
  return file;
}

/// States in the config the ids that this run's documents start and end with.
void settle_ends(RunConfig& config, text::Tokenizer& tokenizer, bool config_may_name) {
  ModelConfig& model = config.model;
  if (config_may_name && !tokenizer.parts().end) {
    const std::vector<std::uint32_t> named(model.eos_token_ids.begin(), model.eos_token_ids.end());
    if (const auto id = text::first_end_id(tokenizer, named)) tokenizer.set_end_token(tokenizer.token_bytes(*id));
  }
  if (!tokenizer.has_eot()) return;  // what needs one says so
  const std::int64_t eot = tokenizer.eot_id();
  std::vector<std::int64_t>& ids = model.eos_token_ids;
  const auto stated = std::find(ids.begin(), ids.end(), eot);
  if (stated != ids.end()) {
    std::rotate(ids.begin(), stated, stated + 1);  // generation stops at the others too
  } else {
    if (!ids.empty())
      info("eos_token_id: documents end with {} ({}), not with {} as the config says", eot, tokenizer.end_of_text(),
           fmt::join(ids, ", "));
    ids = {eot};
  }
  model.bos_token_id = eot;  // a document follows the end of another
}

void settle_vocabulary(RunConfig& config, const text::Tokenizer& tokenizer) {
  const std::int64_t V = tokenizer.vocab_size();
  if (config.model.vocab_size == 0) config.model.vocab_size = V;
  if (config.model.vocab_size != V)
    fail(ErrorCode::kInvalidArgument,
         "vocab_size is {} in the config, the tokenizer has {} tokens; set vocab_size to {} or null (take the "
         "tokenizer's)",
         config.model.vocab_size, V, V);
  validate_config(config, "config");
}

}  // namespace

DataSet open_data(const DataOptions& options, RunConfig& config, const fs::path& run) {
  const fs::path folder = run / "data";
  check_no_link_out(run, "data");
  ensure_directory(folder);
  for (const std::string_view name : kMadeFiles) check_no_link_out(run, fmt::format("data/{}", name));
  check_no_link_out(run, fmt::format("data/{}", kSourceFile));
  settle_source(folder, options, config, fs::exists(run / "state.json"));
  DataSet result;
  const bool tokens_given = !options.data.empty() && text::is_token_file(options.data);
  Texts texts;
  if (tokens_given)
    texts = {options.data, options.valid, options.data.filename().string()};
  else
    texts = options.data.empty() ? built_in_texts(options, folder) : given_texts(options, folder);
  if (!options.valid.empty()) texts.valid = options.valid;
  if (texts.valid.empty()) info("no validation: name a text for it with --valid");
  result.description = texts.description;

  const fs::path own_tokenizer = folder / "tokenizer.json";
  fs::path tokenizer = options.tokenizer;
  if (tokenizer.empty() && fs::exists(run / "tokenizer.json")) tokenizer = run / "tokenizer.json";
  if (tokenizer.empty() && fs::exists(own_tokenizer)) tokenizer = own_tokenizer;
  if (!tokenizer.empty()) {
    result.tokenizer =
        std::make_unique<text::Tokenizer>(text::load_tokenizer(tokenizer, {.end_token = options.end_token}));
  } else {
    if (tokens_given)
      fail(ErrorCode::kInvalidArgument, "{} holds tokens, not text: name the tokenizer that made it with --tokenizer",
           options.data.string());
    result.tokenizer = std::make_unique<text::Tokenizer>(learn_tokenizer(texts.train, config.model.vocab_size));
    if (!options.end_token.empty()) result.tokenizer->set_end_token(options.end_token);
    text::write_tokenizer_json(*result.tokenizer, own_tokenizer);
  }
  for (const std::string& note : result.tokenizer->notes()) log_warn(note);
  settle_ends(config, *result.tokenizer, !options.tokenizer.empty() && options.end_token.empty());
  settle_vocabulary(config, *result.tokenizer);
  result.train = open_tokens_or_text(texts.train, *result.tokenizer, folder / "train.tokens");
  if (!texts.valid.empty()) result.valid = open_tokens_or_text(texts.valid, *result.tokenizer, folder / "valid.tokens");
  std::optional<TokenMap> map;
  if (options.from != nullptr) map = options.from->token_map_for(config, *result.tokenizer);
  result.head = prepare_head(config, *result.train, run, std::move(map));
  return result;
}

}  // namespace fabula::train
