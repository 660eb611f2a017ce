#include "train/start_from.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "base/log.hpp"
#include "formats/config_io.hpp"
#include "formats/match_tensors.hpp"
#include "formats/token_map_tensors.hpp"
#include "heads/token_groups.hpp"
#include "models/weights.hpp"
#include "text/tokenizer_files.hpp"
#include "train/number_check.hpp"
#include "train/tensor_list.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;

bool has(const fs::path& folder, const char* name) {
  return fs::exists(FolderUpdate::current(folder, name));
}

/// The tokenizer of a folder, whichever form it has; empty: there is none.
fs::path tokenizer_in(const fs::path& folder) {
  const bool there = has(folder, "tokenizer.json") || (has(folder, "vocab.json") && has(folder, "merges.txt"));
  return there ? folder : fs::path();
}

bool is_cut_of(const std::vector<std::int64_t>& small, const std::vector<std::int64_t>& large) {
  return !small.empty() && small.size() == large.size() && small[0] < large[0] &&
         std::equal(small.begin() + 1, small.end(), large.begin() + 1);
}

/// What a model takes from a folder, tensor by tensor.
struct Taken {
  std::vector<std::string> whole, cut;  ///< parameters
  std::vector<NamedTensor> fresh, first_rows, unused;
};

/// `fresh_tokens`, `fresh_head`: why what depends on the tokens, or on the token map, starts fresh; empty: it does not.
Taken choose(const ParameterFinder& finder, const ExpectedTensors& expected, const std::string& fresh_tokens,
             const std::string& fresh_head) {
  Taken taken;
  std::set<std::string> seen;  // names in the folder
  for (const TensorSpec& spec : finder.specs()) {
    const bool of_head = !spec.head.empty();
    // A row a position or a token: the first rows are a smaller table, those behind stand for what is not used.
    const bool may_be_cut = !spec.rows_key.empty();
    const bool depends_on_tokens = of_head || &spec == &finder.specs().front();
    const std::string* name = finder.name_of(spec.name);
    if (name != nullptr) seen.insert(*name);
    const auto fresh = [&](std::string why) { taken.fresh.push_back({spec.name, std::move(why)}); };
    if (name == nullptr) {
      fresh("not there");
      continue;
    }
    const std::vector<std::int64_t> shape = finder.shape_of(spec.name);
    if (!fresh_tokens.empty() && depends_on_tokens) {
      fresh(fresh_tokens);
    } else if (!fresh_head.empty() && of_head) {
      fresh(fresh_head);
    } else if (!holds_weights(finder.tensors().info(*name).dtype)) {
      fresh(fmt::format("{} there", dtype_name(finder.tensors().info(*name).dtype)));
    } else if (shape == spec.shape) {
      taken.whole.push_back(spec.name);
    } else if (may_be_cut && is_cut_of(spec.shape, shape)) {
      taken.cut.push_back(spec.name);
      taken.first_rows.push_back({spec.name, fmt::format("{} of {}", spec.shape[0], shape[0])});
    } else {
      fresh(fmt::format("{} there, {} here", shape_text(shape), shape_text(spec.shape)));
    }
  }
  for (const std::string& name : finder.tensors().names()) {
    const std::string plain = without_wrappers(name);
    if (seen.contains(name) || expected.is_buffer(plain) || finder.repeats(plain)) continue;
    taken.unused.push_back({plain, ""});
  }
  return taken;
}

/// Does the map that the folder's head was trained with mean the same as the model's?
bool same_map(const fs::path& folder, const ModelTensors& tensors, const models::LanguageModel& model) {
  const TokenMap* own = model.head().token_map();
  const fs::path path = FolderUpdate::current(folder, kTokenMapFile);
  const std::int64_t V = model.config().vocab_size;
  try {
    if (fs::exists(path)) return *own == read_token_map(path, V);
    return *own == read_token_map_tensors(tensors, V).value_or(heads::consecutive_map(model.config()));
  } catch (const Error&) {
    return false;
  }
}

