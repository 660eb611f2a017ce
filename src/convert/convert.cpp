#include "convert/convert.hpp"

#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "base/folder_update.hpp"
#include "convert/gguf.hpp"
#include "convert/hugging_face.hpp"
#include "convert/llama2c.hpp"
#include "convert/output_folder.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;

/// The checkpoint of a folder that llama2.c reads.
fs::path source_of(const fs::path& named) {
  const fs::path checkpoint = named / "model.bin";
  const bool of_llama2c =
      fs::is_directory(named) && fs::exists(checkpoint) && !fs::exists(FolderUpdate::current(named, "config.json"));
  return of_llama2c ? checkpoint : named;
}

Format format_of(const fs::path& source) {
  if (!fs::exists(source)) fail(ErrorCode::kNotFound, "{} is not there", source.string());
  if (fs::is_directory(source)) return Format::kHuggingFace;
  const std::string bytes = first_bytes(source);
  const FileKind kind = file_kind(bytes);
  if (kind == FileKind::kGitLfsPointer) refuse_git_lfs_pointer(bytes, source);
  if (kind == FileKind::kGguf) return Format::kGguf;
  if (kind == FileKind::kUnknown) return Format::kLlama2c;
  fail(ErrorCode::kFormat,
       "{} is {}; what is read are Hugging Face folders (GPT-2, GPT-Neo, Llama), GGUF files and llama2.c checkpoints",
       source.string(), file_kind_name(kind));
}

}  // namespace

std::optional<TensorDtype> dtype_of(std::optional<WeightType> type) {
  if (!type) return {};
  switch (*type) {
    case WeightType::kF32:
      return TensorDtype::kF32;
    case WeightType::kF16:
      return TensorDtype::kF16;
    case WeightType::kBf16:
      return TensorDtype::kBf16;
    case WeightType::kQ8_0:
      break;
  }
  fail(ErrorCode::kUnsupported,
       "--dtype q8_0: a Hugging Face folder holds f32, f16 or bf16; `fabula export FOLDER --format gguf --dtype q8_0` "
       "writes weights of 8 bits");
}

Imported import_model(const ImportOptions& asked) {
  ImportOptions options = asked;
  options.source = source_of(asked.source);
  const Format format = format_of(options.source);
  if (format != Format::kLlama2c && !options.tokenizer.empty())
    fail(ErrorCode::kInvalidArgument, "--tokenizer {}: {} has a tokenizer of its own; leave the flag out",
         options.tokenizer.string(), options.source.string());
  switch (format) {
    case Format::kHuggingFace:
      return {format, import_hugging_face(options)};
    case Format::kLlama2c:
      return {format, import_llama2c(options)};
    case Format::kGguf:
      return {format, import_gguf(options)};
  }
  fail(ErrorCode::kInternal, "there is no format {}", static_cast<int>(format));
}

std::vector<fs::path> export_model(const ExportOptions& options) {
  const infer::ModelFolder model(options.run);
  switch (options.format) {
    case Format::kHuggingFace:
      export_hugging_face(model, options);
      return {options.out};
    case Format::kLlama2c:
      return export_llama2c(model, options);
    case Format::kGguf:
      check_output_file(options.out, options.overwrite, {options.run});
      export_gguf(model, options.out, options.type);
      return {options.out};
  }
  fail(ErrorCode::kInternal, "there is no format {}", static_cast<int>(options.format));
}

}  // namespace fabula::convert
