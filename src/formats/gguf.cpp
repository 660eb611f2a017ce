#include "formats/gguf.hpp"

#include <bit>
#include <cstring>
#include <limits>

#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "formats/gguf_types.hpp"
#include "formats/safetensors.hpp"

namespace fabula {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and is read without swapping");

constexpr std::size_t kMaxKeyBytes = 65535;
constexpr std::size_t kMaxNameShown = 80;

// What the least key and the least tensor take: bounds for their counts.
constexpr std::uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1, kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

/// Takes a file's parts one after another, none beyond its end.
class GgufCursor {
 public:
  GgufCursor(std::string_view bytes, std::string source) : bytes_(bytes), source_(std::move(source)) {}

  std::uint64_t position() const { return position_; }
  const std::string& source() const { return source_; }

  template <class T>
  T take(std::string_view what) {
    T value;
    need(1, sizeof(T), what);
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string_view take_text(std::string_view what) {
    const auto length = take<std::uint64_t>(what);
    need(length, 1, what);
    return taken(length);
  }

  /// Passes `count` things of `size` bytes.
  std::string_view take_many(std::uint64_t count, std::uint64_t size, std::string_view what) {
    need(count, size, what);
    return taken(count * size);
  }

  /// Throws unless `count` things of at least `size` bytes may still come.
  void need(std::uint64_t count, std::uint64_t size, std::string_view what) const {
    const std::uint64_t left = bytes_.size() - position_;
    if (count <= left / size) return;
    fail(ErrorCode::kFormat, "{}: {} at byte {}: {} of {} bytes or more are said to come, {} bytes are left; {}",
         source_, what, position_, count, size, left, "the file is truncated or damaged, fetch it again");
  }

  std::string_view since(std::uint64_t begin) const { return bytes_.substr(begin, position_ - begin); }

 private:
  std::string_view taken(std::uint64_t size) {
    position_ += size;
    return bytes_.substr(position_ - size, size);
  }

  std::string_view bytes_;
  std::string source_;
  std::uint64_t position_ = 0;
};

GgufKind take_kind(GgufCursor& cursor, std::string_view key) {
  const auto number = cursor.take<std::uint32_t>("a value's kind");
  if (!gguf::is_kind(number))
    fail(ErrorCode::kFormat, "{}: key \"{}\": {} is no kind of value, 0 to 12 are", cursor.source(), key, number);
  return static_cast<GgufKind>(number);
}

void pass_array(GgufCursor& cursor, std::string_view key, GgufValue& value) {
  value.element = take_kind(cursor, key);
  if (value.element == GgufKind::kArray)
    fail(ErrorCode::kFormat, "{}: key \"{}\" is an array of arrays, which is not read", cursor.source(), key);
  value.count = cursor.take<std::uint64_t>("an array's length");
  if (value.element != GgufKind::kString) {
    cursor.take_many(value.count, gguf::kind_bytes(value.element), "an array");
    return;
  }
  cursor.need(value.count, sizeof(std::uint64_t), "an array of texts");
  for (std::uint64_t i = 0; i < value.count; ++i) cursor.take_text("a text of an array");
}

GgufValue take_value(GgufCursor& cursor, std::string_view key) {
  GgufValue value;
  value.kind = take_kind(cursor, key);
  const std::uint64_t begin = cursor.position();
  if (value.kind == GgufKind::kArray)
    pass_array(cursor, key, value);
  else if (value.kind == GgufKind::kString)
    cursor.take_text("a text");
  else
    cursor.take_many(1, gguf::kind_bytes(value.kind), "a value");
  value.bytes = cursor.since(begin);
  return value;
}

template <class T>
T gguf_number_at(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

std::optional<std::int64_t> whole_number(GgufKind kind, std::string_view bytes) {
  switch (kind) {
    case GgufKind::kU8:
      return gguf_number_at<std::uint8_t>(bytes);
    case GgufKind::kI8:
      return gguf_number_at<std::int8_t>(bytes);
    case GgufKind::kU16:
      return gguf_number_at<std::uint16_t>(bytes);
    case GgufKind::kI16:
      return gguf_number_at<std::int16_t>(bytes);
    case GgufKind::kU32:
      return gguf_number_at<std::uint32_t>(bytes);
    case GgufKind::kI32:
      return gguf_number_at<std::int32_t>(bytes);
    case GgufKind::kI64:
      return gguf_number_at<std::int64_t>(bytes);
    case GgufKind::kU64: {
      const auto value = gguf_number_at<std::uint64_t>(bytes);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

constexpr std::size_t kArrayHead = sizeof(std::uint32_t) + sizeof(std::uint64_t);  // its elements' kind, and how many

}  // namespace

/// Reads everything before the tensors' numbers.
class GgufFile::Header {
 public:
  explicit Header(GgufFile& file) : file_(file), cursor_(file.file_.text(), file.path().string()) {}

  void read() {
    read_start();
    const auto tensors = cursor_.take<std::uint64_t>("the number of tensors");
    const auto keys = cursor_.take<std::uint64_t>("the number of keys");
    cursor_.need(keys, kLeastKeyBytes, "keys");
    for (std::uint64_t i = 0; i < keys; ++i) read_key();
    settle_alignment();
    cursor_.need(tensors, kLeastTensorBytes, "tensors");
    for (std::uint64_t i = 0; i < tensors; ++i) read_tensor();
    place_tensors();
  }

 private:
  const std::string& source() const { return cursor_.source(); }

  void read_start() {
    const std::string_view text = file_.file_.text();
    refuse_git_lfs_pointer(text, file_.path());
    if (!text.starts_with(gguf::kMagic)) {
      const FileKind kind = file_kind(text.substr(0, kFileKindBytes));
      fail(ErrorCode::kFormat, "{}: {}, not a GGUF file", source(), file_kind_name(kind));
    }
    cursor_.take<std::uint32_t>("the magic number");
    const auto version = cursor_.take<std::uint32_t>("the version");
    if (version == gguf::kVersion || version == gguf::kVersion - 1) return;  // 2 is the same, but for big-endian files
    const bool swapped = version != 0 && (version & 0xFFFFu) == 0;
    fail(ErrorCode::kUnsupported, "{}: {}; GGUF of version 2 or 3 is read, little-endian", source(),
         swapped ? "a big-endian GGUF file" : fmt::format("a GGUF file of version {}", version));
  }

  void read_key() {
    const std::string name(cursor_.take_text("a key's name"));
    if (name.empty() || name.size() > kMaxKeyBytes)
      fail(ErrorCode::kFormat, "{}: a key's name has {} bytes, expected 1 to {}", source(), name.size(), kMaxKeyBytes);
    const GgufValue value = take_value(cursor_, name.substr(0, kMaxNameShown));
    if (!file_.keys_.emplace(name, value).second)
      fail(ErrorCode::kFormat, "{}: key \"{}\" stands there twice", source(), name.substr(0, kMaxNameShown));
    file_.order_.push_back(name);
  }

  void settle_alignment() {
    const auto alignment = file_.integer(kGgufAlignmentKey);
    if (!alignment) return;
    if (*alignment < 1 || *alignment > std::numeric_limits<std::uint32_t>::max() ||
        !std::has_single_bit(static_cast<std::uint64_t>(*alignment)))
      fail(ErrorCode::kFormat, "{}: {} is {}, expected a power of two", source(), kGgufAlignmentKey, *alignment);
    alignment_ = static_cast<std::uint64_t>(*alignment);
  }

  void read_tensor() {
    const std::string name(cursor_.take_text("a tensor's name"));
    const std::string where = fmt::format("{}: tensor \"{}\"", source(), name.substr(0, kMaxNameShown));
    if (name.empty() || name.size() > kGgufMaxName)
      fail(ErrorCode::kFormat, "{}: its name has {} bytes, expected 1 to {}", where, name.size(), kGgufMaxName);
    GgufTensorInfo info;
    const auto dimensions = cursor_.take<std::uint32_t>("a number of dimensions");
    if (dimensions < 1 || dimensions > gguf::kMaxDimensions)
      fail(ErrorCode::kFormat, "{}: {} dimensions, expected 1 to {}", where, dimensions, gguf::kMaxDimensions);
    info.shape.resize(dimensions);
    for (std::size_t i = dimensions; i-- > 0;) info.shape[i] = cursor_.take<std::int64_t>("a dimension");
    info.type = static_cast<GgufType>(cursor_.take<std::uint32_t>("a tensor's type"));
    const GgufTypeInfo* type = gguf_type_info(info.type);
    if (type == nullptr)
      fail(ErrorCode::kUnsupported,
           "{}: its type has the number {}, which is not known; F32, F16, BF16 and Q8_0 are read", where,
           static_cast<std::uint32_t>(info.type));
    const auto extent = gguf::extent_of(info.type, info.shape);
    if (!extent)
      fail(ErrorCode::kFormat, "{}: {} is no shape of a tensor of {}", where, shape_text(info.shape), type->name);
    info.elements = extent->elements;
    info.bytes = extent->bytes;
    info.offset = cursor_.take<std::uint64_t>("a tensor's offset");
    const auto [entry, is_new] = file_.tensors_.emplace(name, std::move(info));
    if (!is_new) fail(ErrorCode::kFormat, "{}: it stands there twice", where);
    in_order_.push_back(&*entry);
  }

  /// Tensors must lie one after another, each at the next multiple of the alignment, up to the file's end.
  void place_tensors() {
    const std::uint64_t size = file_.file_.size(), start = gguf::aligned(cursor_.position(), alignment_);
    std::uint64_t expected = 0, end = 0;
    for (auto* const entry : in_order_) {
      GgufTensorInfo& info = entry->second;
      if (info.offset != expected)
        fail(ErrorCode::kFormat,
             "{}: tensor \"{}\" lies at byte {} of the data, expected {}: tensors must lie one after "
             "another, aligned to {}",
             source(), entry->first, info.offset, expected, alignment_);
      if (start > size || expected > size - start || info.bytes > size - start - expected)
        fail(ErrorCode::kFormat,
             "{}: tensor \"{}\" of {} bytes reaches beyond the file's end; it is truncated, fetch it "
             "again",
             source(), entry->first, info.bytes);
      info.offset += start;
      end = info.offset + info.bytes;
      expected = gguf::aligned(expected + info.bytes, alignment_);
    }
    const std::uint64_t most = in_order_.empty() ? start : start + expected;
    if (size > most)
      fail(ErrorCode::kFormat, "{}: {} bytes after the last tensor belong to none", source(), size - most);
    if (size < end) fail(ErrorCode::kFormat, "{}: it ends within its last tensor", source());
  }

  GgufFile& file_;
  GgufCursor cursor_;
  std::uint64_t alignment_ = kGgufAlignment;
  std::vector<std::pair<const std::string, GgufTensorInfo>*> in_order_;
};

GgufFile GgufFile::open(const std::filesystem::path& path) {
  GgufFile file{MappedFile(path)};
  file.file_.checked([&] { Header(file).read(); });
  return file;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = keys_.find(key);
  return it == keys_.end() ? nullptr : &it->second;
}

void GgufFile::refuse_kind(std::string_view key, const GgufValue& value, std::string_view expected) const {
  const bool array = value.kind == GgufKind::kArray;
  fail(ErrorCode::kFormat, "{}: key \"{}\" is {}{}, expected {}", path().string(), key, array ? "an array, each " : "",
       gguf::kind_name(array ? value.element : value.kind), expected);
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  const auto number = whole_number(value->kind, value->bytes);
  if (!number) refuse_kind(key, *value, "a whole number below 2^63");
  return number;
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (value->kind == GgufKind::kF32) return gguf_number_at<float>(value->bytes);
  if (value->kind == GgufKind::kF64) return gguf_number_at<double>(value->bytes);
  refuse_kind(key, *value, "a float");
}

std::optional<bool> GgufFile::flag(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (value->kind != GgufKind::kBool) refuse_kind(key, *value, "true or false");
  return value->bytes[0] != 0;
}

std::optional<std::string_view> GgufFile::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (value->kind != GgufKind::kString) refuse_kind(key, *value, "a text");
  return value->bytes.substr(sizeof(std::uint64_t));
}

std::optional<std::vector<std::int64_t>> GgufFile::integers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  const std::size_t size = value->kind == GgufKind::kArray ? gguf::kind_bytes(value->element) : 0;
  if (size == 0) refuse_kind(key, *value, "an array of whole numbers");
  std::vector<std::int64_t> numbers;
  numbers.reserve(value->count);
  for (std::size_t at = kArrayHead; at < value->bytes.size(); at += size) {
    const auto number = whole_number(value->element, value->bytes.substr(at));
    if (!number) refuse_kind(key, *value, "an array of whole numbers below 2^63");
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<std::vector<float>> GgufFile::numbers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (value->kind != GgufKind::kArray || value->element != GgufKind::kF32)
    refuse_kind(key, *value, "an array of 32-bit floats");
  std::vector<float> numbers(value->count);
  if (!numbers.empty()) std::memcpy(numbers.data(), value->bytes.data() + kArrayHead, numbers.size() * sizeof(float));
  return numbers;
}

std::optional<std::vector<std::string_view>> GgufFile::texts(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (value->kind != GgufKind::kArray || value->element != GgufKind::kString)
    refuse_kind(key, *value, "an array of texts");
  GgufCursor cursor(value->bytes.substr(kArrayHead), path().string());
  std::vector<std::string_view> texts;
  texts.reserve(value->count);
  for (std::uint64_t i = 0; i < value->count; ++i) texts.push_back(cursor.take_text("a text of an array"));
  return texts;
}

std::vector<std::string> GgufFile::tensors() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : tensors_) names.push_back(name);
  return names;
}

const GgufTensorInfo& GgufFile::info(std::string_view tensor) const {
  const auto it = tensors_.find(tensor);
  if (it == tensors_.end()) fail(ErrorCode::kNotFound, "{}: has no tensor \"{}\"", path().string(), tensor);
  return it->second;
}

std::span<const std::byte> GgufFile::raw(std::string_view tensor) const {
  const GgufTensorInfo& found = info(tensor);
  return file_.bytes().subspan(found.offset, found.bytes);
}

}  // namespace fabula
