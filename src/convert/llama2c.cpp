#include "convert/llama2c.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "formats/config_io.hpp"
#include "formats/json_access.hpp"
#include "formats/safetensors.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using Part = Llama2cPart;

constexpr double kNormEpsilon = 1e-5, kRopeTheta = 10000.0;  // llama2.c's own: the file names neither

/// Where row i of a tensor with two halves a head stands among neighbouring pairs.
std::int64_t row_of_pairs(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2, i = row % head_dim;
  return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

class Tensors {
 public:
  explicit Tensors(const Llama2cFile& file) : file_(file) {}

  std::vector<TensorSource> all() {
    once("model.embed_tokens.weight", Part::kTokens);
    for (std::int64_t layer = 0; layer < file_.sizes().layers; ++layer) {
      const auto add = [&](std::string_view name, Part part, bool pairs = false) {
        tensors_.push_back(tensor(fmt::format("model.layers.{}.{}.weight", layer, name), part, layer, pairs));
      };
      add("input_layernorm", Part::kAttentionNorm);
      add("self_attn.q_proj", Part::kQuery, true);
      add("self_attn.k_proj", Part::kKey, true);
      add("self_attn.v_proj", Part::kValue);
      add("self_attn.o_proj", Part::kOutput);
      add("post_attention_layernorm", Part::kFeedForwardNorm);
      add("mlp.gate_proj", Part::kGate);
      add("mlp.up_proj", Part::kUp);
      add("mlp.down_proj", Part::kDown);
    }
    once("model.norm.weight", Part::kFinalNorm);
    if (!file_.sizes().tied) once("lm_head.weight", Part::kClassifier);
    return std::move(tensors_);
  }

 private:
  void once(std::string name, Part part) { tensors_.push_back(tensor(std::move(name), part, 0, false)); }

  TensorSource tensor(std::string name, Part part, std::int64_t layer, bool pairs) const {
    const Llama2cFile::Shape shape = file_.shape(part);
    std::vector<std::int64_t> dims = {shape.columns};
    const bool is_norm = part == Part::kAttentionNorm || part == Part::kFeedForwardNorm || part == Part::kFinalNorm;
    if (!is_norm) dims.insert(dims.begin(), shape.rows);
    const auto as_it_stands = [this, part, layer](std::int64_t first, std::span<float> out) {
      file_.read(part, layer, first, out);
    };
    const auto by_halves = [this, part, layer, shape](std::int64_t first, std::span<float> out) {
      while (!out.empty()) {
        const std::int64_t row = first / shape.columns, column = first % shape.columns;
        const auto count = std::min(out.size(), static_cast<std::size_t>(shape.columns - column));
        const std::int64_t from = row_of_pairs(row, file_.sizes().head_dim());
        file_.read(part, layer, from * shape.columns + column, out.first(count));
        out = out.subspan(count);
        first += static_cast<std::int64_t>(count);
      }
    };
    if (pairs) return {std::move(name), std::move(dims), by_halves};
    return {std::move(name), std::move(dims), as_it_stands};
  }

  const Llama2cFile& file_;
  std::vector<TensorSource> tensors_;
};

/// What stands before a text, and the ids at which one ends: what llama2.c takes for an end first, then </s>.
struct Ends {
  ordered_json begin, end, stops = ordered_json::array();

  explicit Ends(const text::Tokenizer& tokenizer) {
    if (tokenizer.has_eot()) begin = end = tokenizer.eot_id();
    if (tokenizer.parts().fallback && tokenizer.parts().fallback->begin) begin = *tokenizer.parts().fallback->begin;
    if (tokenizer.has_eot()) stops.push_back(tokenizer.eot_id());
    if (const auto id = tokenizer.token_id("</s>"); id && stops != ordered_json::array({*id})) stops.push_back(*id);
  }
};

ordered_json config_of(const Llama2cFile::Sizes& sizes, const Ends& ends) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", sizes.vocabulary},
          {"max_position_embeddings", sizes.positions},
          {"hidden_size", sizes.hidden},
          {"intermediate_size", sizes.inner},
          {"num_hidden_layers", sizes.layers},
          {"num_attention_heads", sizes.heads},
          {"num_key_value_heads", sizes.kv_heads},
          {"head_dim", sizes.head_dim()},
          {"hidden_act", "silu"},
          {"rms_norm_eps", kNormEpsilon},
          {"rope_theta", kRopeTheta},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", kRopeTheta}}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"mlp_bias", false},
          {"tie_word_embeddings", sizes.tied},
          {"initializer_range", 0.02},
          {"bos_token_id", ends.begin},
          {"eos_token_id", ends.end},
          {"use_cache", true},
          {"dtype", "float32"}};
}

ordered_json generation_config_of(const Ends& ends) {
  ordered_json stops = ends.stops;
  if (stops.size() < 2) stops = stops.empty() ? ordered_json() : stops[0];
  return {{"bos_token_id", ends.begin}, {"eos_token_id", stops}};
}

ordered_json tokenizer_config_of(const Llama2cFile::Sizes& sizes, const text::Tokenizer& tokenizer) {
  // Not LlamaTokenizer: that class takes tokenizer.json apart and puts its own parts in their place.
  ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"model_max_length", sizes.positions},
                         {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, const char* text) {
    if (tokenizer.token_id(text)) config[key] = text;
  };
  name("unk_token", "<unk>");
  name("bos_token", "<s>");
  if (tokenizer.has_eot()) config["eos_token"] = tokenizer.end_of_text();
  return config;
}

void refuse_unless_empty(const fs::path& out) {
  std::error_code code;
  if (!fs::exists(out, code)) return;
  if (!fs::is_directory(out, code))
    fail(ErrorCode::kInvalidArgument, "{} is no folder; name one that is not there yet", out.string());
  if (!fs::is_empty(out, code))
    fail(ErrorCode::kInvalidArgument, "{} holds files already; name a folder that is not there yet", out.string());
}

}  // namespace

Llama2cFile::Sizes import_llama2c(const fs::path& checkpoint, const fs::path& tokenizer_path, const fs::path& out) {
  const Llama2cFile file = Llama2cFile::open(checkpoint);
  const Llama2cFile::Sizes& sizes = file.sizes();
  const text::Tokenizer tokenizer = text::load_tokenizer(tokenizer_path);
  if (tokenizer.vocab_size() != sizes.vocabulary)
    fail(ErrorCode::kInvalidArgument, "{} has {} tokens, {} has a vocabulary of {}: they do not belong together",
         tokenizer_path.string(), tokenizer.vocab_size(), checkpoint.string(), sizes.vocabulary);
  refuse_unless_empty(out);
  const Ends ends(tokenizer);
  const ordered_json config = config_of(sizes, ends);
  parse_config(dump_json(config), checkpoint.string(), {}, ConfigNotes::kSilent);  // what fabula could not read
  const bool existed = fs::exists(out);
  try {
    FolderUpdate update(out);
    const auto write = [&](const char* name, const ordered_json& content) {
      write_file_atomically(update.path_of(name), dump_json(content, 2) + "\n");
    };
    write_safetensors(update.path_of("model.safetensors"), Tensors(file).all(), {{"format", "pt"}});
    file.check();
    write("config.json", config);
    write("generation_config.json", generation_config_of(ends));
    text::write_tokenizer_json(tokenizer, update.path_of("tokenizer.json"));
    write("tokenizer_config.json", tokenizer_config_of(sizes, tokenizer));
    update.commit();
  } catch (...) {
    std::error_code ignored;
    if (!existed) fs::remove(out, ignored);  // if nothing is in it
    throw;
  }
  return sizes;
}

}  // namespace fabula::convert