/// Is it a map that a head of these sizes can have?
bool fits(const TokenMap& map, const ModelConfig& model) {
  if (model.head.kind == HeadKind::kAdaptive) {
    const TokenMap sizes = heads::consecutive_map(model);
    return map.shortlist.size() == sizes.shortlist.size() &&
           std::equal(map.groups.begin(), map.groups.end(), sizes.groups.begin(), sizes.groups.end(),
                      [](const auto& left, const auto& right) { return left.size() == right.size(); });
  }
  return static_cast<std::int64_t>(map.shortlist.size()) == model.head.shortlist &&
         static_cast<std::int64_t>(map.groups.size()) == model.groups() &&
         std::all_of(map.groups.begin(), map.groups.end(),
                     [&](const auto& group) { return static_cast<std::int64_t>(group.size()) <= model.slots(); });
}

}  // namespace

StartFrom::StartFrom(fs::path folder, fs::path tokenizer)
    : folder_(std::move(folder)), named_tokenizer_(std::move(tokenizer)), tensors_([&] {
        if (!fs::is_directory(folder_))
          fail(ErrorCode::kNotFound, "--from {} is not a folder; name a run folder or a Hugging Face folder",
               folder_.string());
        return ModelTensors::open(folder_);
      }()) {
  try {
    if (has(folder_, "config.json"))
      config_ = load_config(FolderUpdate::current(folder_, "config.json"), {}, ConfigNotes::kSilent);
  } catch (const Error&) {
    // The weights are taken by name and shape: a config that this program does not read is no obstacle.
  }
  try {
    if (const fs::path path = tokenizer_in(folder_); !path.empty()) tokenizer_ = text::load_tokenizer(path);
  } catch (const Error& error) {
    tokenizer_error_ = error.what();
  }
  if (has(folder_, "state.json")) step_ = read_run_state(FolderUpdate::current(folder_, "state.json")).step;
}

std::string StartFrom::description() const {
  return folder_.string() + (step_ ? fmt::format(" (step {})", *step_) : "");
}

fs::path StartFrom::tokenizer_for(const RunConfig& config) const {
  if (!named_tokenizer_.empty()) return named_tokenizer_;
  if (!tokenizer_error_.empty())
    fail(ErrorCode::kUnsupported, "{}; name the tokenizer of the new run with --tokenizer", tokenizer_error_);
  if (!tokenizer_) return {};
  const std::int64_t wanted = config.model.vocab_size, own = tokenizer_->vocab_size();
  // A model of the folder's own number of tokens wants the folder's tokenizer, even where that has fewer.
  const bool of_model = config_ && config_->model.vocab_size == wanted;
  if (wanted == 0 || wanted == own || of_model) return tokenizer_in(folder_);
  warn("the tokenizer of {} has {} tokens, the config asks for {}: one is learned from the text", folder_.string(), own,
       wanted);
  return {};
}

bool StartFrom::has_tokens_of(const text::Tokenizer& tokenizer) const {
  if (tokenizer_) return tokenizer_->parts().tokens == tokenizer.parts().tokens;
  return !named_tokenizer_.empty();  // the user's word is taken; one that was learned just now is another
}

std::optional<TokenMap> StartFrom::token_map_for(const RunConfig& config, const text::Tokenizer& tokenizer) const {
  const fs::path path = FolderUpdate::current(folder_, kTokenMapFile);
  const HeadConfig& head = config.model.head;
  if (!head.has_map() || !has_tokens_of(tokenizer)) return std::nullopt;
  if (config_ && (config_->model.head.kind != head.kind || config_->model.head.map != head.map ||
                  config_->model.head.map_file != head.map_file))
    return std::nullopt;
  std::optional<TokenMap> found;
  try {
    found = fs::exists(path) ? read_token_map(path, config.model.vocab_size)
                             : read_token_map_tensors(tensors_, config.model.vocab_size);
  } catch (const Error&) {
    return std::nullopt;  // of another vocabulary: the weights that it is for have other shapes, too
  }
  if (!found) return std::nullopt;
  check_map_step(found->step, tensors_);
  if (head.map != GroupMap::kFile && !fits(*found, config.model)) return std::nullopt;  // a file gives the sizes itself
  info("the token map is that of {}", folder_.string());
  return found;
}

