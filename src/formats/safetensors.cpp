#include "formats/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "base/half.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian and is read without swapping");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's reference implementation
constexpr std::size_t kMaxDimensions = 16;
constexpr const char* kMetadataKey = "__metadata__";

struct DtypeRow {
  TensorDtype dtype;
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array kDtypes = {
    DtypeRow{TensorDtype::kF64, "F64", 8},   DtypeRow{TensorDtype::kF32, "F32", 4},
    DtypeRow{TensorDtype::kF16, "F16", 2},   DtypeRow{TensorDtype::kBf16, "BF16", 2},
    DtypeRow{TensorDtype::kI64, "I64", 8},   DtypeRow{TensorDtype::kI32, "I32", 4},
    DtypeRow{TensorDtype::kI16, "I16", 2},   DtypeRow{TensorDtype::kI8, "I8", 1},
    DtypeRow{TensorDtype::kU64, "U64", 8},   DtypeRow{TensorDtype::kU32, "U32", 4},
    DtypeRow{TensorDtype::kU16, "U16", 2},   DtypeRow{TensorDtype::kU8, "U8", 1},
    DtypeRow{TensorDtype::kBool, "BOOL", 1},
};

const DtypeRow& row_of(TensorDtype dtype) {
  return *std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeRow& row) { return row.dtype == dtype; });
}

// Product of the dimensions; nothing when it does not fit (so that times 8 bytes still fits 63 bits).
std::optional<std::int64_t> element_count(std::span<const std::int64_t> shape) {
  constexpr std::int64_t kLimit = std::numeric_limits<std::int64_t>::max() / 8;
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && count > kLimit / size)) return std::nullopt;
    count *= size;
  }
  return count;
}

// Reads the fields of one header entry; every failure names the file and the tensor.
class EntryReader {
 public:
  EntryReader(std::string source, std::string name) : where_(source + ": tensor \"" + name + "\"") {}

  TensorInfo read(const json& entry, std::uint64_t data_start, std::uint64_t data_bytes) const {
    if (!entry.is_object()) fail(ErrorCode::kFormat, "{}: its header entry is not an object", where_);
    for (const auto& [key, value] : entry.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        fail(ErrorCode::kFormat, "{}: unknown header field \"{}\"", where_, key);
      }
    }
    TensorInfo info;
    info.dtype = dtype(field(entry, "dtype"));
    info.shape = integers(field(entry, "shape"), "shape");
    if (info.shape.size() > kMaxDimensions) {
      fail(ErrorCode::kFormat, "{}: {} dimensions, at most {} are possible", where_, info.shape.size(), kMaxDimensions);
    }
    const auto count = element_count(info.shape);
    if (!count) fail(ErrorCode::kFormat, "{}: the shape {} is too large", where_, shape_text(info.shape));
    info.elements = *count;
    info.bytes = static_cast<std::uint64_t>(info.elements) * dtype_bytes(info.dtype);
    const auto offsets = integers(field(entry, "data_offsets"), "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
      fail(ErrorCode::kFormat, "{}: data_offsets is {}, expected [begin, end]", where_, shape_text(offsets));
    }
    const auto begin = static_cast<std::uint64_t>(offsets[0]);
    const auto end = static_cast<std::uint64_t>(offsets[1]);
    if (end > data_bytes) {
      fail(ErrorCode::kFormat, "{}: ends at byte {} of the data, the file has {}; it is truncated, fetch it again",
           where_, end, data_bytes);
    }
    if (end - begin != info.bytes) {
      fail(ErrorCode::kFormat, "{}: {} {} needs {} bytes, data_offsets gives {}", where_, dtype_name(info.dtype),
           shape_text(info.shape), info.bytes, end - begin);
    }
    info.offset = data_start + begin;
    return info;
  }

 private:
  const json& field(const json& entry, const char* key) const {
    const auto it = entry.find(key);
    if (it == entry.end()) fail(ErrorCode::kFormat, "{}: \"{}\" is missing in the header", where_, key);
    return *it;
  }

  TensorDtype dtype(const json& value) const {
    const std::string name = value.is_string() ? value.get<std::string>() : dump_json(value);
    for (const DtypeRow& row : kDtypes) {
      if (row.name == name) return row.dtype;
    }
    fail(ErrorCode::kFormat, "{}: unknown dtype {}; fabula reads F32, F16 and BF16", where_, name.substr(0, 40));
  }

  std::vector<std::int64_t> integers(const json& value, const char* key) const {
    std::vector<std::int64_t> list;
    bool valid = value.is_array();
    for (std::size_t i = 0; valid && i < value.size(); ++i) {
      // A non-negative literal is stored unsigned; above 2^63 it does not fit and is refused.
      valid = value[i].is_number_unsigned() &&
              value[i].get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (valid) list.push_back(value[i].get<std::int64_t>());
    }
    if (!valid) fail(ErrorCode::kFormat, "{}: \"{}\" must be a list of non-negative integers", where_, key);
    return list;
  }

  std::string where_;
};

