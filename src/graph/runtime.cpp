#include "graph/runtime.hpp"

#include <algorithm>
#include <cstring>

#include "base/fail.hpp"
#include "graph/self_test.hpp"

namespace fabula::graph {

Runtime::Runtime(vk::Device& device, Workload workload, const RuntimeOptions& options)
    : device_(device),
      workload_(options.self_test ? self_tested(device, std::move(workload)) : std::move(workload)),
      options_(options) {
  for (std::uint64_t size : workload_.store_blocks())
    store_.push_back(device_.allocate(size, vk::MemoryUse::kDevice, "parameters, constants and states"));
  for (std::uint64_t size : workload_.arena_blocks())
    arena_.push_back(device_.allocate(size, vk::MemoryUse::kDevice, "activations"));
  for (const vk::Buffer& block : store_) fill(block, 0);  // and what lies between two tensors stays so
  recorded_.resize(workload_.graphs().size());
  for (std::size_t g = 0; g < recorded_.size(); ++g) {
    allocate(workload_.graphs()[g], recorded_[g]);
    note_what_is_read(workload_.graphs()[g], recorded_[g]);
  }
}

void Runtime::make_pipelines(std::span<const std::size_t> graphs) {
  std::vector<vk::KernelKey> kernels;
  for (const std::size_t graph : graphs) {
    if (recorded_.at(graph).list) continue;
    for (const Step& step : workload_.graphs()[graph].program.steps)
      if (!step.shader.empty()) kernels.push_back(kernel_of(step));
  }
  device_.prepare_pipelines(kernels);
}

void Runtime::prepare(std::span<const std::size_t> graphs) {
  make_pipelines(graphs);
  for (const std::size_t graph : graphs)
    if (!recorded_[graph].list) record(workload_.graphs()[graph], recorded_[graph]);
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

void Runtime::note_what_is_read(const PlannedGraph& planned, Recorded& recorded) {
  for (const Node& node : planned.graph.nodes())
    for (const Value input : node.inputs) {
      if (!input) continue;
      const ValueInfo& info = planned.graph.info(input);
      if (info.role == Role::kInput || info.role == Role::kConstant) recorded.not_given.push_back(info.name);
    }
}

void Runtime::check_given(const PlannedGraph& planned, const Recorded& recorded) const {
  if (recorded.not_given.empty()) return;
  const std::string& name = recorded.not_given.front();
  const Role role = planned.graph.info(planned.graph.find(name)).role;
  fail(ErrorCode::kInternal, "graph \"{}\" reads the {} \"{}\", which was never given; Runtime::{} it first",
       planned.name, to_string(role), name, role == Role::kInput ? "set_input" : "upload");
}

vk::BufferRange Runtime::resolve(const Recorded& recorded, const Range& range) const {
  const std::vector<vk::Buffer>& pool = range.pool == Pool::kArena   ? arena_
                                        : range.pool == Pool::kStore ? store_
                                                                     : recorded.inputs;
  return {&pool.at(range.block), range.offset, range.size};
}

void Runtime::record(const PlannedGraph& planned, Recorded& recorded) {
  for (Side& side : recorded.sides) record_copies(planned, recorded, side);
  vk::CommandList list = device_.new_list({.label = planned.name, .timed = options_.timed});
  for (const Step& step : planned.program.steps) {
    if (step.shader.empty()) {
      list.fill(resolve(recorded, step.bindings.front()), 0);
      continue;
    }
    vk::DispatchCall call;
    call.pipeline = device_.pipeline(kernel_of(step));
    for (const Range& range : step.bindings) call.bindings.push_back(resolve(recorded, range));
    call.push = step.push;
    call.groups = step.groups;
    call.label = step.label;
    list.dispatch(call);
  }
  list.end();
  recorded.list.emplace(std::move(list));
}

void Runtime::record_copies(const PlannedGraph& planned, const Recorded& recorded, Side& side) {
  const vk::Device::ListOptions options{.label = planned.name, .timed = options_.spans};
  if (!recorded.inputs.empty()) {
    side.inputs.emplace(device_.new_list(options));
    for (std::size_t i = 0; i < recorded.inputs.size(); ++i)
      side.inputs->copy({&side.staging[i], 0, side.staging[i].size()},
                        {&recorded.inputs[i], 0, recorded.inputs[i].size()});
    side.inputs->end();
  }
  if (planned.kept.empty()) return;
  side.results.emplace(device_.new_list(options));
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

void Runtime::submit(std::initializer_list<std::size_t> graphs) {
  send({graphs.begin(), graphs.size()}, 1);
}

void Runtime::submit(std::span<const std::size_t> graphs) {
  send(graphs, 1);
}

void Runtime::replay(std::size_t graph, std::int64_t times) {
  if (times < 1)
    fail(ErrorCode::kInvalidArgument, "graph \"{}\" is to be replayed {} times; the least is once",
         workload_.graphs().at(graph).name, times);
  send({&graph, 1}, times);
}

void Runtime::send(std::span<const std::size_t> graphs, std::int64_t times) {
  std::vector<vk::CommandList*> lists;
  std::vector<Side*> sides;
  for (const std::size_t graph : graphs) {
    check_given(workload_.graphs().at(graph), recorded_[graph]);
    ensure(std::count(graphs.begin(), graphs.end(), graph) == 1, "graph \"{}\" is submitted twice at once",
           workload_.graphs()[graph].name);
  }
  prepare(graphs);
  for (const std::size_t graph : graphs) {
    Recorded& recorded = recorded_[graph];
    Side& side = recorded.side_of(++recorded.runs);
    device_.wait(side.ticket);
    for (std::size_t i = 0; i < side.staging.size(); ++i)
      std::memcpy(side.staging[i].mapped(), recorded.next_inputs[i].data(), recorded.next_inputs[i].size() * 4);
    if (side.inputs) lists.push_back(&*side.inputs);
    lists.insert(lists.end(), static_cast<std::size_t>(times), &*recorded.list);
    if (side.results) lists.push_back(&*side.results);
    sides.push_back(&side);
  }
  RowCopies* const rows = take_written_rows();
  if (rows != nullptr) lists.insert(lists.begin(), &*rows->list);
  const std::uint64_t ticket = device_.submit(lists);
  for (Side* side : sides) side->ticket = ticket;
  if (rows != nullptr) rows->ticket = ticket;
}

std::vector<vk::CommandList::Timing> Runtime::timings(std::size_t graph) const {
  const Recorded& recorded = recorded_.at(graph);
  return recorded.list ? recorded.list->timings() : std::vector<vk::CommandList::Timing>{};
}

void Runtime::wait() {
  if (RowCopies* const rows = take_written_rows()) {
    vk::CommandList* const lists[] = {&*rows->list};
    rows->ticket = device_.submit(lists);
  }
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
