// What the host gives to a runtime's values and takes from them; runtime.cpp runs the graphs.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/fail.hpp"
#include "graph/runtime.hpp"

namespace fabula::graph {
namespace {

/// Host rows converted at once when stored values are padded or unpadded.
constexpr std::int64_t kHostChunkBytes = 8 << 20;

std::size_t dense_row_bytes(const Shape& shape) {
  return static_cast<std::size_t>(shape.dense_row_bytes());
}

/// A row of numbers as elements of the value's type.
void encode_row(const Shape& shape, const float* from, std::byte* to) {
  if (!is_half(shape.dtype)) {
    std::memcpy(to, from, dense_row_bytes(shape));
    return;
  }
  auto* halves = reinterpret_cast<std::uint16_t*>(to);
  std::transform(from, from + shape.cols, halves, [&](float value) { return half_bits(shape.dtype, value); });
}

void decode_row(const Shape& shape, const std::byte* from, float* to) {
  if (!is_half(shape.dtype)) {
    std::memcpy(to, from, dense_row_bytes(shape));
    return;
  }
  const auto* halves = reinterpret_cast<const std::uint16_t*>(from);
  std::transform(halves, halves + shape.cols, to, [&](std::uint16_t bits) { return half_value(shape.dtype, bits); });
}

}  // namespace

const Workload::Stored& Runtime::find_stored(std::string_view name, DType type, std::size_t bytes) const {
  const auto it = workload_.stored().find(name);
  ensure(it != workload_.stored().end(), "the store holds no \"{}\"", name);
  const Shape& shape = it->second.shape;
  const bool rounded = type == DType::kF32 && is_float(shape.dtype);
  ensure(type == shape.dtype || rounded, "\"{}\" holds {}, the host's side {}", name, to_string(shape.dtype),
         to_string(type));
  const std::size_t size = static_cast<std::size_t>(shape.rows) * dense_row_bytes({1, shape.cols, type});
  ensure(bytes == size, "\"{}\" is {}, the host's side has {} elements", name, to_string(shape),
         8 * static_cast<std::int64_t>(bytes) / element_bits(type));
  return it->second;
}

void Runtime::for_each_chunk(const Workload::Stored& stored, const ChunkVisitor& visit) {
  wait();
  const Shape& shape = stored.shape;
  const std::int64_t step = std::max<std::int64_t>(1, kHostChunkBytes / shape.row_bytes());
  for (const Piece& piece : stored.placement.pieces)
    for (std::int64_t row = piece.row_begin; row < piece.row_end; row += step)
      visit({row, std::min(piece.row_end, row + step)}, store_[piece.block],
            piece.offset + static_cast<std::uint64_t>((row - piece.row_begin) * shape.row_bytes()));
}

void Runtime::upload_rows(std::string_view name, DType type, std::size_t bytes, const RowWriter& write) {
  const Workload::Stored& stored = find_stored(name, type, bytes);
  const auto row_bytes = static_cast<std::size_t>(stored.shape.row_bytes());
  std::vector<std::byte> rows;
  for_each_chunk(stored, [&](RowBlock block, const vk::Buffer& to, std::uint64_t offset) {
    rows.assign(static_cast<std::size_t>(block.size()) * row_bytes, std::byte{0});
    for (std::int64_t r = block.begin; r < block.end; ++r)
      write(stored.shape, r, rows.data() + static_cast<std::size_t>(r - block.begin) * row_bytes);
    device_.upload(to, offset, rows);
  });
  if (stored.role != Role::kConstant) return;
  for (Recorded& recorded : recorded_) std::erase(recorded.not_given, name);
}

void Runtime::upload_one_row(std::string_view name, std::int64_t row, DType type, std::span<const std::byte> elements) {
  const auto it = workload_.stored().find(name);
  ensure(it != workload_.stored().end(), "the store holds no \"{}\"", name);
  const Shape& shape = it->second.shape;
  ensure(type == shape.dtype && row >= 0 && row < shape.rows && elements.size() == dense_row_bytes(shape),
         "\"{}\" is {} {}, the host's side row {} of {} bytes of {}", name, to_string(shape), to_string(shape.dtype),
         row, elements.size(), to_string(type));
  std::vector<std::byte> padded(static_cast<std::size_t>(shape.row_bytes()));
  std::copy(elements.begin(), elements.end(), padded.begin());
  for (const Piece& piece : it->second.placement.pieces)
    if (row >= piece.row_begin && row < piece.row_end)
      written_rows_.push_back({piece.block,
                               piece.offset + static_cast<std::uint64_t>((row - piece.row_begin) * shape.row_bytes()),
                               padded});
}

Runtime::RowCopies* Runtime::take_written_rows() {
  if (written_rows_.empty()) return nullptr;
  std::swap(row_copies_.front(), row_copies_.back());
  RowCopies& copies = row_copies_.front();
  device_.wait(copies.ticket);
  std::uint64_t bytes = 0;
  for (const WrittenRow& row : written_rows_) bytes += row.bytes.size();
  if (!copies.staging || copies.staging.size() < bytes) {
    copies.staging = {};
    copies.staging = device_.allocate(std::bit_ceil(bytes), vk::MemoryUse::kUpload, "rows on their way");
  }
  copies.list.emplace(device_.new_list({.label = "rows", .brief = true}));
  std::uint64_t from = 0;
  for (const WrittenRow& row : written_rows_) {
    std::memcpy(static_cast<std::byte*>(copies.staging.mapped()) + from, row.bytes.data(), row.bytes.size());
    copies.list->copy({&copies.staging, from, row.bytes.size()}, {&store_[row.block], row.offset, row.bytes.size()});
    from += row.bytes.size();
  }
  copies.list->end();
  written_rows_.clear();
  return &copies;
}

void Runtime::upload_row(std::string_view name, std::int64_t row, std::span<const std::uint32_t> words) {
  upload_one_row(name, row, DType::kU32, std::as_bytes(words));
}

void Runtime::upload_row(std::string_view name, std::int64_t row, std::span<const float> numbers) {
  upload_one_row(name, row, DType::kF32, std::as_bytes(numbers));
}

void Runtime::download_rows(std::string_view name, DType type, std::size_t bytes, const RowReader& read) {
  const Workload::Stored& stored = find_stored(name, type, bytes);
  const auto row_bytes = static_cast<std::size_t>(stored.shape.row_bytes());
  std::vector<std::byte> rows;
  for_each_chunk(stored, [&](RowBlock block, const vk::Buffer& from, std::uint64_t offset) {
    rows.resize(static_cast<std::size_t>(block.size()) * row_bytes);
    device_.download(from, offset, rows);
    for (std::int64_t r = block.begin; r < block.end; ++r)
      read(stored.shape, r, rows.data() + static_cast<std::size_t>(r - block.begin) * row_bytes);
  });
}

void Runtime::upload(std::string_view name, std::span<const float> numbers) {
  upload_rows(name, DType::kF32, numbers.size_bytes(), [&](const Shape& shape, std::int64_t row, std::byte* to) {
    encode_row(shape, numbers.data() + row * shape.cols, to);
  });
}

void Runtime::download(std::string_view name, std::span<float> numbers) {
  download_rows(name, DType::kF32, numbers.size_bytes(),
                [&](const Shape& shape, std::int64_t row, const std::byte* from) {
                  decode_row(shape, from, numbers.data() + row * shape.cols);
                });
}

void Runtime::upload(std::string_view name, DType type, std::span<const std::byte> elements) {
  upload_rows(name, type, elements.size(), [&](const Shape& shape, std::int64_t row, std::byte* to) {
    std::memcpy(to, elements.data() + static_cast<std::size_t>(row) * dense_row_bytes(shape), dense_row_bytes(shape));
  });
}

void Runtime::download(std::string_view name, DType type, std::span<std::byte> elements) {
  download_rows(name, type, elements.size(), [&](const Shape& shape, std::int64_t row, const std::byte* from) {
    std::memcpy(elements.data() + static_cast<std::size_t>(row) * dense_row_bytes(shape), from, dense_row_bytes(shape));
  });
}

void Runtime::upload(std::string_view name, std::span<const std::uint32_t> words) {
  upload(name, DType::kU32, std::as_bytes(words));
}

void Runtime::download(std::string_view name, std::span<std::uint32_t> words) {
  download(name, DType::kU32, std::as_writable_bytes(words));
}

void Runtime::set_input(std::size_t graph, std::string_view name, std::span<const std::uint32_t> words) {
  const PlannedGraph& planned = workload_.graphs().at(graph);
  const Value value = planned.graph.find(name);
  ensure(value && planned.graph.info(value).role == Role::kInput, "graph \"{}\" has no input \"{}\"", planned.name,
         name);
  const Shape& shape = planned.graph.shape(value);
  ensure(element_bytes(shape.dtype) == 4, "input \"{}\" of graph \"{}\" holds {}, the host's side words", name,
         planned.name, to_string(shape.dtype));
  ensure(static_cast<std::int64_t>(words.size()) == shape.count(),
         "input \"{}\" of graph \"{}\" is {}, the host's side has {} elements", name, planned.name, to_string(shape),
         words.size());
  std::erase(recorded_[graph].not_given, name);
  for (const Piece& piece : planned.program.placements[static_cast<std::size_t>(value.id)].pieces) {
    std::uint32_t* to = recorded_[graph].next_inputs[piece.block].data() + piece.offset / 4;
    for (std::int64_t row = piece.row_begin; row < piece.row_end; ++row, to += shape.ld()) {
      std::copy_n(words.begin() + row * shape.cols, shape.cols, to);
      std::fill(to + shape.cols, to + shape.ld(), 0u);
    }
  }
}

void Runtime::set_input(std::size_t graph, std::string_view name, std::span<const float> numbers) {
  const PlannedGraph& planned = workload_.graphs().at(graph);
  const Value value = planned.graph.find(name);
  if (value)
    ensure(is_float(planned.graph.shape(value).dtype), "input \"{}\" of graph \"{}\" holds {}, the host's side {}",
           name, planned.name, to_string(planned.graph.shape(value).dtype), to_string(DType::kF32));
  std::vector<std::uint32_t> words(numbers.size());
  std::memcpy(words.data(), numbers.data(), numbers.size_bytes());
  set_input(graph, name, std::span<const std::uint32_t>(words));
}

const std::byte* Runtime::kept_rows(std::size_t graph, Value value, std::optional<std::uint64_t> run) {
  const Side& side = finished(graph, run);
  for (const auto& [kept, offset] : workload_.graphs().at(graph).kept)
    if (kept == value) return static_cast<const std::byte*>(side.readback.mapped()) + offset;
  fail(ErrorCode::kInternal, "\"{}\" of graph \"{}\" is not kept", workload_.graphs()[graph].graph.info(value).name,
       workload_.graphs()[graph].name);
}

std::vector<std::uint32_t> Runtime::read_words(std::size_t graph, Value value, std::optional<std::uint64_t> run) {
  const std::byte* from = kept_rows(graph, value, run);
  const ValueInfo& info = workload_.graphs()[graph].graph.info(value);
  const Shape& shape = info.shape;
  ensure(element_bytes(shape.dtype) == 4, "\"{}\" holds {}, words are asked for", info.name, to_string(shape.dtype));
  std::vector<std::uint32_t> result(static_cast<std::size_t>(shape.count()));
  for (std::int64_t row = 0; row < shape.rows; ++row)
    std::memcpy(result.data() + row * shape.cols, from + row * shape.row_bytes(), dense_row_bytes(shape));
  return result;
}

std::vector<float> Runtime::read(std::size_t graph, Value value, std::optional<std::uint64_t> run) {
  const std::byte* from = kept_rows(graph, value, run);
  const ValueInfo& info = workload_.graphs()[graph].graph.info(value);
  const Shape& shape = info.shape;
  ensure(is_float(shape.dtype), "\"{}\" holds {}, {} is asked for", info.name, to_string(shape.dtype),
         to_string(DType::kF32));
  std::vector<float> result(static_cast<std::size_t>(shape.count()));
  for (std::int64_t row = 0; row < shape.rows; ++row)
    decode_row(shape, from + row * shape.row_bytes(), result.data() + row * shape.cols);
  return result;
}

std::vector<std::uint32_t> Runtime::read_padded(std::size_t graph, Value value) {
  const std::byte* from = kept_rows(graph, value, {});
  const auto bytes = static_cast<std::size_t>(workload_.graphs()[graph].graph.shape(value).bytes());
  std::vector<std::uint32_t> words(bytes / 4);
  std::memcpy(words.data(), from, bytes);
  return words;
}

}  // namespace fabula::graph
