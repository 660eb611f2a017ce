#include "graph/runtime.hpp"

#include <algorithm>
#include <cstring>

#include "base/fail.hpp"

namespace fabula::graph {
namespace {

/// Host rows converted at once when parameters are padded or unpadded.
constexpr std::int64_t kHostChunkBytes = 8 << 20;

std::int64_t rows_per_chunk(const Shape& shape) {
  return std::max<std::int64_t>(1, kHostChunkBytes / shape.row_bytes());
}

/// A row of floats as the device stores it, padding included.
void encode_row(const Shape& shape, const float* from, std::byte* to) {
  const auto cols = static_cast<std::size_t>(shape.cols);
  if (!is_half(shape.dtype)) {
    std::memcpy(to, from, cols * 4);
  } else {
    auto* words = reinterpret_cast<std::uint16_t*>(to);
    std::transform(from, from + cols, words, [&](float value) { return half_bits(shape.dtype, value); });
  }
  const auto used = cols * static_cast<std::size_t>(element_bytes(shape.dtype));
  std::memset(to + used, 0, static_cast<std::size_t>(shape.row_bytes()) - used);
}

void decode_row(const Shape& shape, const std::byte* from, float* to) {
  const auto cols = static_cast<std::size_t>(shape.cols);
  if (!is_half(shape.dtype)) {
    std::memcpy(to, from, cols * 4);
  } else {
    const auto* words = reinterpret_cast<const std::uint16_t*>(from);
    std::transform(words, words + cols, to, [&](std::uint16_t bits) { return half_value(shape.dtype, bits); });
  }
}

vk::KernelKey kernel_of(const Step& step) {
  return {step.shader, step.constants, step.subgroup_size, step.types};
}

}  // namespace

Runtime::Runtime(vk::Device& device, Workload workload, const RuntimeOptions& options)
    : device_(device), workload_(std::move(workload)) {
  for (std::uint64_t size : workload_.store_blocks())
    store_.push_back(device_.allocate(size, vk::MemoryUse::kDevice, "parameters and optimizer state"));
  for (std::uint64_t size : workload_.arena_blocks())
    arena_.push_back(device_.allocate(size, vk::MemoryUse::kDevice, "activations"));
  for (const vk::Buffer& block : store_) fill(block, 0);  // and what lies between two tensors stays so
  recorded_.resize(workload_.graphs().size());
  for (std::size_t g = 0; g < recorded_.size(); ++g) allocate(workload_.graphs()[g], recorded_[g]);
  std::vector<vk::KernelKey> kernels;
  for (const PlannedGraph& planned : workload_.graphs())
    for (const Step& step : planned.program.steps)
      if (!step.shader.empty()) kernels.push_back(kernel_of(step));
  device_.prepare_pipelines(kernels);
  for (std::size_t g = 0; g < recorded_.size(); ++g) {
    record(workload_.graphs()[g], recorded_[g], options.timed);
    for (Side& side : recorded_[g].sides) record_copies(workload_.graphs()[g], recorded_[g], side, options.spans);
  }
}

void Runtime::allocate(const PlannedGraph& planned, Recorded& recorded) {
  for (std::uint64_t size : planned.input_blocks) {
    recorded.inputs.push_back(device_.allocate(size, vk::MemoryUse::kDevice, planned.name + " inputs"));
    recorded.next_inputs.emplace_back(size / 4, 0u);
  }
  for (Side& side : recorded.sides) {
    for (std::uint64_t size : planned.input_blocks)
      side.staging.push_back(device_.allocate(size, vk::MemoryUse::kUpload, planned.name + " staging"));
    if (planned.readback_bytes > 0)
      side.readback = device_.allocate(planned.readback_bytes, vk::MemoryUse::kReadback, planned.name + " results");
  }
}

vk::BufferRange Runtime::resolve(const Recorded& recorded, const Range& range) const {
  const std::vector<vk::Buffer>& pool = range.pool == Pool::kArena   ? arena_
                                        : range.pool == Pool::kStore ? store_
                                                                     : recorded.inputs;
  return {&pool.at(range.block), range.offset, range.size};
}

void Runtime::record(const PlannedGraph& planned, Recorded& recorded, bool timed) {
  recorded.list.emplace(device_.new_list({.label = planned.name, .timed = timed}));
  for (const Step& step : planned.program.steps) {
    if (step.shader.empty()) {
      recorded.list->fill(resolve(recorded, step.bindings.front()), 0);
      continue;
    }
    vk::DispatchCall call;
    call.pipeline = device_.pipeline(kernel_of(step));
    for (const Range& range : step.bindings) call.bindings.push_back(resolve(recorded, range));
    call.push = step.push;
    call.groups = step.groups;
    call.label = step.label;
    recorded.list->dispatch(call);
  }
  recorded.list->end();
}

void Runtime::record_copies(const PlannedGraph& planned, const Recorded& recorded, Side& side, bool timed) {
  if (!recorded.inputs.empty()) {
    side.inputs.emplace(device_.new_list({.label = planned.name, .timed = timed}));
    for (std::size_t i = 0; i < recorded.inputs.size(); ++i)
      side.inputs->copy({&side.staging[i], 0, side.staging[i].size()},
                        {&recorded.inputs[i], 0, recorded.inputs[i].size()});
    side.inputs->end();
  }
  if (planned.kept.empty()) return;
  side.results.emplace(device_.new_list({.label = planned.name, .timed = timed}));
  for (const auto& [value, offset] : planned.kept) {
    std::uint64_t to = offset;
    const Shape& shape = planned.graph.shape(value);
    const Placement& placement = planned.program.placements[static_cast<std::size_t>(value.id)];
    for (const Piece& piece : placement.pieces) {
      const auto bytes = static_cast<std::uint64_t>((piece.row_end - piece.row_begin) * shape.row_bytes());
      side.results->copy(resolve(recorded, {placement.pool, piece.block, piece.offset, bytes}),
                         {&side.readback, to, bytes});
      to += bytes;
    }
  }
  side.results->end();
}

void Runtime::for_each_chunk(std::string_view name, std::size_t count, const ChunkVisitor& visit) {
  wait();
  const auto it = workload_.stored().find(name);
  ensure(it != workload_.stored().end(), "there is no parameter or state \"{}\"", name);
  const Shape& shape = it->second.shape;
  ensure(static_cast<std::int64_t>(count) == shape.count(), "\"{}\" is {}, the host's side has {} numbers", name,
         to_string(shape), count);
  const std::int64_t step = rows_per_chunk(shape);
  for (const Piece& piece : it->second.placement.pieces)
    for (std::int64_t row = piece.row_begin; row < piece.row_end; row += step)
      visit(shape, {row, std::min(piece.row_end, row + step)}, store_[piece.block],
            piece.offset + static_cast<std::uint64_t>((row - piece.row_begin) * shape.row_bytes()));
}

void Runtime::upload(std::string_view name, std::span<const float> data) {
  std::vector<std::byte> rows;
  for_each_chunk(
      name, data.size(), [&](const Shape& shape, RowBlock block, const vk::Buffer& to, std::uint64_t offset) {
        rows.resize(static_cast<std::size_t>(block.size() * shape.row_bytes()));
        for (std::int64_t r = block.begin; r < block.end; ++r)
          encode_row(shape, data.data() + r * shape.cols, rows.data() + (r - block.begin) * shape.row_bytes());
        device_.upload(to, offset, rows);
      });
}

void Runtime::download(std::string_view name, std::span<float> data) {
  std::vector<std::byte> rows;
  for_each_chunk(
      name, data.size(), [&](const Shape& shape, RowBlock block, const vk::Buffer& from, std::uint64_t offset) {
        rows.resize(static_cast<std::size_t>(block.size() * shape.row_bytes()));
        device_.download(from, offset, rows);
        for (std::int64_t r = block.begin; r < block.end; ++r)
          decode_row(shape, rows.data() + (r - block.begin) * shape.row_bytes(), data.data() + r * shape.cols);
      });
}

void Runtime::set_input(std::size_t graph, std::string_view name, std::span<const std::uint32_t> words) {
  const PlannedGraph& planned = workload_.graphs().at(graph);
  const Value value = planned.graph.find(name);
  ensure(bool(value), "graph {} has no input \"{}\"", planned.name, name);
  const ValueInfo& info = planned.graph.info(value);
  ensure(info.role == Role::kInput && !is_half(info.shape.dtype), "\"{}\" of graph {} is not an input of 32-bit words",
         name, planned.name);
  ensure(static_cast<std::int64_t>(words.size()) == info.shape.count(), "input \"{}\" is {}, {} words were given", name,
         to_string(info.shape), words.size());
  for (const Piece& piece : planned.program.placements[static_cast<std::size_t>(value.id)].pieces) {
    std::uint32_t* to = recorded_[graph].next_inputs[piece.block].data() + piece.offset / 4;
    for (std::int64_t row = piece.row_begin; row < piece.row_end; ++row, to += info.shape.ld()) {
      std::copy_n(words.begin() + row * info.shape.cols, info.shape.cols, to);
      std::fill(to + info.shape.cols, to + info.shape.ld(), 0u);
    }
  }
}

void Runtime::set_input(std::size_t graph, std::string_view name, std::span<const float> data) {
  std::vector<std::uint32_t> words(data.size());
  std::memcpy(words.data(), data.data(), data.size_bytes());
  set_input(graph, name, std::span<const std::uint32_t>(words));
}

void Runtime::submit(std::initializer_list<std::size_t> graphs) {
  std::vector<vk::CommandList*> lists;
  std::vector<Side*> sides;
  for (const std::size_t graph : graphs) {
    Recorded& recorded = recorded_.at(graph);
    Side& side = recorded.side_of(++recorded.runs);
    ensure(std::count(graphs.begin(), graphs.end(), graph) == 1, "graph {} is submitted twice at once",
           workload_.graphs()[graph].name);
    device_.wait(side.ticket);
    for (std::size_t i = 0; i < side.staging.size(); ++i)
      std::memcpy(side.staging[i].mapped(), recorded.next_inputs[i].data(), recorded.next_inputs[i].size() * 4);
    if (side.inputs) lists.push_back(&*side.inputs);
    lists.push_back(&*recorded.list);
    if (side.results) lists.push_back(&*side.results);
    sides.push_back(&side);
  }
  const std::uint64_t ticket = device_.submit(lists);
  for (Side* side : sides) side->ticket = ticket;
}

void Runtime::wait() {
  device_.wait();
}

bool Runtime::is_over(std::size_t graph, std::uint64_t run) const {
  return device_.is_over(recorded_.at(graph).side_of(run).ticket);
}

Runtime::Side& Runtime::finished(std::size_t graph, std::optional<std::uint64_t> run) {
  Recorded& recorded = recorded_.at(graph);
  const std::uint64_t wanted = run.value_or(recorded.runs);
  ensure(wanted >= 1 && wanted <= recorded.runs && wanted + recorded.sides.size() > recorded.runs,
         "run {} of graph {} is not there; its last one is {}", wanted, workload_.graphs()[graph].name, recorded.runs);
  Side& side = recorded.side_of(wanted);
  device_.wait(side.ticket);
  return side;
}

std::optional<vk::CommandList::Span> Runtime::kernel_span(std::size_t graph, std::uint64_t run) {
  const Side& side = finished(graph, run);
  if (!side.inputs || !side.results) return std::nullopt;
  const auto before = side.inputs->span(), behind = side.results->span();
  if (!before || !behind) return std::nullopt;
  return vk::CommandList::Span{before->end, behind->begin};
}

const std::uint32_t* Runtime::readback(std::size_t graph, Value value, std::optional<std::uint64_t> run) {
  const Side& side = finished(graph, run);
  for (const auto& [kept, offset] : workload_.graphs().at(graph).kept)
    if (kept == value) return static_cast<const std::uint32_t*>(side.readback.mapped()) + offset / 4;
  fail(ErrorCode::kInternal, "\"{}\" of graph {} is not kept", workload_.graphs()[graph].graph.info(value).name,
       workload_.graphs()[graph].name);
}

std::vector<std::uint32_t> Runtime::read_words(std::size_t graph, Value value, std::optional<std::uint64_t> run) {
  const std::uint32_t* from = readback(graph, value, run);
  const Shape& shape = workload_.graphs()[graph].graph.shape(value);
  ensure(!is_half(shape.dtype), "\"{}\" holds no words", workload_.graphs()[graph].graph.info(value).name);
  std::vector<std::uint32_t> result(static_cast<std::size_t>(shape.count()));
  for (std::int64_t row = 0; row < shape.rows; ++row)
    std::copy_n(from + row * shape.ld(), shape.cols, result.begin() + row * shape.cols);
  return result;
}

std::vector<float> Runtime::read(std::size_t graph, Value value, std::optional<std::uint64_t> run) {
  const auto* from = reinterpret_cast<const std::byte*>(readback(graph, value, run));
  const Shape& shape = workload_.graphs()[graph].graph.shape(value);
  std::vector<float> result(static_cast<std::size_t>(shape.count()));
  for (std::int64_t row = 0; row < shape.rows; ++row)
    decode_row(shape, from + row * shape.row_bytes(), result.data() + row * shape.cols);
  return result;
}

std::vector<std::uint32_t> Runtime::read_padded(std::size_t graph, Value value) {
  const std::uint32_t* from = readback(graph, value, {});
  return {from, from + workload_.graphs()[graph].graph.shape(value).bytes() / 4};
}

void Runtime::fill_arena(std::uint32_t word) {
  wait();
  for (const vk::Buffer& block : arena_) fill(block, word);
}

void Runtime::fill(const vk::Buffer& block, std::uint32_t word) {
  vk::CommandList list = device_.new_list({.label = "fill"});
  list.fill({&block, 0, block.size()}, word);
  list.end();
  device_.run(list);
}

}  // namespace fabula::graph