// Settings that leave no trace in names and shapes, and without which the weights compute something else.
void StartFrom::warn_of_other_meaning(const ModelConfig& model) const {
  if (!config_) return;
  const ModelConfig& source = config_->model;
  RunConfig was, is;
  was.model = is.model = source;
  is.model.heads = model.heads;
  is.model.layer_norm_epsilon = model.layer_norm_epsilon;
  if (source.family == model.family) {
    is.model.head_size = model.head_size;
    is.model.rope_theta = model.rope_theta;
    if (source.layers == model.layers) is.model.attention_layers = model.attention_layers;
  }
  is.model.window_size = model.window_size;
  is.model.head.class_input = model.head.class_input;
  if (const std::string differences = config_differences(was, is); !differences.empty())
    warn("the weights of {} were trained with other settings ({}): they start the model, and compute something else",
         folder_.string(), differences);
}

void StartFrom::load(graph::Runtime& runtime, const models::LanguageModel& model,
                     const text::Tokenizer& tokenizer) const {
  const ExpectedTensors expected = models::expected_tensors(model);
  const ParameterFinder finder(tensors_, expected.tensors);
  std::string fresh_tokens, fresh_head;
  if (!has_tokens_of(tokenizer))
    fresh_tokens = tokenizer_ ? "of another tokenizer" : "of a tokenizer that is not there: --tokenizer names it";
  if (model.config().head.has_map() && !same_map(folder_, tensors_, model)) fresh_head = "of another token map";
  const Taken taken = choose(finder, expected, fresh_tokens, fresh_head);

  const auto is_body = [&](const std::string& name) {
    const auto& body = model.body().parameters().specs();
    return std::any_of(body.begin(), body.end(), [&](const auto& spec) { return spec.name == name; });
  };
  const std::size_t count = taken.whole.size() + taken.cut.size();
  if (std::none_of(taken.whole.begin(), taken.whole.end(), is_body) &&
      std::none_of(taken.cut.begin(), taken.cut.end(), is_body))
    fail(ErrorCode::kInvalidArgument,
         "{} has nothing in common with the model of the config: no tensor of its body has a name and shape that is "
         "asked for. What is asked for: {}",
         tensors_.path().string(), list_tensors(taken.fresh));
  if (finder.transposed()) log_info(finder.note());
  std::vector<float> values;
  std::int64_t numbers = 0;
  for (const auto* names : {&taken.whole, &taken.cut})
    for (const graph::ParameterSpec& spec : model.parameters()) {
      if (std::find(names->begin(), names->end(), spec.name) == names->end()) continue;
      values.resize(static_cast<std::size_t>(spec.shape.count()));
      finder.read(spec.name, values);
      const std::string& name = *finder.name_of(spec.name);
      if (const std::string wrong = wrong_number(values, Numbers::kFinite); !wrong.empty())
        fail(ErrorCode::kFormat, "{}: tensor \"{}\": {}. A run cannot start from such a model",
             tensors_.file_of(name).path().string(), name, wrong);
      runtime.upload(spec.name, values);
      numbers += spec.shape.count();
    }
  std::string note = fmt::format("starting from {}: {} of {} tensors, {:.2f} of {:.2f} M parameters", description(),
                                 count, expected.tensors.size(), 1e-6 * static_cast<double>(numbers),
                                 1e-6 * static_cast<double>(model.parameter_count()));
  const auto add = [&](const char* what, const std::vector<NamedTensor>& list) {
    if (!list.empty()) note += fmt::format("\n  {}: {}", what, list_tensors(list));
  };
  add("fresh", taken.fresh);
  add("only the first rows", taken.first_rows);
  add("not used", taken.unused);
  log_info(note);
  warn_of_other_meaning(model.config());
}

void check_other_folder(const fs::path& from, const fs::path& out) {
  std::error_code code;
  if (fs::equivalent(from, out, code) && !code)
    fail(
        ErrorCode::kInvalidArgument,
        "--from and --out are the same folder, {}: a run does not start from itself. Choose another --out, or continue "
        "the run with --resume auto and without --from",
        out.string());
}

void check_same_start(const RunState& saved, const fs::path& from) {
  const auto it = saved.texts.find(kStartKey);
  const std::string then = it == saved.texts.end() ? "fresh weights" : it->second;
  if (then == from.string() || then.starts_with(from.string() + " (step ")) return;
  warn("the run goes on from its own checkpoint of step {}, it was started from {}: --from {} has no effect",
       saved.step, then, from.string());
}

}  // namespace fabula::train
