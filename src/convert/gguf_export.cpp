#include <algorithm>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "convert/gguf.hpp"
#include "convert/gguf_names.hpp"
#include "convert/gguf_numbers.hpp"
#include "convert/gguf_tokenizer.hpp"
#include "convert/gguf_widen.hpp"
#include "convert/output_folder.hpp"
#include "formats/model_tensors.hpp"
#include "models/weights.hpp"

namespace fabula::convert {
namespace {

using Architecture = GgufArchitecture;

constexpr std::int64_t kQuantisationVersion = 2;  // of blocks such as Q8_0's

/// general.file_type
std::int64_t file_type_of(GgufType type) {
  switch (type) {
    case GgufType::kF32:
      return 0;
    case GgufType::kF16:
      return 1;
    case GgufType::kQ8_0:
      return 7;
    case GgufType::kBf16:
      return 32;
  }
  fail(ErrorCode::kInternal, "there is no file type for {}", static_cast<std::uint32_t>(type));
}

[[noreturn]] void refuse(const infer::ModelFolder& model, std::string_view why) {
  fail(ErrorCode::kUnsupported, "{}: {}", model.path().string(), why);
}

/// The architecture that computes what the model does, once it is widened where it has to be.
Architecture architecture_of(const infer::ModelFolder& model) {
  const ModelConfig& config = model.config().model;
  if (config.family == ModelFamily::kGptNeo)
    refuse(model,
           "llama.cpp has no architecture for a GPT-Neo, whose attention is not scaled and sees a window in "
           "every other layer; --format hf writes a folder that transformers loads");
  if (config.head.has_map())
    refuse(model,
           fmt::format("no graph of llama.cpp computes a {} head, and no full head gives its probabilities; --format "
                       "hf writes a folder that transformers loads, and `fabula train CONFIG --from` this run "
                       "trains a full head on its body",
                       head_kind_name(config.head.kind)));
  if (config.family == ModelFamily::kGpt2) return Architecture::kGpt2;
  if (!config.head.bias) return Architecture::kLlama;
  if (config.heads * config.head_dim() != config.hidden)
    refuse(model, fmt::format("llama.cpp's qwen2, the one architecture of a Llama's body with an output bias, needs "
                              "heads of hidden_size / num_attention_heads = {} numbers, these have {}; --format hf "
                              "writes a folder that transformers loads",
                              config.hidden / config.heads, config.head_dim()));
  return Architecture::kQwen2;
}

/// A source's numbers, all at once.
std::vector<float> all_numbers(const TensorSource& source) {
  std::int64_t count = 1;
  for (const std::int64_t size : source.shape) count *= size;
  std::vector<float> numbers(static_cast<std::size_t>(count));
  fetch_all(source, numbers);
  return numbers;
}

class Export {
 public:
  explicit Export(const infer::ModelFolder& model)
      : model_(model),
        config_(model.config().model),
        architecture_(architecture_of(model)),
        files_(ModelTensors::open(model.path())) {}

  void write(const std::filesystem::path& out, std::optional<WeightType> type) {
    collect(type);
    if (config_.head.bias && architecture_ == Architecture::kGpt2) {
      tensors_ = widened(std::move(tensors_), config_);
      config_ = widened(config_);
      info(
          "the output bias, which llama.cpp's gpt2 has not, goes into one more column of a model of hidden size {}, "
          "which computes the same",
          config_.hidden);
    }
    if (architecture_ == Architecture::kQwen2) add_zero_biases();
    const GgufKeys keys = all_keys();
    std::vector<GgufTensorSource> sources;
    for (GgufTensor& tensor : tensors_) sources.push_back(source_of(std::move(tensor)));
    if (halves_ > 0)
      info("{} of {} tensors have rows that do not fill blocks of 32, such as {}: they are written in F16", halves_,
           sources.size(), half_);
    write_gguf(out, keys, sources);
  }

