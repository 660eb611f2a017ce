#include "train/data_set.hpp"

#include <algorithm>
#include <cmath>
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
constexpr std::size_t kHeldOutShare = 50;  // one document in 50 of a text without a validation text

/// A text or token file of a run and, if it is a text, how it is read.
struct Text {
  fs::path path;
  text::TextOptions options;
};
// Texts that were written here hold what is to be tokenized already.
constexpr text::TextOptions kAsWritten{.keep_line_ends = true, .bytes = true};

/// The texts of a run, and how they came about.
struct Texts {
  Text train, valid;
  std::string description;
};

/// What the files in RUN/data were made from, kept beside them: a later command with other texts must not find them.
struct Source {
  std::string texts;      ///< the texts' contents, as fingerprints
  std::string tokenizer;  ///< where it comes from
};
constexpr const char* kSourceFile = "source.txt";
// What texts become tokens by. Files that other rules have made are made anew, unless a run has a checkpoint with them.
constexpr std::string_view kRules = "added tokens in texts are tokens, line ends are LF\n";
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
  if (options.valid_fraction > 0) source.texts += fmt::format(", {} held out", options.valid_fraction);
  if (options.text.keep_line_ends) source.texts += ", line ends kept";
  if (options.text.bytes) source.texts += ", as bytes";
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
  const std::string now = fmt::format("{}\n{}\n{}", source.texts, source.tokenizer, kRules);
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

void write_documents(const text::TextFile& file, std::size_t begin, std::size_t end, const fs::path& path) {
  AtomicFile out(path);
  for (std::size_t i = begin; i < end; ++i)  // one by one: what changes in a document is copied
    file.checked([&] { out.write(text::ended_document(file.documents(i, i + 1).views.front())); });
  out.commit();
}

Texts built_in_texts(const DataOptions& options, const fs::path& folder) {
  Texts texts{{folder / "stories-train.txt", kAsWritten},
              {folder / "stories-valid.txt", kAsWritten},
              fmt::format("{} built-in stories (seed {})", options.corpus_stories, options.corpus_seed)};
  if (fs::exists(texts.train.path) && fs::exists(texts.valid.path)) return texts;
  info("writing {}", texts.description);
  text::write_corpus_file(texts.train.path, options.corpus_seed, options.corpus_stories);
  // Another seed: stories that training does not see.
  text::write_corpus_file(texts.valid.path, options.corpus_seed ^ 0x9E3779B97F4A7C15ull,
                          std::max<std::uint64_t>(options.corpus_stories / kHeldOutShare, 1));
  return texts;
}

/// Where the last part of a document starts, about `fraction` of it: at a line, else a word, else a character.
std::size_t start_of_last(std::string_view document, double fraction) {
  const auto wanted = static_cast<std::size_t>(static_cast<double>(document.size()) * fraction);
  const std::size_t at = document.size() - std::clamp<std::size_t>(wanted, 1, document.size());
  for (const char* const separator : {"\n", " "}) {
    const std::size_t found = document.substr(0, at).rfind(separator);
    if (found != std::string_view::npos && at - found <= wanted) return found + 1;
  }
  std::size_t start = at;
  while (start > 0 && (static_cast<unsigned char>(document[start]) & 0xc0) == 0x80) --start;
  return start;
}

/// Writes the two parts of a single document.
void hold_out_of_one(std::string_view document, const DataOptions& options, const Texts& texts) {
  const std::size_t start = start_of_last(document, options.valid_fraction);
  const std::string_view train = text::trimmed_document(document.substr(0, start)),
                         valid = text::trimmed_document(document.substr(start));
  if (text::is_blank(train) || text::is_blank(valid))
    fail(ErrorCode::kInvalidArgument, "{}: its only document has {} bytes, too few to hold {} of it out for validation",
         options.data.string(), document.size(), options.valid_fraction);
  write_file_atomically(texts.train.path, text::ended_document(train));
  write_file_atomically(texts.valid.path, text::ended_document(valid));
}

/// How many of several documents are held out.
std::size_t held_out_of(std::size_t documents, double fraction) {
  const auto held_out = fraction > 0 ? static_cast<std::size_t>(std::llround(static_cast<double>(documents) * fraction))
                                     : documents / kHeldOutShare;
  return std::clamp<std::size_t>(held_out, 1, documents - 1);
}

Texts given_texts(const DataOptions& options, const fs::path& folder, std::string_view end_token) {
  const Text given{options.data, options.text};
  Texts texts{given, {}, options.data.filename().string()};
  if (!options.valid.empty()) return texts;
  const text::TextFile file(options.data, options.text, end_token);
  const std::size_t documents = file.document_count();
  if (documents == 0)
    fail(ErrorCode::kInvalidArgument, "{} holds no text ({} bytes)", options.data.string(), file.bytes());
  if (documents == 1 && options.valid_fraction == 0) return texts;
  texts.train = {folder / "train.txt", kAsWritten};
  texts.valid = {folder / "valid.txt", kAsWritten};
  const std::size_t held_out = documents == 1 ? 0 : held_out_of(documents, options.valid_fraction);
  texts.description += documents == 1 ? fmt::format(", the last {:.4g} % held out", 100 * options.valid_fraction)
                                      : fmt::format(", the last {} of {} documents held out", held_out, documents);
  if (fs::exists(texts.train.path) && fs::exists(texts.valid.path)) return texts;
  for (const std::string& note : file.notes()) log_info(note);
  if (documents == 1) {
    file.checked([&] { hold_out_of_one(file.documents().views.front(), options, texts); });
  } else {
    write_documents(file, 0, documents - held_out, texts.train.path);
    write_documents(file, documents - held_out, documents, texts.valid.path);
  }
  return texts;
}

