#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <set>

#include "base/fail.hpp"
#include "convert/gguf.hpp"
#include "convert/gguf_names.hpp"
#include "convert/gguf_numbers.hpp"
#include "convert/gguf_tokenizer.hpp"
#include "convert/output_folder.hpp"
#include "formats/config_io.hpp"
#include "infer/write_folder.hpp"
#include "text/utf8.hpp"

namespace fabula::convert {
namespace {

using Architecture = GgufArchitecture;

Architecture architecture_of(const GgufFile& file) {
  const std::string_view name = file.text("general.architecture").value_or("");
  const auto architecture = gguf_architecture(name);
  if (!architecture)
    fail(ErrorCode::kUnsupported,
         "{}: a model of architecture {}; gpt2, llama, and qwen2 without biases within its "
         "blocks are read",
         file.path().string(), name.empty() ? "that is not named" : text::quote(name));
  return *architecture;
}

/// Keys of the architecture that say nothing else than what the model computes anyway.
struct NeutralKey {
  std::string_view name;
  bool (*is_neutral)(const GgufFile&, const std::string& key);
};
bool any_value(const GgufFile&, const std::string&) {
  return true;
}
bool is_zero(const GgufFile& file, const std::string& key) {
  return file.integer(key) == 0;
}
bool is_none(const GgufFile& file, const std::string& key) {
  return file.text(key) == "none";
}
bool is_true(const GgufFile& file, const std::string& key) {
  return file.flag(key) == true;
}
bool is_one(const GgufFile& file, const std::string& key) {
  return file.number(key) == 1.0;
}
constexpr NeutralKey kNeutralKeys[] = {{"vocab_size", any_value},      {"tensor_data_layout", any_value},
                                       {"expert_count", is_zero},      {"expert_used_count", is_zero},
                                       {"rope.scaling.type", is_none}, {"rope.scaling.factor", is_one},
                                       {"attention.causal", is_true}};

class Import {
 public:
  explicit Import(const ImportOptions& options)
      : options_(options),
        file_(GgufFile::open(options.source)),
        source_(options.source.string()),
        architecture_(architecture_of(file_)),
        prefix_(std::string(name_of(architecture_)) + ".") {}

  ModelConfig run() {
    const std::optional<TensorDtype> dtype = dtype_of(options_.type);
    const RunConfig config = read_config();
    const GgufVocabulary vocabulary = read_tokenizer_keys(file_);
    RunConfig with_ends = config;
    settle_ends(with_ends.model, vocabulary);
    // As every command will read it: numbers that no config may have are refused here.
    with_ends = parse_config(config_json(with_ends), source_, {}, ConfigNotes::kSilent);
    const models::LanguageModel model(with_ends.model);
    std::vector<TensorSource> weights = sources(model, dtype);
    OutputFolder folder(options_.out, options_.overwrite, {options_.source});
    infer::write_model_folder(folder.update(), {.config = with_ends,
                                                .model = model,
                                                .tokenizer = vocabulary.tokenizer,
                                                .weights = std::move(weights),
                                                .stop_ids = vocabulary.tokens.stops});
    file_.check();
    folder.commit();
    return with_ends.model;
  }

 private:
  std::int64_t count(const char* key) {
    const auto value = file_.integer(asked(key));
    if (!value) fail(ErrorCode::kFormat, "{}: key \"{}{}\" is missing", source_, prefix_, key);
    return *value;
  }
  std::int64_t count(const char* key, std::int64_t otherwise) { return file_.integer(asked(key)).value_or(otherwise); }
  double number(const char* key, std::optional<double> otherwise = {}) {
    const auto value = file_.number(asked(key));
    if (!value && !otherwise) fail(ErrorCode::kFormat, "{}: key \"{}{}\" is missing", source_, prefix_, key);
    if (value && !std::isfinite(*value))
      fail(ErrorCode::kFormat, "{}: key \"{}{}\" is not finite", source_, prefix_, key);
    return value ? *value : *otherwise;
  }
  std::string asked(const char* key) { return *asked_.insert(prefix_ + key).first; }

  RunConfig read_config() {
    RunConfig config = default_config(family_of(architecture_));
    ModelConfig& model = config.model;
    model.n_positions = count("context_length");
    model.hidden = count("embedding_length");
    model.layers = count("block_count");
    model.inner = count("feed_forward_length");
    model.heads = count("attention.head_count");
    const std::int64_t least_heads = std::max<std::int64_t>(1, model.heads);
    if (architecture_ == Architecture::kGpt2) {
      model.layer_norm_epsilon = shortest(number("attention.layer_norm_epsilon"));
    } else {
      model.kv_heads = count("attention.head_count_kv", model.heads);
      model.layer_norm_epsilon = shortest(number("attention.layer_norm_rms_epsilon"));
      model.head_size = count("attention.key_length", model.hidden / least_heads);
      for (const char* const key : {"attention.value_length", "rope.dimension_count"})
        if (const std::int64_t size = count(key, model.head_size); size != model.head_size)
          fail(ErrorCode::kUnsupported, "{}: {}{} is {}, heads of {} numbers throughout are read", source_, prefix_,
               key, size, model.head_size);
      model.rope_theta = shortest(number("rope.freq_base", 10000.0));
    }
    model.vocab_size = rows_of_tokens();
    model.tie_word_embeddings = is_tied();
    model.head.bias = file_.contains(kGgufOutputBias);
    refuse_other_keys();
    check_bounds(model);
    return config;
  }

  /// A number of fp32 as the decimal number that was meant: 1e-05.
  static double shortest(double value) {
    const std::string text = fmt::format("{}", static_cast<float>(value));
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }

