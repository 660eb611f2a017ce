#include <cstring>
#include <limits>
#include <set>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "formats/gguf_types.hpp"
#include "formats/safetensors.hpp"

namespace fabula {
namespace {

template <class T>
std::string gguf_bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

std::string gguf_text(std::string_view text) {
  return gguf_bytes<std::uint64_t>(text.size()).append(text);
}

std::string gguf_array_head(GgufKind element, std::size_t count) {
  return gguf_bytes(static_cast<std::uint32_t>(element)) + gguf_bytes<std::uint64_t>(count);
}

template <class T>
std::string gguf_array(GgufKind element, std::span<const T> values) {
  return gguf_array_head(element, values.size())
      .append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

std::uint64_t checked_bytes(const GgufTensorSource& tensor, const std::string& path) {
  if (tensor.name.empty() || tensor.name.size() > kGgufMaxName)
    fail(ErrorCode::kInvalidArgument, "{}: the tensor's name \"{}\" has {} bytes, expected 1 to {}", path, tensor.name,
         tensor.name.size(), kGgufMaxName);
  const auto extent = gguf::extent_of(tensor.type, tensor.shape);
  if (tensor.shape.size() > gguf::kMaxDimensions || !extent)
    fail(ErrorCode::kInvalidArgument, "{}: tensor \"{}\": {} is no shape of its type", path, tensor.name,
         shape_text(tensor.shape));
  return extent->bytes;
}

/// A tensor's entry in the header.
std::string gguf_entry(const GgufTensorSource& tensor, std::uint64_t offset) {
  std::string bytes = gguf_text(tensor.name) + gguf_bytes(static_cast<std::uint32_t>(tensor.shape.size()));
  for (std::size_t i = tensor.shape.size(); i-- > 0;) bytes += gguf_bytes(tensor.shape[i]);
  return bytes + gguf_bytes(static_cast<std::uint32_t>(tensor.type)) + gguf_bytes(offset);
}

void pad_gguf(AtomicFile& file) {
  static constexpr std::byte kZeros[kGgufAlignment] = {};
  const std::uint64_t size = file.size();
  file.write(std::span(kZeros).first(gguf::aligned(size, kGgufAlignment) - size));
}

}  // namespace

void GgufKeys::add(std::string name, GgufKind kind, std::string bytes) {
  list_.push_back({std::move(name), kind, std::move(bytes)});
}

void GgufKeys::u32(std::string name, std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<std::uint32_t>::max())
    fail(ErrorCode::kInvalidArgument, "{} is {}, which a GGUF file cannot say", name, value);
  add(std::move(name), GgufKind::kU32, gguf_bytes(static_cast<std::uint32_t>(value)));
}
void GgufKeys::f32(std::string name, double value) {
  add(std::move(name), GgufKind::kF32, gguf_bytes(static_cast<float>(value)));
}
void GgufKeys::flag(std::string name, bool value) {
  add(std::move(name), GgufKind::kBool, std::string(1, value ? '\1' : '\0'));
}
void GgufKeys::text(std::string name, std::string_view value) {
  add(std::move(name), GgufKind::kString, gguf_text(value));
}
void GgufKeys::texts(std::string name, std::span<const std::string> values) {
  std::string bytes = gguf_array_head(GgufKind::kString, values.size());
  for (const std::string& value : values) bytes += gguf_text(value);
  add(std::move(name), GgufKind::kArray, std::move(bytes));
}
void GgufKeys::i32s(std::string name, std::span<const std::int32_t> values) {
  add(std::move(name), GgufKind::kArray, gguf_array(GgufKind::kI32, values));
}
void GgufKeys::f32s(std::string name, std::span<const float> values) {
  add(std::move(name), GgufKind::kArray, gguf_array(GgufKind::kF32, values));
}
void GgufKeys::copy(std::string name, const GgufValue& value) {
  add(std::move(name), value.kind, std::string(value.bytes));
}

std::uint64_t write_gguf(const std::filesystem::path& path, const GgufKeys& keys,
                         const std::vector<GgufTensorSource>& tensors) {
  std::string header(gguf::kMagic);
  header += gguf_bytes(gguf::kVersion) + gguf_bytes<std::uint64_t>(tensors.size()) +
            gguf_bytes<std::uint64_t>(keys.list().size());
  std::set<std::string_view> names;
  for (const GgufKeys::Key& key : keys.list()) {
    if (key.name.empty() || key.name == kGgufAlignmentKey || !names.insert(key.name).second)
      fail(ErrorCode::kInvalidArgument, "{}: the key \"{}\" is empty, reserved or given twice", path.string(),
           key.name);
    header += gguf_text(key.name) + gguf_bytes(static_cast<std::uint32_t>(key.kind)) + key.bytes;
  }
  std::uint64_t offset = 0;
  names.clear();
  for (const GgufTensorSource& tensor : tensors) {
    const std::uint64_t bytes = checked_bytes(tensor, path.string());
    if (!names.insert(tensor.name).second)
      fail(ErrorCode::kInvalidArgument, "{}: the tensor \"{}\" is given twice", path.string(), tensor.name);
    header += gguf_entry(tensor, offset);
    offset = gguf::aligned(offset + bytes, kGgufAlignment);
  }
  AtomicFile file(path);
  file.write(header);
  pad_gguf(file);
  for (const GgufTensorSource& tensor : tensors) {
    const std::uint64_t begin = file.size();
    tensor.write([&](std::span<const std::byte> bytes) { file.write(bytes); });
    const std::uint64_t expected = gguf::extent_of(tensor.type, tensor.shape)->bytes;
    ensure(file.size() - begin == expected, "tensor \"{}\": {} bytes were given, expected {}", tensor.name,
           file.size() - begin, expected);
    pad_gguf(file);
  }
  const std::uint64_t size = file.size();
  file.commit();
  return size;
}

}  // namespace fabula