 private:
  void collect(std::optional<WeightType> type) {
    std::map<std::string, GgufName> names;
    for (GgufName& name : gguf_names(config_, architecture_)) names[name.ours] = name;
    for (TensorSource& source : models::tensors_to_copy(model_.model(), files_)) {
      const GgufName& name = names.at(source.name);
      const GgufType wanted = type ? gguf_type_of(*type) : gguf_type_of(source.dtype);
      tensors_.push_back({name.theirs, turned_shape(source.shape, name.layout), wanted,
                          [source, layout = name.layout, head = config_.head_dim()] {
                            return to_gguf(all_numbers(source), source.shape, layout, head);
                          }});
    }
    type_ = tensors_.front().type;
  }

  /// Older readers ask for what newer ones take or leave.
  void add_zero_biases() {
    for (std::int64_t layer = 0; layer < config_.layers; ++layer)
      for (const char* const name : {"attn_q.bias", "attn_k.bias", "attn_v.bias"}) {
        const std::int64_t heads = name[5] == 'q' ? config_.heads : config_.key_value_heads(),
                           size = heads * config_.head_dim();
        tensors_.push_back({gguf_block_name(layer, name), {size}, GgufType::kF32, [size] {
                              return std::vector<float>(static_cast<std::size_t>(size), 0.0f);
                            }});
      }
  }

  GgufKeys all_keys() const {
    GgufKeys keys;
    keys.text("general.architecture", name_of(architecture_));
    keys.text("general.type", "model");
    keys.text("general.name", name_of_folder(model_.path()));
    keys.u32("general.file_type", file_type_of(type_));
    if (type_ == GgufType::kQ8_0) keys.u32("general.quantization_version", kQuantisationVersion);
    add_sizes(keys);
    add_tokenizer_keys(keys, model_.tokenizer(),
                       {.vocabulary = config_.vocab_size, .start = model_.start_id(), .stops = model_.stop_ids()});
    return keys;
  }

  void add_sizes(GgufKeys& keys) const {
    const std::string prefix = std::string(name_of(architecture_)) + ".";
    const auto count = [&](const char* key, std::int64_t value) { keys.u32(prefix + key, value); };
    count("context_length", config_.n_positions);
    count("embedding_length", config_.hidden);
    count("block_count", config_.layers);
    count("feed_forward_length", config_.feed_forward());
    count("attention.head_count", config_.heads);
    if (architecture_ == Architecture::kGpt2) {
      keys.f32(prefix + "attention.layer_norm_epsilon", config_.layer_norm_epsilon);
      return;
    }
    count("attention.head_count_kv", config_.key_value_heads());
    count("attention.key_length", config_.head_dim());
    count("attention.value_length", config_.head_dim());
    keys.f32(prefix + "attention.layer_norm_rms_epsilon", config_.layer_norm_epsilon);
    count("rope.dimension_count", config_.head_dim());
    keys.f32(prefix + "rope.freq_base", config_.rope_theta);
    count("vocab_size", config_.vocab_size);
  }

  GgufTensorSource source_of(GgufTensor tensor) {
    GgufType type = stays_fp32(tensor.name, tensor.shape) ? GgufType::kF32 : tensor.type;
    const std::int64_t cols = tensor.shape.back();
    if (cols % gguf_type_info(type)->block != 0) {
      type = GgufType::kF16;
      if (halves_++ == 0) half_ = fmt::format("{} with rows of {}", tensor.name, cols);
    }
    return {tensor.name, type, tensor.shape,
            [name = tensor.name, type, cols, numbers = std::move(tensor.numbers)](const GgufSink& sink) {
              write_numbers(name, type, numbers(), cols, sink);
            }};
  }

  const infer::ModelFolder& model_;
  ModelConfig config_;  ///< of what is written
  Architecture architecture_;
  ModelTensors files_;
  std::vector<GgufTensor> tensors_;
  GgufType type_ = GgufType::kF32;  ///< of the token embedding, and what the file is called after
  std::int64_t halves_ = 0;         ///< tensors whose rows do not fill blocks
  std::string half_;                ///< one of them
};

}  // namespace

void export_gguf(const infer::ModelFolder& model, const std::filesystem::path& out, std::optional<WeightType> type) {
  Export(model).write(out, type);
}

}  // namespace fabula::convert