  std::int64_t rows_of_tokens() const {
    const GgufTensorInfo& info = file_.info(kGgufTokens);
    if (info.shape.size() != 2)
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" is {}, expected a table", source_, kGgufTokens,
           shape_text(info.shape));
    return info.shape[0];
  }

  /// Older converters wrote the token embedding twice.
  bool is_tied() const {
    if (!file_.contains(kGgufOutput)) return true;
    const auto left = file_.raw(kGgufOutput), right = file_.raw(kGgufTokens);
    return file_.info(kGgufOutput).type == file_.info(kGgufTokens).type &&
           std::equal(left.begin(), left.end(), right.begin(), right.end());
  }

  void refuse_other_keys() const {
    for (const std::string& key : file_.keys()) {
      if (!key.starts_with(prefix_) || asked_.contains(key)) continue;
      const std::string_view name = std::string_view(key).substr(prefix_.size());
      const auto* const known = std::find_if(std::begin(kNeutralKeys), std::end(kNeutralKeys),
                                             [&](const auto& entry) { return entry.name == name; });
      if (known == std::end(kNeutralKeys) || !known->is_neutral(file_, key))
        fail(ErrorCode::kUnsupported, "{}: key \"{}\" may change what the model computes, and is not read", source_,
             key);
    }
  }

  /// So that no product of sizes overflows before tensors are compared with them.
  void check_bounds(const ModelConfig& model) const {
    constexpr std::int64_t kMost = 1 << 24;
    const auto check = [&](std::string_view what, std::int64_t value) {
      if (value < 1 || value > kMost)
        fail(ErrorCode::kFormat, "{}: {}{} is {}, expected 1 to {}", source_, prefix_, what, value, kMost);
    };
    check("context_length", model.n_positions);
    check("embedding_length", model.hidden);
    check("feed_forward_length", model.inner);
    check("attention.head_count", model.heads);
    check("attention.head_count_kv", model.key_value_heads());
    check("attention.key_length", model.head_dim());
    if (model.layers < 1 || static_cast<std::size_t>(model.layers) > file_.tensors().size())
      fail(ErrorCode::kFormat, "{}: {}block_count is {}, it has {} tensors", source_, prefix_, model.layers,
           file_.tensors().size());
  }

  void settle_ends(ModelConfig& model, const GgufVocabulary& vocabulary) const {
    if (vocabulary.tokens.vocabulary > model.vocab_size)
      fail(ErrorCode::kFormat, "{}: it has {} tokens, and a table of {}", source_, vocabulary.tokens.vocabulary,
           model.vocab_size);
    if (vocabulary.tokens.start) model.bos_token_id = *vocabulary.tokens.start;
    for (const std::uint32_t id : vocabulary.tokens.stops) model.eos_token_ids.push_back(id);
  }

  std::vector<TensorSource> sources(const models::LanguageModel& model, std::optional<TensorDtype> dtype) {
    std::map<std::string, GgufName> names;
    for (GgufName& name : gguf_names(model.config(), architecture_)) names[name.ours] = name;
    std::set<std::string> left;
    for (const std::string& name : file_.tensors()) left.insert(name);
    std::vector<TensorSource> list;
    for (const graph::ParameterSpec& spec : model.parameters()) {
      const GgufName& name = names.at(spec.name);
      check_tensor(name, spec.file_shape());
      left.erase(name.theirs);
      list.push_back(source_of(spec, name, model.config().head_dim()));
      list.back().dtype = dtype.value_or(dtype_of(file_.info(name.theirs).type));
    }
    if (model.config().tie_word_embeddings) left.erase(std::string(kGgufOutput));
    for (const std::string& name : left) check_left_out(name);
    return list;
  }

  void check_tensor(const GgufName& name, const std::vector<std::int64_t>& shape) const {
    if (!file_.contains(name.theirs)) fail(ErrorCode::kFormat, "{}: tensor \"{}\" is missing", source_, name.theirs);
    const std::vector<std::int64_t> expected = turned_shape(shape, name.layout);
    const GgufTensorInfo& info = file_.info(name.theirs);
    if (info.shape != expected)
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" is {}, its keys need {}", source_, name.theirs,
           shape_text(info.shape), shape_text(expected));
    check_numbers_are_read(file_, name.theirs);
  }

  /// Biases of zeros within a block are none.
  void check_left_out(const std::string& name) const {
    const bool zeros = name.starts_with("blk.") && name.ends_with(".bias") && all_zero(read_numbers(file_, name));
    if (!zeros)
      fail(ErrorCode::kUnsupported, "{}: tensor \"{}\" {} is no part of a {} that is read", source_, name,
           shape_text(file_.info(name).shape), files_of(family_of(architecture_)).title);
  }
  static bool all_zero(const std::vector<float>& numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [](float number) { return number == 0; });
  }

  TensorSource source_of(const graph::ParameterSpec& spec, const GgufName& name, std::int64_t head_dim) const {
    auto numbers = std::make_shared<std::vector<float>>();  // shared because std::function must be copyable
    return {spec.name, spec.file_shape(),
            [this, numbers, name, head_dim, shape = spec.file_shape()](std::int64_t first, std::span<float> out) {
              if (first == 0) *numbers = from_gguf(read_numbers(file_, name.theirs), shape, name.layout, head_dim);
              std::copy_n(numbers->begin() + first, out.size(), out.begin());
              if (static_cast<std::size_t>(first) + out.size() == numbers->size()) std::vector<float>().swap(*numbers);
            }};
  }

  const ImportOptions& options_;
  GgufFile file_;
  std::string source_;
  Architecture architecture_;
  std::string prefix_;
  std::set<std::string> asked_;  ///< keys that are read
};

}  // namespace

ModelConfig import_gguf(const ImportOptions& options) {
  return Import(options).run();
}

}  // namespace fabula::convert
