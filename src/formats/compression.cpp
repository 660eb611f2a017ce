#include "formats/compression.hpp"

#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "formats/coded_matrix.hpp"
#include "formats/compression_json.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::int64_t kMaxSide = 1 << 30;
constexpr std::size_t kMaxCodedTensors = 1'000'000;

class CompressionReader {
 public:
  CompressionReader(const json& object, std::string_view source) : object_(object), source_(source) {}

  Compression read() const {
    Compression compression;
    if (const auto method = object_.find("method"); method != object_.end() && method->is_string())
      compression.method = method->get<std::string>();
    const auto tensors = object_.find("tensors");
    if (tensors == object_.end() || !tensors->is_object() || tensors->empty() || tensors->size() > kMaxCodedTensors)
      fail(ErrorCode::kFormat, "{}: {}.tensors must be an object that says how each tensor is stored", source_,
           kQuantizationKey);
    for (const auto& [name, entry] : tensors->items()) compression.tensors.emplace(name, tensor(name, entry));
    return compression;
  }

 private:
  CodedTensor tensor(const std::string& name, const json& entry) const {
    if (!entry.is_object()) bad(name, "must be an object");
    CodedTensor coded;
    const std::int64_t bits = number(name, entry, "bits"), group = number(name, entry, "group_size");
    if (bits != 3 && bits != 4 && bits != 8)
      fail(ErrorCode::kUnsupported, "{}: tensor \"{}\" has {} bits; fabula reads 3, 4 and 8", source_, name, bits);
    if (group != kCodeGroup)
      fail(ErrorCode::kUnsupported, "{}: tensor \"{}\" has groups of {}; fabula reads groups of {}", source_, name,
           group, kCodeGroup);
    coded.bits = static_cast<int>(bits);
    coded.has_offsets = flag(name, entry, "offsets");
    coded.transposed = flag(name, entry, "transposed");
    if (coded.bits == 8 && coded.has_offsets)
      fail(ErrorCode::kUnsupported, "{}: tensor \"{}\" has bytes with offsets; fabula reads bytes without", source_,
           name);
    const auto shape = entry.find("shape");
    if (shape == entry.end() || !shape->is_array() || shape->size() != 2) bad(name, "needs a shape of two numbers");
    for (const json& side : *shape) {
      if (!side.is_number_unsigned() || side.get<std::uint64_t>() == 0 || side.get<std::uint64_t>() > kMaxSide)
        bad(name, "needs a shape of two numbers");
      coded.shape.push_back(side.get<std::int64_t>());
    }
    return coded;
  }

  std::int64_t number(const std::string& name, const json& entry, const char* key) const {
    const auto it = entry.find(key);
    if (it == entry.end() || !it->is_number_unsigned() || it->get<std::uint64_t>() > kMaxSide)
      bad(name, fmt::format("needs a number {}", key));
    return it->get<std::int64_t>();
  }
  bool flag(const std::string& name, const json& entry, const char* key) const {
    const auto it = entry.find(key);
    if (it != entry.end() && !it->is_boolean()) bad(name, fmt::format("{} is true or false", key));
    return it != entry.end() && it->get<bool>();
  }
  [[noreturn]] void bad(const std::string& name, const std::string& what) const {
    fail(ErrorCode::kFormat, "{}: {}.tensors, \"{}\": {}", source_, kQuantizationKey, name, what);
  }

  const json& object_;
  std::string_view source_;
};

}  // namespace

bool is_own_compression(const json& root) {
  const auto it = root.is_object() ? root.find(kQuantizationKey) : root.end();
  return it != root.end() && it->is_object() && it->value("quant_method", json()) == kOwnQuantMethod;
}

Compression read_compression(const json& root, std::string_view source) {
  if (!is_own_compression(root)) return {};
  return CompressionReader(root[kQuantizationKey], source).read();
}

Compression read_compression(std::string_view config_text, std::string_view source) {
  if (config_text.find(kQuantizationKey) == config_text.npos) return {};
  const json root = json::parse(config_text, nullptr, false);
  return root.is_discarded() ? Compression{} : read_compression(root, source);
}

ordered_json compression_json(const Compression& compression) {
  ordered_json tensors = ordered_json::object();
  for (const auto& [name, coded] : compression.tensors) {
    ordered_json entry = {
        {"bits", coded.bits}, {"group_size", kCodeGroup}, {"offsets", coded.has_offsets}, {"shape", coded.shape}};
    if (coded.transposed) entry["transposed"] = true;
    tensors[name] = std::move(entry);
  }
  return {{"quant_method", kOwnQuantMethod}, {"method", compression.method}, {"tensors", std::move(tensors)}};
}

}  // namespace fabula
