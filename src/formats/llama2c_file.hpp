#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "base/mapped_file.hpp"

namespace fabula {

/// What a layer of llama2.c's checkpoint has, and what it has once, in the order of the file.
enum class Llama2cPart {
  kTokens,
  kAttentionNorm,
  kQuery,
  kKey,
  kValue,
  kOutput,
  kFeedForwardNorm,
  kGate,
  kDown,
  kUp,
  kFinalNorm,
  kClassifier,
};
inline constexpr std::size_t kLlama2cParts = 12;

/// llama2.c's checkpoint (version 0), mapped: 7 numbers of 4 bytes, then fp32 tensors, each for all layers; of pairs
/// that rotary positions turn both numbers stand side by side. https://github.com/karpathy/llama2.c
class Llama2cFile {
 public:
  struct Sizes {
    std::int64_t hidden, inner, layers, heads, kv_heads, vocabulary, positions;
    bool tied;  ///< there is no classifier: the table of tokens is
    std::int64_t head_dim() const { return hidden / heads; }
  };
  /// [rows, columns] of one layer; a norm is one row.
  struct Shape {
    std::int64_t rows, columns;
    std::int64_t elements() const { return rows * columns; }
  };

  /// Checks the numbers, and the file's length against them. Errors: kNotFound, kIo, kFormat, kUnsupported for another
  /// version.
  static Llama2cFile open(const std::filesystem::path& path);

  const Sizes& sizes() const { return sizes_; }
  Shape shape(Llama2cPart part) const { return shape_of(sizes_, part); }
  static Shape shape_of(const Sizes& sizes, Llama2cPart part);
  /// Elements [first, first + out.size()) of a part's layer, 0 for what there is once. Error kFormat for a number that
  /// is not finite.
  void read(Llama2cPart part, std::int64_t layer, std::int64_t first, std::span<float> out) const;
  /// Error kIo when the file was cut short since it was opened.
  void check() const { file_.check(); }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  explicit Llama2cFile(MappedFile file) : file_(std::move(file)) {}
  void read_header();
  void place_parts();

  MappedFile file_;
  Sizes sizes_{};
  std::array<std::uint64_t, kLlama2cParts> offsets_{};  ///< bytes from the file's start
};

/// Writes such a file as one step. `fill(part, layer, out)` gives a part's layer, 0 for what there is once; it is asked
/// in the order of the file. Errors: kIo, those of fill.
void write_llama2c(const std::filesystem::path& path, const Llama2cFile::Sizes& sizes,
                   const std::function<void(Llama2cPart part, std::int64_t layer, std::span<float> out)>& fill);

}  // namespace fabula
