#include "formats/llama2c_file.hpp"

#include <cmath>
#include <cstring>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"

namespace fabula {
namespace {

struct Header {
  std::int32_t hidden, inner, layers, heads, kv_heads, vocabulary, positions;
};
static_assert(sizeof(Header) == 28);

constexpr std::uint32_t kLaterVersions = 0x616b3432;  // "ak42": how files of version 1 and 2 begin

constexpr bool is_once(Llama2cPart part) {
  return part == Llama2cPart::kTokens || part == Llama2cPart::kFinalNorm || part == Llama2cPart::kClassifier;
}

}  // namespace

Llama2cFile Llama2cFile::open(const std::filesystem::path& path) {
  Llama2cFile result{MappedFile(path)};
  result.file_.checked([&] { result.read_header(); });
  result.place_parts();
  return result;
}

void Llama2cFile::read_header() {
  const std::string name = path().string();
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < sizeof(Header))
    fail(ErrorCode::kFormat, "{}: {} bytes are too few for a llama2.c checkpoint, whose header alone has {}", name,
         bytes.size(), sizeof(Header));
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (static_cast<std::uint32_t>(header.hidden) == kLaterVersions)
    fail(ErrorCode::kUnsupported,
         "{}: a llama2.c checkpoint of version {}; version 0 is read (export.py --version 0 writes it)", name,
         header.inner);
  const auto checked = [&](std::string_view what, std::int64_t value, std::int64_t most) {
    if (value < 1 || value > most)
      fail(ErrorCode::kFormat, "{}: {} is {}, expected 1 to {}: this is no llama2.c checkpoint of version 0", name,
           what, value, most);
    return value;
  };
  // Bounds first, so that the products below cannot overflow.
  constexpr std::int64_t kMaxWidth = 1 << 16, kMaxDepth = 1 << 10, kMaxHeads = 1 << 12, kMaxTokens = 1 << 22,
                         kMaxPositions = 1 << 20;
  sizes_ = {.hidden = checked("dim", header.hidden, kMaxWidth),
            .inner = checked("hidden_dim", header.inner, kMaxWidth * 4),
            .layers = checked("n_layers", header.layers, kMaxDepth),
            .heads = checked("n_heads", header.heads, kMaxHeads),
            .kv_heads = checked("n_kv_heads", header.kv_heads, kMaxHeads),
            .vocabulary = checked("vocab_size", std::abs(std::int64_t{header.vocabulary}), kMaxTokens),
            .positions = checked("seq_len", header.positions, kMaxPositions),
            .tied = header.vocabulary > 0};
  if (sizes_.hidden % sizes_.heads != 0 || sizes_.head_dim() % 2 != 0)
    fail(ErrorCode::kFormat, "{}: dim {} is no multiple of twice n_heads {}", name, sizes_.hidden, sizes_.heads);
  if (sizes_.heads % sizes_.kv_heads != 0)
    fail(ErrorCode::kFormat, "{}: n_heads {} is no multiple of n_kv_heads {}", name, sizes_.heads, sizes_.kv_heads);
}

Llama2cFile::Shape Llama2cFile::shape_of(const Sizes& sizes, Llama2cPart part) {
  const std::int64_t D = sizes.hidden, F = sizes.inner, keys = sizes.kv_heads * sizes.head_dim();
  switch (part) {
    case Llama2cPart::kTokens:
    case Llama2cPart::kClassifier:
      return {sizes.vocabulary, D};
    case Llama2cPart::kAttentionNorm:
    case Llama2cPart::kFeedForwardNorm:
    case Llama2cPart::kFinalNorm:
      return {1, D};
    case Llama2cPart::kQuery:
    case Llama2cPart::kOutput:
      return {D, D};
    case Llama2cPart::kKey:
    case Llama2cPart::kValue:
      return {keys, D};
    case Llama2cPart::kGate:
    case Llama2cPart::kUp:
      return {F, D};
    case Llama2cPart::kDown:
      return {D, F};
  }
  fail(ErrorCode::kInternal, "a part {} of a llama2.c checkpoint", static_cast<int>(part));
}