std::map<std::string, std::string> read_metadata(const json& value, const std::string& source) {
  std::map<std::string, std::string> metadata;
  if (!value.is_object()) fail(ErrorCode::kFormat, "{}: \"__metadata__\" must be an object of strings", source);
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) fail(ErrorCode::kFormat, "{}: \"__metadata__\": \"{}\" is not a string", source, key);
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

// Tensors must lie one after the other from the first byte of the data to the last.
void check_layout(const std::map<std::string, TensorInfo, std::less<>>& tensors, std::uint64_t data_start,
                  std::uint64_t file_bytes, const std::string& source) {
  std::vector<std::pair<const std::string*, const TensorInfo*>> order;
  for (const auto& [name, info] : tensors) order.emplace_back(&name, &info);
  std::sort(order.begin(), order.end(), [](const auto& left, const auto& right) {
    return std::pair(left.second->offset, left.second->bytes) < std::pair(right.second->offset, right.second->bytes);
  });
  std::uint64_t expected = data_start;
  const std::string* before = nullptr;
  for (const auto& [name, info] : order) {
    if (info->offset < expected) fail(ErrorCode::kFormat, "{}: tensor \"{}\" overlaps \"{}\"", source, *name, *before);
    if (info->offset > expected) {
      fail(ErrorCode::kFormat, "{}: {} bytes before tensor \"{}\" belong to no tensor", source, info->offset - expected,
           *name);
    }
    expected = info->offset + info->bytes;
    before = name;
  }
  if (expected != file_bytes) {
    fail(ErrorCode::kFormat, "{}: {} bytes after the last tensor belong to none", source, file_bytes - expected);
  }
}

template <class Convert>
void convert_16(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + 2 * i, sizeof(bits));  // the data need not be aligned
    out[i] = convert(bits);
  }
}

bool holds_integers(const TensorSource& tensor) {
  return tensor.dtype == TensorDtype::kI32 || tensor.dtype == TensorDtype::kI16 || tensor.dtype == TensorDtype::kI8;
}

bool can_be_written(const TensorSource& tensor, std::int64_t count) {
  if (holds_integers(tensor)) return static_cast<std::int64_t>(tensor.integers.size()) == count;
  return tensor.dtype == TensorDtype::kF32 || tensor.dtype == TensorDtype::kF16 || tensor.dtype == TensorDtype::kBf16;
}

// Wide elements first, so that each tensor lies at a multiple of its element's bytes, which PyTorch needs.
std::vector<TensorSource> by_width(std::vector<TensorSource> tensors) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorSource& left, const TensorSource& right) {
    return dtype_bytes(left.dtype) > dtype_bytes(right.dtype);
  });
  return tensors;
}

std::vector<std::uint16_t> narrowed(std::span<const float> values, const TensorSource& tensor) {
  std::vector<std::uint16_t> words;
  words.reserve(values.size());
  for (const float value : values) {
    const bool half = tensor.dtype == TensorDtype::kF16;
    words.push_back(half ? float_to_half(value) : float_to_bf16(value));
    if (std::isfinite(value) && !std::isfinite(half ? half_to_float(words.back()) : bf16_to_float(words.back())))
      fail(ErrorCode::kNumeric, "tensor \"{}\" has the number {}, which is beyond {}'s range; {}", tensor.name, value,
           dtype_name(tensor.dtype),
           std::isfinite(bf16_to_float(float_to_bf16(value))) ? "F32 and BF16 hold it" : "F32 holds it");
  }
  return words;
}

