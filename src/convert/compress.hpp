#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "infer/model_folder.hpp"
#include "vk/device.hpp"

// A model whose matrices lie in few bits, made from one whose matrices lie in floats (docs/compression.md).
namespace fabula::convert {

enum class CompressMethod { kRoundToNearest, kGptq };
inline constexpr std::array<std::string_view, 2> kCompressMethodNames = {"rtn", "gptq"};

inline constexpr int kKeptBits = 16;  ///< matrices stay floats

struct CompressOptions {
  std::filesystem::path out;
  CompressMethod method = CompressMethod::kGptq;
  int bits = 4;                         ///< 3, 4 or 8
  int table_bits = 4;                   ///< of what has a row a token; kKeptBits: they stay fp16
  bool offsets = false;                 ///< groups of 3 and 4 bits have offsets beside their scales
  std::int64_t positions = 128 * 1024;  ///< of the text that are gone over, about
  bool overwrite = false;
};

/// A matrix of the model, in the order in which they are made.
struct CompressedMatrix {
  std::string name;
  std::int64_t layer = -1;  ///< -1: before or behind the layers
  std::string kind;         ///< its name within a layer
  int bits = 0;             ///< of a code; 0: it stays floats
  std::int64_t numbers = 0, bytes = 0;
  double error = 0;           ///< FittedMatrix::error
  std::string why_kept = {};  ///< what it stays floats for
  double real_bits() const { return 8 * static_cast<double>(bytes) / static_cast<double>(numbers); }
};

struct CompressResult {
  std::vector<CompressedMatrix> matrices;
  std::int64_t positions = 0;                 ///< that were gone over
  std::int64_t resumed = 0;                   ///< matrices that an earlier start had done
  std::int64_t parameters = 0;                ///< numbers of the whole model
  std::uint64_t bytes_before = 0, bytes = 0;  ///< of the weights' files
  double real_bits() const { return 8 * static_cast<double>(bytes) / static_cast<double>(parameters); }
};

/// Told what is at hand, what part of all is done (0 to 1), and of each matrix once it is done; false ends the work
/// with the error kInterrupted.
struct CompressProgress {
  std::function<bool(const std::string& what, double done)> go_on;
  std::function<void(const CompressedMatrix&)> finished;
};

/// Goes over the text and makes matrix after matrix: a tied table, layer after layer with the inputs that the layers
/// before it give by then, the head. Goes on where an earlier start of the same was ended. The folder appears whole or
/// not at all; `from`, opened in fp32, is only read. Errors: kInvalidArgument for a model that is compressed already, a
/// text that is too short, and as OutputFolder and PartialCompression; kInterrupted; kIo.
CompressResult compress_model(const infer::ModelFolder& from, const CompressOptions& options, vk::Device& device,
                              const graph::Target& target, const text::TokenFile& text,
                              const CompressProgress& progress = {});

}  // namespace fabula::convert
