#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.hpp"

namespace fabula {

/// Element types of the format. Weights are read from kF32, kF16 and kBf16; the others are only recognised.
enum class TensorDtype { kF64, kF32, kF16, kBf16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

/// The format's own name ("BF16") and the bytes of one element.
std::string_view dtype_name(TensorDtype dtype);
std::size_t dtype_bytes(TensorDtype dtype);

/// "[224, 225]"; a scalar is "[]".
std::string shape_text(std::span<const std::int64_t> shape);

struct TensorInfo {
  TensorDtype dtype = TensorDtype::kF32;
  std::vector<std::int64_t> shape;
  std::int64_t elements = 1;  ///< product of shape
  std::uint64_t offset = 0;   ///< bytes from the start of the file
  std::uint64_t bytes = 0;
};

/// A .safetensors file, mapped; tensors are converted when read. The whole header is checked on opening: sizes, types,
/// shapes, and that the tensors cover the data without a gap or an overlap. All errors name the file, and the tensor
/// where there is one.
class SafetensorsFile {
 public:
  /// Errors: kNotFound, kIo, kFormat.
  static SafetensorsFile open(const std::filesystem::path& path) { return open(MappedFile(path)); }
  static SafetensorsFile open(MappedFile mapped);

  /// In alphabetical order.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const;
  /// Error kNotFound.
  const TensorInfo& info(std::string_view name) const;
  /// Elements [first, first + out.size()) in row-major order as fp32. Errors: kNotFound, kUnsupported for a type that
  /// holds no weights, kInvalidArgument for a range beyond the tensor.
  void read_f32(std::string_view name, std::span<float> out, std::int64_t first = 0) const;
  /// The tensor's bytes as stored. Error kNotFound.
  std::span<const std::byte> raw(std::string_view name) const;

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  void parse_header();

  MappedFile file_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// One tensor to be written. `fetch(first, out)` fills out with elements [first, first + out.size()), so that a large
/// tensor comes off the device piece by piece; pieces are asked for in order, once each.
struct TensorSource {
  std::string name;
  std::vector<std::int64_t> shape;
  std::function<void(std::int64_t first, std::span<float> out)> fetch;
  TensorDtype dtype = TensorDtype::kF32;    ///< kF32, kF16 and kBf16, to which numbers are rounded; kI32, kI16, kI8
  std::vector<std::int32_t> integers = {};  ///< the elements of a tensor of integers, which is not fetched
};

/// Elements that one call of TensorSource::fetch is asked for at most (4 MiB).
inline constexpr std::int64_t kTensorPieceElements = 1 << 20;

/// All of a source's numbers, as many as `out` holds.
void fetch_all(const TensorSource& source, std::span<float> out);

/// A TensorSource that reads from memory which must outlive it.
TensorSource tensor_from_memory(std::string name, std::vector<std::int64_t> shape, std::span<const float> values);

/// A tensor of whole numbers, with a copy of them, which its type must hold.
TensorSource integer_tensor(std::string name, std::vector<std::int64_t> shape, std::vector<std::int32_t> values,
                            TensorDtype dtype = TensorDtype::kI32);

/// Writes tensors and replaces `path` as one step (AtomicFile): on any error the old file is untouched. Returns the
/// checksum of the file's bytes.
/// Errors: kIo; kInvalidArgument for a name given twice, the name "__metadata__", or a negative or overflowing shape;
/// kNumeric for a number that is finite in fp32 and not in the tensor's type.
std::uint64_t write_safetensors(const std::filesystem::path& path, const std::vector<TensorSource>& tensors,
                                const std::map<std::string, std::string>& metadata = {});

}  // namespace fabula