// Little-endian, as the machine has them.
template <class Int>
std::vector<Int> integers_of(const TensorSource& tensor) {
  std::vector<Int> result(tensor.integers.begin(), tensor.integers.end());
  ensure(std::equal(result.begin(), result.end(), tensor.integers.begin()), "tensor \"{}\" has integers beyond {}",
         tensor.name, dtype_name(tensor.dtype));
  return result;
}

// The header text padded with spaces so that the data starts at a multiple of 8; checks names and shapes.
std::string header_text(const std::vector<TensorSource>& tensors, const std::map<std::string, std::string>& metadata,
                        const std::filesystem::path& path) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::int64_t offset = 0;
  for (const TensorSource& tensor : tensors) {
    if (tensor.name == kMetadataKey || header.contains(tensor.name)) {
      fail(ErrorCode::kInvalidArgument, "{}: tensor name \"{}\" is reserved or given twice", path.string(),
           tensor.name);
    }
    const auto count = element_count(tensor.shape);
    if (!count) {
      fail(ErrorCode::kInvalidArgument, "{}: tensor \"{}\": {} is not a possible shape", path.string(), tensor.name,
           shape_text(tensor.shape));
    }
    ensure(can_be_written(tensor, *count), "tensor \"{}\" of type {}, {} integers", tensor.name,
           dtype_name(tensor.dtype), tensor.integers.size());
    const std::int64_t end = offset + *count * static_cast<std::int64_t>(dtype_bytes(tensor.dtype));
    header[tensor.name] = {
        {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = dump_json(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

std::string_view dtype_name(TensorDtype dtype) {
  return row_of(dtype).name;
}
std::size_t dtype_bytes(TensorDtype dtype) {
  return row_of(dtype).bytes;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

SafetensorsFile SafetensorsFile::open(MappedFile mapped) {
  SafetensorsFile file{std::move(mapped)};
  file.file_.checked([&] { file.parse_header(); });
  return file;
}

void SafetensorsFile::parse_header() {
  const std::string source = path().string();
  const std::uint64_t size = file_.size();
  refuse_git_lfs_pointer(file_.text(), path());
  if (size < kLengthBytes) fail(ErrorCode::kFormat, "{}: {} bytes are too few for a safetensors file", source, size);
  std::uint64_t length = 0;
  std::memcpy(&length, file_.bytes().data(), sizeof(length));
  if (length > kMaxHeaderBytes || length > size - kLengthBytes) {
    const FileKind kind = file_kind(file_.text().substr(0, kFileKindBytes));
    if (kind != FileKind::kUnknown && kind != FileKind::kSafetensors)
      fail(ErrorCode::kFormat, "{}: {}, not a safetensors file", source, file_kind_name(kind));
    fail(ErrorCode::kFormat,
         "{}: the header is said to have {} bytes, the file has {}; it is truncated or not safetensors", source, length,
         size);
  }
  const std::string_view text(reinterpret_cast<const char*>(file_.bytes().data()) + kLengthBytes, length);
  const json header = parse_json(text, source + ": header", {.max_bytes = kMaxHeaderBytes, .max_depth = 4});
  if (!header.is_object()) fail(ErrorCode::kFormat, "{}: the header is not a JSON object", source);
  const std::uint64_t data_start = kLengthBytes + length;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) {
      metadata_ = read_metadata(entry, source);
    } else {
      tensors_.emplace(name, EntryReader(source, name).read(entry, data_start, size - data_start));
    }
  }
  check_layout(tensors_, data_start, size, source);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : tensors_) names.push_back(name);
  return names;
}

bool SafetensorsFile::contains(std::string_view name) const {
  return tensors_.find(name) != tensors_.end();
}

const TensorInfo& SafetensorsFile::info(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail(ErrorCode::kNotFound, "{}: has no tensor \"{}\"", path().string(), name);
  return it->second;
}

std::span<const std::byte> SafetensorsFile::raw(std::string_view name) const {
  const TensorInfo& tensor = info(name);
  return file_.bytes().subspan(tensor.offset, tensor.bytes);
}

void SafetensorsFile::read_f32(std::string_view name, std::span<float> out, std::int64_t first) const {
  const TensorInfo& tensor = info(name);
  const auto count = static_cast<std::int64_t>(out.size());
  if (first < 0 || first > tensor.elements || count > tensor.elements - first) {
    fail(ErrorCode::kInvalidArgument, "{}: tensor \"{}\" has {} elements, {} from {} were asked for", path().string(),
         name, tensor.elements, count, first);
  }
  if (out.empty()) return;
  const std::size_t width = dtype_bytes(tensor.dtype);
  const auto bytes = raw(name).subspan(static_cast<std::size_t>(first) * width, out.size() * width);
  switch (tensor.dtype) {
    case TensorDtype::kF32:
      std::memcpy(out.data(), bytes.data(), bytes.size());
      break;
    case TensorDtype::kF16:
      convert_16(bytes, out, half_to_float);
      break;
    case TensorDtype::kBf16:
      convert_16(bytes, out, bf16_to_float);
      break;
    default:
      fail(ErrorCode::kUnsupported, "{}: tensor \"{}\" is {}, weights must be F32, F16 or BF16", path().string(), name,
           dtype_name(tensor.dtype));
  }
  file_.check();
}

void fetch_all(const TensorSource& source, std::span<float> out) {
  for (std::int64_t first = 0; first < std::ssize(out); first += kTensorPieceElements)
    source.fetch(first, out.subspan(static_cast<std::size_t>(first),
                                    static_cast<std::size_t>(std::min(kTensorPieceElements, std::ssize(out) - first))));
}

TensorSource tensor_from_memory(std::string name, std::vector<std::int64_t> shape, std::span<const float> values) {
  const auto count = element_count(shape);
  ensure(count && *count == static_cast<std::int64_t>(values.size()), "tensor \"{}\" {} is given {} values", name,
         shape_text(shape), values.size());
  return {std::move(name), std::move(shape), [values](std::int64_t first, std::span<float> out) {
            std::copy_n(values.begin() + first, out.size(), out.begin());
          }};
}

TensorSource integer_tensor(std::string name, std::vector<std::int64_t> shape, std::vector<std::int32_t> values,
                            TensorDtype dtype) {
  return {std::move(name), std::move(shape), {}, dtype, std::move(values)};
}

std::uint64_t write_safetensors(const std::filesystem::path& path, const std::vector<TensorSource>& unordered,
                                const std::map<std::string, std::string>& metadata) {
  const std::vector<TensorSource> tensors = by_width(unordered);
  const std::string header = header_text(tensors, metadata, path);
  const std::uint64_t length = header.size();
  AtomicFile file(path);
  Checksum checksum;
  const auto write = [&](std::span<const std::byte> bytes) {
    file.write(bytes);
    checksum.add(bytes);
  };
  write(std::as_bytes(std::span(&length, 1)));
  write(std::as_bytes(std::span(header)));
  std::vector<float> piece;
  for (const TensorSource& tensor : tensors) {
    const std::int64_t count = *element_count(tensor.shape);
    if (holds_integers(tensor)) {
      if (tensor.dtype == TensorDtype::kI8)
        write(std::as_bytes(std::span<const std::int8_t>(integers_of<std::int8_t>(tensor))));
      else if (tensor.dtype == TensorDtype::kI16)
        write(std::as_bytes(std::span<const std::int16_t>(integers_of<std::int16_t>(tensor))));
      else
        write(std::as_bytes(std::span(tensor.integers)));
      continue;
    }
    for (std::int64_t first = 0; first < count; first += kTensorPieceElements) {
      piece.resize(static_cast<std::size_t>(std::min(kTensorPieceElements, count - first)));
      tensor.fetch(first, piece);
      if (tensor.dtype == TensorDtype::kF32)
        write(std::as_bytes(std::span<const float>(piece)));
      else
        write(std::as_bytes(std::span<const std::uint16_t>(narrowed(piece, tensor))));
    }
  }
  file.commit();
  return checksum.value();
}

}  // namespace fabula
