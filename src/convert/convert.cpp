#include "convert/convert.hpp"

#include <fstream>

#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "convert/gguf.hpp"
#include "convert/hugging_face.hpp"
#include "convert/output_folder.hpp"
#include "convert/llama2c.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;

std::string first_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kFileKindBytes, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
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
       "--dtype q8_0: a Hugging Face folder holds f32, f16 or bf16; --format gguf writes weights of 8 bits");
}

Imported import_model(const ImportOptions& options) {
  const Format format = format_of(options.source);
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
      check_output_file(options.out, options.overwrite);
      export_gguf(model, options.out, options.type);
      return {options.out};
  }
  fail(ErrorCode::kInternal, "there is no format {}", static_cast<int>(options.format));
}

}  // namespace fabula::convert