text::Tokenizer learn_tokenizer(const Text& text, std::int64_t vocab_size) {
  const text::TextFile file(text.path, text.options);
  const text::Documents documents = file.documents();
  text::TrainBpeOptions options;
  options.vocab_size = vocab_size > 0 ? static_cast<std::uint32_t>(vocab_size) : kDefaultVocabulary;
  info("learning a vocabulary of {} tokens from {}", options.vocab_size, text.path.filename().string());
  return file.checked([&] { return text::train_bpe(documents.views, options); });
}

std::unique_ptr<text::TokenFile> tokenize(const Text& text, const text::Tokenizer& tokenizer, const fs::path& out) {
  if (fs::exists(out)) {
    auto existing = std::make_unique<text::TokenFile>(out);
    existing->check_tokenizer(tokenizer);
    return existing;
  }
  const text::TokenFileCounts counts =
      text::prepare_token_file(std::vector<fs::path>{text.path}, tokenizer, out, 0, text.options);
  for (const std::string& note : counts.notes) log_info(note);
  info("{}: {} documents, {} tokens", text.path.filename().string(), counts.documents, counts.tokens);
  return std::make_unique<text::TokenFile>(out);
}

std::unique_ptr<text::TokenFile> open_tokens_or_text(const Text& text, const text::Tokenizer& tokenizer,
                                                     const fs::path& out) {
  if (!text::is_token_file(text.path)) return tokenize(text, tokenizer, out);
  auto file = std::make_unique<text::TokenFile>(text.path);
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

/// The tokenizer that is named, or that a run has already; null: it is to be learned.
std::unique_ptr<text::Tokenizer> existing_tokenizer(const DataOptions& options, const fs::path& run) {
  for (const fs::path& path : {options.tokenizer, run / "tokenizer.json", run / "data" / "tokenizer.json"})
    if (!path.empty() && (path == options.tokenizer || fs::exists(path)))
      return std::make_unique<text::Tokenizer>(text::load_tokenizer(path, {.end_token = options.end_token}));
  return nullptr;
}

Texts texts_of(const DataOptions& options, const fs::path& folder, bool tokens_given, std::string_view end_token) {
  if (options.valid_fraction > 0 && (tokens_given || options.data.empty() || !options.valid.empty()))
    fail(ErrorCode::kInvalidArgument, "a fraction for validation is held out of a text; {}",
         tokens_given           ? options.data.string() + " holds tokens: name validation tokens with --valid"
         : options.data.empty() ? "the built-in stories have a validation text of their own"
                                : "--valid names a validation text");
  Texts texts = tokens_given           ? Texts{{options.data, {}}, {}, options.data.filename().string()}
                : options.data.empty() ? built_in_texts(options, folder)
                                       : given_texts(options, folder, end_token);
  if (!options.valid.empty()) texts.valid = {options.valid, options.text};
  if (texts.valid.path.empty())
    info("no validation: name {} for it with --valid{}", tokens_given ? "tokens" : "a text",
         tokens_given ? "" : ", or hold the end of this single document out with --valid-fraction");
  return texts;
}

}  // namespace

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

DataSet open_data(const DataOptions& options, RunConfig& config, const fs::path& run) {
  const fs::path folder = run / "data";
  check_no_link_out(run, "data");
  ensure_directory(folder);
  for (const std::string_view name : kMadeFiles) check_no_link_out(run, fmt::format("data/{}", name));
  check_no_link_out(run, fmt::format("data/{}", kSourceFile));
  settle_source(folder, options, config, fs::exists(run / "state.json"));
  DataSet result;
  const bool tokens_given = !options.data.empty() && text::is_token_file(options.data);
  result.tokenizer = existing_tokenizer(options, run);
  if (!result.tokenizer && tokens_given)
    fail(ErrorCode::kInvalidArgument, "{} holds tokens, not text: name the tokenizer that made it with --tokenizer",
         options.data.string());
  const auto settle = [&] {
    settle_ends(config, *result.tokenizer, !options.tokenizer.empty() && options.end_token.empty());
  };
  if (result.tokenizer) settle();  // before texts are split where documents end
  const bool has_end = result.tokenizer && result.tokenizer->has_eot();
  const Texts texts = texts_of(options, folder, tokens_given,
                               has_end ? result.tokenizer->token_bytes(result.tokenizer->eot_id()) : text::kEndOfText);
  result.description = texts.description;
  if (!result.tokenizer) {
    result.tokenizer = std::make_unique<text::Tokenizer>(learn_tokenizer(texts.train, config.model.vocab_size));
    if (!options.end_token.empty()) result.tokenizer->set_end_token(options.end_token);
    settle();
    text::write_tokenizer_json(*result.tokenizer, folder / "tokenizer.json");
  }
  for (const std::string& note : result.tokenizer->notes()) log_warn(note);
  settle_vocabulary(config, *result.tokenizer);
  result.train = open_tokens_or_text(texts.train, *result.tokenizer, folder / "train.tokens");
  if (!texts.valid.path.empty())
    result.valid = open_tokens_or_text(texts.valid, *result.tokenizer, folder / "valid.tokens");
  std::optional<TokenMap> map;
  if (options.map != nullptr) map = *options.map;
  if (options.from != nullptr) map = options.from->token_map_for(config, *result.tokenizer);
  result.head = prepare_head(config, *result.train, run, std::move(map));
  return result;
}

}  // namespace fabula::train
