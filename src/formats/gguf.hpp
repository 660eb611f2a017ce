#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.hpp"

// GGUF, version 3: keys with values, then tensors, in one little-endian file.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
namespace fabula {

/// How a tensor's numbers are stored; the number of each is the format's. Only these are converted to floats and back
/// (convert/gguf_numbers.hpp); a file may have others.
enum class GgufType : std::uint32_t { kF32 = 0, kF16 = 1, kQ8_0 = 8, kBf16 = 30 };

/// A type's name ("Q4_K"), and how many numbers of a row share how many bytes.
struct GgufTypeInfo {
  std::string_view name;
  std::int64_t block = 1;
  std::uint64_t bytes = 0;
};
/// Null for a number that stands for no type.
const GgufTypeInfo* gguf_type_info(GgufType type);

/// What a key's value is; the number of each is the format's.
enum class GgufKind : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

/// A key's value as it stands in a file.
struct GgufValue {
  GgufKind kind = GgufKind::kU8;
  GgufKind element = GgufKind::kU8;  ///< of an array
  std::uint64_t count = 1;           ///< of an array's elements
  std::string_view bytes;            ///< what stands behind the kind: of an array from its elements' kind on
};

struct GgufTensorInfo {
  GgufType type = GgufType::kF32;
  std::vector<std::int64_t> shape;  ///< slowest first, as everywhere in fabula: the file has it the other way round
  std::int64_t elements = 1;        ///< product of shape
  std::uint64_t offset = 0;         ///< bytes from the start of the file
  std::uint64_t bytes = 0;
};

inline constexpr std::uint64_t kGgufAlignment = 32;  ///< of tensors, where general.alignment says nothing else
inline constexpr std::size_t kGgufMaxName = 63;      ///< bytes of a tensor's name
inline constexpr const char* kGgufAlignmentKey = "general.alignment";

/// A .gguf file, mapped. Everything but the tensors' numbers is checked on opening: every count against the bytes that
/// are left, every product for overflow, and that tensors lie one after the other to the file's end. All errors name
/// the file, and the key or tensor where there is one.
class GgufFile {
 public:
  /// Errors: kNotFound, kIo, kFormat; kUnsupported for another version and for a type that is not known by its number.
  static GgufFile open(const std::filesystem::path& path);

  /// Keys in the order of the file.
  const std::vector<std::string>& keys() const { return order_; }
  /// Null where there is no such key.
  const GgufValue* find(std::string_view key) const;
  /// What a key says, nothing where there is none. Error kFormat for a value of another kind.
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
  std::optional<std::vector<float>> numbers(std::string_view key) const;
  std::optional<std::vector<std::string_view>> texts(std::string_view key) const;

  /// In alphabetical order.
  std::vector<std::string> tensors() const;
  bool contains(std::string_view tensor) const { return tensors_.find(tensor) != tensors_.end(); }
  /// Error kNotFound.
  const GgufTensorInfo& info(std::string_view tensor) const;
  /// The tensor's bytes as stored. Error kNotFound.
  std::span<const std::byte> raw(std::string_view tensor) const;

  /// Error kIo when the file was cut short since it was opened.
  void check() const { file_.check(); }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  class Header;
  explicit GgufFile(MappedFile file) : file_(std::move(file)) {}
  [[noreturn]] void refuse_kind(std::string_view key, const GgufValue& value, std::string_view expected) const;

  MappedFile file_;
  std::vector<std::string> order_;
  std::map<std::string, GgufValue, std::less<>> keys_;
  std::map<std::string, GgufTensorInfo, std::less<>> tensors_;
};

/// Keys to be written, in order; each function is named after the kind that is written.
class GgufKeys {
 public:
  /// Error kInvalidArgument for a value beyond 32 bits.
  void u32(std::string name, std::int64_t value);
  void f32(std::string name, double value);
  void flag(std::string name, bool value);
  void text(std::string name, std::string_view value);
  void texts(std::string name, std::span<const std::string> values);
  void i32s(std::string name, std::span<const std::int32_t> values);
  void f32s(std::string name, std::span<const float> values);
  /// A value as it was read.
  void copy(std::string name, const GgufValue& value);

  struct Key {
    std::string name;
    GgufKind kind;
    std::string bytes;  ///< as GgufValue has them
  };
  const std::vector<Key>& list() const { return list_; }

 private:
  void add(std::string name, GgufKind kind, std::string bytes);
  std::vector<Key> list_;
};

/// Takes a tensor's bytes, in order.
using GgufSink = std::function<void(std::span<const std::byte>)>;

/// One tensor to be written: `write` hands on its bytes, as many as type and shape (slowest first) take, in pieces of
/// any size.
struct GgufTensorSource {
  std::string name;
  GgufType type = GgufType::kF32;
  std::vector<std::int64_t> shape;
  std::function<void(const GgufSink&)> write;
};

/// Writes a file and replaces `path` as one step (AtomicFile): on any error the old file is untouched. Returns the
/// file's size in bytes. Errors: kIo; kInvalidArgument for a name given twice, empty or too long, kGgufAlignmentKey, a
/// shape that the format does not have, and rows that do not fill the type's blocks.
std::uint64_t write_gguf(const std::filesystem::path& path, const GgufKeys& keys,
                         const std::vector<GgufTensorSource>& tensors);

}  // namespace fabula
