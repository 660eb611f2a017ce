#include "convert/compress.hpp"

#include <algorithm>
#include <cmath>

#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "compress/group_codes.hpp"
#include "convert/calibration.hpp"
#include "convert/output_folder.hpp"
#include "convert/partial_compression.hpp"
#include "formats/match_tensors.hpp"
#include "infer/write_folder.hpp"
#include "models/weights.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;

std::vector<float> other_way(const std::vector<float>& numbers, std::int64_t rows, std::int64_t cols) {
  std::vector<float> result(numbers.size());
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t col = 0; col < cols; ++col)
      result[static_cast<std::size_t>(col * rows + row)] = numbers[static_cast<std::size_t>(row * cols + col)];
  return result;
}

CodedMatrix coded_of(compress::GroupCodes codes) {
  return {.bits = codes.format.bits,
          .has_offsets = codes.format.offsets,
          .rows = codes.outputs,
          .cols = codes.inputs,
          .codes = std::move(codes.codes),
          .scales = std::move(codes.scales),
          .offsets = std::move(codes.offsets)};
}

std::string settings_text(const infer::ModelFolder& from, const CompressOptions& options, const text::TokenFile& text) {
  Checksum tokens;
  text.for_each_run(0, text.size(), [&](std::span<const std::uint32_t> run) { tokens.add(std::as_bytes(run)); });
  return fmt::format("method {}\nbits {}\ntable bits {}\noffsets {}\npositions {}\nweights {}\ntokens {} {}\n",
                     kCompressMethodNames[static_cast<std::size_t>(options.method)], options.bits, options.table_bits,
                     options.offsets, options.positions, checksum_text(file_checksum(from.weights())), text.size(),
                     checksum_text(tokens.value()));
}

class Compressor {
 public:
  Compressor(const infer::ModelFolder& from, const CompressOptions& options, vk::Device& device,
             const graph::Target& target, const text::TokenFile& text, const CompressProgress& progress)
      : from_(from),
        model_(from.model()),
        options_(options),
        progress_(progress),
        tensors_(ModelTensors::open(from.path())),
        finder_(match_tensors(tensors_, models::expected_tensors(model_), model_.config())),
        text_(text, from.config().sequence_length(), options.positions),
        partial_(options.out, settings_text(from, options, text)),
        calibration_(device, target, model_, text_, [this] { return go_on(0); }) {
    result_.parameters = model_.parameter_count();
    result_.positions = text_.positions();
    if (finder_.transposed()) log_info(finder_.note());
    if (text_.positions() < options.positions / 2)
      warn("{} has {} positions to go over, {} were asked for: what linear layers read is known less well",
           text.path().string(), text_.positions(), options.positions);
    for (const graph::ParameterSpec& spec : model_.parameters())
      if (spec.is_weight) all_ += cost_of(spec);
    all_ += static_cast<double>(model_.config().layers) * layer_cost();
  }

  CompressResult run() {
    at_hand("the model as it is");
    for (const graph::ParameterSpec& spec : model_.parameters()) calibration_.set(spec, read(spec));
    calibration_.start();
    const auto& table = model_.body().token_embedding();
    if (is_tied() && !is_done(table)) {
      for (std::int64_t layer = 0; layer < model_.config().layers; ++layer) calibration_.advance(layer);
      make(table, -1, calibration_.look_at_hidden());
      calibration_.start();
    } else {
      make(table, -1, nullptr);
      calibration_.start();
    }
    for (std::int64_t layer = 0; layer < model_.config().layers; ++layer) make_layer(layer);
    make_head();
    return std::move(result_);
  }

  void write() {
    OutputFolder out(options_.out, options_.overwrite, {from_.path()});
    Compression compression{.method = std::string(kCompressMethodNames[static_cast<std::size_t>(options_.method)])};
    infer::FolderContent content{
        .config = from_.config(), .model = model_, .tokenizer = from_.tokenizer(), .weights = {}};
    for (TensorSource& source : models::tensors_to_copy(model_, tensors_)) {
      const graph::ParameterSpec& spec = spec_of(source.name);
      if (const auto coded = coded_.find(source.name); coded != coded_.end()) {
        for (TensorSource& part : coded_tensors(source.name, coded->second)) content.weights.push_back(std::move(part));
        compression.tensors[source.name] = {coded->second.bits, coded->second.has_offsets, spec.file_shape(),
                                            spec.inputs_first};
        continue;
      }
      // Vectors stay what they are: they are few, and training wants them.
      if (!spec.is_vector && source.dtype == TensorDtype::kF32 && fits_half(read(spec)))
        source.dtype = TensorDtype::kF16;
      content.weights.push_back(std::move(source));
    }
    content.compression = std::move(compression);
    content.stop_ids = from_.stop_ids();
    infer::write_model_folder(out.update(), content);
    result_bytes_ = fs::file_size(out.path_of(kWeightsFile));
    out.commit();
    partial_.remove();
  }

