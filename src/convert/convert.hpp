#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_config.hpp"
#include "formats/safetensors.hpp"

// Models of other programs in, and fabula's out.
namespace fabula::convert {

/// What the matrices of a model are written in. Norms, biases and what else is one-dimensional may stay in fp32, as the
/// format asks.
enum class WeightType { kF32, kF16, kBf16, kQ8_0 };
inline constexpr std::string_view kWeightTypeNames[] = {"f32", "f16", "bf16", "q8_0"};
/// The type in a safetensors file. Error kUnsupported for one that has none there.
std::optional<TensorDtype> dtype_of(std::optional<WeightType> type);

/// Who wrote a model.
enum class Format { kHuggingFace, kGguf, kLlama2c };
inline constexpr std::string_view kFormatNames[] = {"hf", "gguf", "llama2c"};

struct ImportOptions {
  std::filesystem::path source;         ///< a folder, a GGUF file, or llama2.c's checkpoint or the folder of one
  std::filesystem::path tokenizer;      ///< empty: the source's own
  std::filesystem::path out;            ///< folder
  std::optional<WeightType> type = {};  ///< missing: that of each tensor in the source
  bool overwrite = false;
};

struct Imported {
  Format from = Format::kHuggingFace;
  ModelConfig model;
};

/// Tells what the source is, and writes it as a folder that every command reads, and transformers too. The folder
/// appears whole or not at all. Errors: kNotFound, kIo; kFormat and kUnsupported for what is no such model, naming what
/// is read; kInvalidArgument as OutputFolder, and for a tokenizer that does not fit.
Imported import_model(const ImportOptions& options);

struct ExportOptions {
  std::filesystem::path run;  ///< a run folder, or any other model folder
  Format format = Format::kHuggingFace;
  std::filesystem::path out;            ///< a folder, of GGUF a file
  std::optional<WeightType> type = {};  ///< missing: that of each tensor in the run
  bool overwrite = false;
};

/// Writes a model for other programs; whole or not at all. Error kUnsupported for what the format cannot say, with the
/// reason and the nearest that works; kInvalidArgument as OutputFolder and check_output_file; kIo. Returns what was
/// written.
std::vector<std::filesystem::path> export_model(const ExportOptions& options);

}  // namespace fabula::convert