void Llama2cFile::place_parts() {
  std::uint64_t offset = sizeof(Header);
  for (std::size_t i = 0; i < kLlama2cParts; ++i) {
    const auto part = static_cast<Llama2cPart>(i);
    if (part == Llama2cPart::kClassifier) {
      // Behind cosines and sines of the positions, which nothing reads any more.
      offset += sizeof(float) * static_cast<std::uint64_t>(sizes_.positions * sizes_.head_dim());
      if (sizes_.tied) continue;
    }
    offsets_[i] = offset;
    const std::int64_t layers = is_once(part) ? 1 : sizes_.layers;
    offset += sizeof(float) * static_cast<std::uint64_t>(layers * shape(part).elements());
  }
  if (offset == file_.size()) return;
  fail(ErrorCode::kFormat,
       "{}: {} bytes; dim {}, hidden_dim {}, n_layers {}, n_heads {}, n_kv_heads {}, vocab_size {}{} and seq_len {} "
       "take "
       "{}: it is cut short, or no llama2.c checkpoint of version 0",
       path().string(), file_.size(), sizes_.hidden, sizes_.inner, sizes_.layers, sizes_.heads, sizes_.kv_heads,
       sizes_.vocabulary, sizes_.tied ? "" : " (with a classifier)", sizes_.positions, offset);
}

void Llama2cFile::read(Llama2cPart part, std::int64_t layer, std::int64_t first, std::span<float> out) const {
  const std::int64_t count = static_cast<std::int64_t>(out.size()), size = shape(part).elements();
  const std::uint64_t offset = offsets_[static_cast<std::size_t>(part)];
  ensure(
      offset != 0 && layer >= 0 && layer < (is_once(part) ? 1 : sizes_.layers) && first >= 0 && first <= size - count,
      "elements {} to {} of layer {} of a part {}", first, first + count, layer, static_cast<int>(part));
  std::memcpy(out.data(),
              file_.bytes().data() + offset + sizeof(float) * static_cast<std::uint64_t>(layer * size + first),
              out.size_bytes());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!std::isfinite(out[i]))
      fail(ErrorCode::kFormat, "{}: a weight is {} (number {} of part {}, layer {})", path().string(), out[i],
           first + static_cast<std::int64_t>(i), static_cast<int>(part), layer);
}

namespace {

/// Cosines, then sines, of each position and pair, [positions, head size / 2] each: older readers of the format take
/// the angles from there.
std::vector<float> rotary_tables(const Llama2cFile::Sizes& sizes) {
  constexpr double kBase = 10000;
  const std::int64_t pairs = sizes.head_dim() / 2;
  std::vector<float> cosines, sines;
  for (std::int64_t position = 0; position < sizes.positions; ++position)
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const double angle =
          static_cast<double>(position) / std::pow(kBase, static_cast<double>(pair) / static_cast<double>(pairs));
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  cosines.insert(cosines.end(), sines.begin(), sines.end());
  return cosines;
}

}  // namespace

void write_llama2c(const std::filesystem::path& path, const Llama2cFile::Sizes& sizes,
                   const std::function<void(Llama2cPart part, std::int64_t layer, std::span<float> out)>& fill) {
  const auto narrow = [](std::int64_t value) { return static_cast<std::int32_t>(value); };
  const Header header{narrow(sizes.hidden),   narrow(sizes.inner),
                      narrow(sizes.layers),   narrow(sizes.heads),
                      narrow(sizes.kv_heads), narrow(sizes.tied ? sizes.vocabulary : -sizes.vocabulary),
                      narrow(sizes.positions)};
  AtomicFile file(path);
  file.write(&header, sizeof(header));
  std::vector<float> values;
  const auto write = [&] { file.write(std::as_bytes(std::span<const float>(values))); };
  for (std::size_t i = 0; i < kLlama2cParts; ++i) {
    const auto part = static_cast<Llama2cPart>(i);
    if (part == Llama2cPart::kClassifier) {
      values = rotary_tables(sizes);
      write();
      if (sizes.tied) break;
    }
    values.resize(static_cast<std::size_t>(Llama2cFile::shape_of(sizes, part).elements()));
    for (std::int64_t layer = 0; layer < (is_once(part) ? 1 : sizes.layers); ++layer) {
      fill(part, layer, values);
      write();
    }
  }
  file.commit();
}

}  // namespace fabula