  std::uint64_t bytes() const { return result_bytes_; }
  std::uint64_t bytes_before() const {
    std::uint64_t bytes = 0;
    for (const std::string& name : tensors_.names()) bytes += tensors_.info(name).bytes;
    return bytes;
  }

 private:
  bool is_tied() const {
    const HeadConfig& head = model_.config().head;
    return model_.config().tie_word_embeddings && (head.kind != HeadKind::kAdaptive);
  }
  const graph::ParameterSpec& spec_of(const std::string& name) const {
    return *std::find_if(model_.parameters().begin(), model_.parameters().end(),
                         [&](const graph::ParameterSpec& spec) { return spec.name == name; });
  }
  static std::int64_t inputs_of(const graph::ParameterSpec& spec) {
    return spec.inputs_first ? spec.shape.rows : spec.shape.cols;
  }
  static std::int64_t outputs_of(const graph::ParameterSpec& spec) {
    return spec.inputs_first ? spec.shape.cols : spec.shape.rows;
  }
  /// In products and sums, about: what rounding a matrix takes, and what a layer's pass over the text.
  static double cost_of(const graph::ParameterSpec& spec) {
    return static_cast<double>(spec.shape.count() * inputs_of(spec));
  }
  double layer_cost() const {
    const auto D = static_cast<double>(model_.config().hidden);
    return static_cast<double>(text_.positions()) * 30 * D * D;
  }
  std::vector<float> read(const graph::ParameterSpec& spec) const {
    std::vector<float> values(static_cast<std::size_t>(spec.shape.count()));
    finder_.read(spec.name, values);
    return values;
  }
  static bool fits_half(const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float value) { return std::abs(value) < 65504; });
  }

  bool go_on(double part) const {
    return !progress_.go_on || progress_.go_on(what_, all_ > 0 ? std::min(1.0, (done_ + part) / all_) : 1);
  }
  void at_hand(std::string what) {
    what_ = std::move(what);
    if (!go_on(0)) fail(ErrorCode::kInterrupted, "stopped before {}", what_);
  }
  bool is_done(const graph::ParameterSpec& spec) const {
    return bits_of(spec) == kKeptBits || partial_.find(spec.name).has_value();
  }
  int bits_of(const graph::ParameterSpec& spec) const {
    return spec.rows == graph::RowsOf::kTokens ? options_.table_bits : options_.bits;
  }

  void make_layer(std::int64_t layer) {
    const models::Family& family = model_.body().family();
    const std::string prefix = fmt::format("{}{}{}.", family.prefix, family.blocks, layer);
    std::vector<const graph::ParameterSpec*> matrices;
    for (const graph::ParameterSpec& spec : model_.body().parameters().specs())
      if (spec.is_weight && spec.name.starts_with(prefix)) matrices.push_back(&spec);
    at_hand(fmt::format("what layer {} reads", layer));
    MomentsOf moments;
    if (!std::all_of(matrices.begin(), matrices.end(), [&](const auto* spec) { return is_done(*spec); }))
      moments = calibration_.look(layer);
    done_ += layer_cost();
    for (const graph::ParameterSpec* spec : matrices) {
      const auto known = moments.find(spec->name);
      make(*spec, layer, known == moments.end() ? nullptr : known->second, spec->name.substr(prefix.size()));
    }
    at_hand(fmt::format("layer {}", layer));
    if (layer + 1 < model_.config().layers || !model_.head().parameters().specs().empty()) calibration_.advance(layer);
  }

  void make_head() {
    std::shared_ptr<const InputMoments> hidden;
    for (const graph::ParameterSpec& spec : model_.head().parameters().specs()) {
      if (!spec.is_weight) continue;
      const bool reads_hidden = inputs_of(spec) == model_.config().hidden;
      if (reads_hidden && !hidden && !is_done(spec)) hidden = calibration_.look_at_hidden();
      make(spec, -1, reads_hidden ? hidden : nullptr);
    }
  }

  FittedMatrix fit(const graph::ParameterSpec& spec, const std::shared_ptr<const InputMoments>& moments) const {
    const std::vector<float> numbers = read(spec);
    const std::vector<float> weights =
        spec.inputs_first ? other_way(numbers, spec.shape.rows, spec.shape.cols) : numbers;
    compress::Linear linear{.outputs = outputs_of(spec), .inputs = inputs_of(spec), .weights = weights};
    if (moments != nullptr) linear.moments = moments->second;
    const int bits = bits_of(spec);
    const compress::GroupOptions groups{
        .format = {.bits = bits, .group = kCodeGroup, .offsets = options_.offsets && bits < 8},
        .narrow = options_.method == CompressMethod::kGptq};
    const compress::Work work{.go_on = [&](double done) { return go_on(done * cost_of(spec)); }};
    compress::GroupFit fitted = options_.method == CompressMethod::kGptq
                                    ? compress::gptq(linear, {.groups = groups}, work)
                                    : compress::round_to_nearest(linear, groups, work);
    return {coded_of(std::move(fitted.codes)), fitted.error.relative()};
  }

  void make(const graph::ParameterSpec& spec, std::int64_t layer, const std::shared_ptr<const InputMoments>& moments,
            std::string kind = {}) {
    CompressedMatrix made{.name = spec.name, .layer = layer, .kind = std::move(kind), .numbers = spec.shape.count()};
    if (made.kind.empty()) made.kind = spec.name;
    made.bytes = 2 * made.numbers;
    if (bits_of(spec) == kKeptBits) {
      made.why_kept = "as asked for";
    } else if (std::optional<FittedMatrix> before = partial_.find(spec.name)) {
      ++result_.resumed;
      take(spec, made, std::move(*before));
    } else {
      at_hand(spec.name);
      try {
        FittedMatrix fitted = fit(spec, moments);
        partial_.save(spec.name, fitted);
        take(spec, made, std::move(fitted));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kNumeric) throw;
        made.why_kept = error.what();
        warn("\"{}\" stays as it is: {}", spec.name, error.what());
      }
    }
    done_ += cost_of(spec);
    if (progress_.finished) progress_.finished(made);
    result_.matrices.push_back(std::move(made));
  }

  void take(const graph::ParameterSpec& spec, CompressedMatrix& made, FittedMatrix fitted) {
    made.bits = fitted.coded.bits;
    made.bytes = coded_bytes(fitted.coded);
    made.error = fitted.error;
    const std::vector<float> numbers = numbers_of(fitted.coded);
    calibration_.set(spec, spec.inputs_first ? other_way(numbers, fitted.coded.rows, fitted.coded.cols) : numbers);
    coded_[spec.name] = std::move(fitted.coded);
  }

  const infer::ModelFolder& from_;
  const models::LanguageModel& model_;
  const CompressOptions& options_;
  const CompressProgress& progress_;
  ModelTensors tensors_;
  ParameterFinder finder_;
  CalibrationText text_;
  PartialCompression partial_;
  Calibration calibration_;
  CompressResult result_;
  std::uint64_t result_bytes_ = 0;
  std::map<std::string, CodedMatrix, std::less<>> coded_;
  std::string what_;
  double done_ = 0, all_ = 0;
};

}  // namespace

CompressResult compress_model(const infer::ModelFolder& from, const CompressOptions& options, vk::Device& device,
                              const graph::Target& target, const text::TokenFile& text,
                              const CompressProgress& progress) {
  if (!from.config().compression.empty())
    fail(ErrorCode::kInvalidArgument,
         "{} is compressed already ({}): compressing it again would add its error to the new one; name the model that "
         "it was made from",
         from.path().string(), from.config().compression.method);
  { const OutputFolder may_be_written(options.out, options.overwrite, {from.path()}); }
  Compressor compressor(from, options, device, target, text, progress);
  CompressResult result = compressor.run();
  compressor.write();
  result.bytes = compressor.bytes();
  result.bytes_before = compressor.bytes_before();
  return result;
}

}  // namespace fabula::convert
