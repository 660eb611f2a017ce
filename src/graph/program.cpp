#include "graph/program.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "vk/shader_table.hpp"

namespace fabula::graph {
namespace {

/// Lowers one node into the program's steps.
class NodeLowering final : public LowerCall {
 public:
  NodeLowering(const Graph& graph, const Node& node, std::int32_t index, const vk::DeviceProfile& profile,
               std::string variant, const std::vector<Shape>& scratch_shapes, Program& program)
      : LowerCall(graph, node),
        index_(index),
        profile_(profile),
        variant_(std::move(variant)),
        scratch_shapes_(scratch_shapes),
        program_(program) {}

  const vk::DeviceProfile& profile() const override { return profile_; }
  std::string_view variant() const override { return variant_; }
  Value input(std::size_t i) const override { return has_input(i) ? node_->inputs[i] : Value{}; }
  Value output(std::size_t i) const override { return node_->outputs.at(i); }
  /// Scratch values have no graph id; they are numbered below -1.
  Value scratch(std::size_t i) const override {
    ensure(i < scratch_shapes_.size(), "{} has {} scratch values, asked for number {}", label(), scratch_shapes_.size(),
           i);
    return {-2 - static_cast<std::int32_t>(i)};
  }

  std::vector<RowBlock> row_blocks(std::initializer_list<Value> values, std::int64_t max_rows,
                                   std::int64_t together) const override;
  std::vector<Run> runs(const std::vector<std::vector<Value>>& kinds) const override;
  void clear(Value value) override;

 private:
  void emit(const Launch& launch, std::span<const std::byte> push) override;

  bool is_scratch(Value value) const { return value.id <= -2; }
  const Shape& shape_of(Value value) const {
    return is_scratch(value) ? scratch_shapes_.at(static_cast<std::size_t>(-2 - value.id)) : graph_->shape(value);
  }
  const Placement& placement_of(Value value) const {
    if (!is_scratch(value)) return program_.placements.at(static_cast<std::size_t>(value.id));
    const auto& intervals = program_.arena.scratch.at(static_cast<std::size_t>(index_));
    return program_.arena.intervals[static_cast<std::size_t>(intervals.at(static_cast<std::size_t>(-2 - value.id)))]
        .placement;
  }
  std::vector<RowBlock> row_blocks(std::span<const Value> values, std::int64_t max_rows, std::int64_t together) const;
  Range resolve(const Window& window) const;
  Range resolve_rows(const Window& window) const;

  std::int32_t index_;
  const vk::DeviceProfile& profile_;
  std::string variant_;
  const std::vector<Shape>& scratch_shapes_;
  Program& program_;
};

std::vector<RowBlock> NodeLowering::row_blocks(std::initializer_list<Value> values, std::int64_t max_rows,
                                               std::int64_t together) const {
  return row_blocks(std::span<const Value>(values.begin(), values.size()), max_rows, together);
}

std::vector<RowBlock> NodeLowering::row_blocks(std::span<const Value> values, std::int64_t max_rows,
                                               std::int64_t together) const {
  const bool aligned = together % kRowQuantum == 0 || together == 1;
  const std::int64_t quantum = together == 1 ? kRowQuantum : together;
  std::int64_t rows = -1, step = INT64_MAX;
  std::vector<std::int64_t> cuts;
  for (Value value : values) {
    const Shape& shape = shape_of(value);
    ensure(rows < 0 || rows == shape.rows, "{}: row blocks over {} and {} rows", label(), rows, shape.rows);
    rows = shape.rows;
    const auto row_bytes = static_cast<std::uint64_t>(shape.row_bytes());
    if (static_cast<std::uint64_t>(shape.bytes()) > profile_.limits.max_storage_range) {
      const auto most = static_cast<std::int64_t>(profile_.limits.max_storage_range / row_bytes);
      step = std::min(step, std::max<std::int64_t>(most - (aligned ? 0 : kRowQuantum - 1), 0) / quantum * quantum);
    }
    for (const Piece& piece : placement_of(value).pieces) {
      if (piece.row_begin % together != 0)
        fail(ErrorCode::kUnsupported,
             "{}: {} takes several allocations of at most {} bytes, and rows {} to {}, which are read together, lie in "
             "two",
             label(), to_string(shape), profile_.limits.max_allocation, piece.row_begin / together * together,
             piece.row_begin / together * together + together);
      cuts.push_back(piece.row_begin);
    }
  }
  if (max_rows > 0 && max_rows < rows) step = std::min(step, std::max(max_rows / quantum * quantum, quantum));
  if (step == 0)
    fail(ErrorCode::kUnsupported, "{}: {} rows exceed the device's storage range of {} bytes", label(), quantum,
         profile_.limits.max_storage_range);
  cuts.push_back(rows);
  std::sort(cuts.begin(), cuts.end());
  std::vector<RowBlock> blocks;
  for (std::int64_t begin = 0; begin < rows;) {
    const std::int64_t piece_end = *std::upper_bound(cuts.begin(), cuts.end(), begin);
    const std::int64_t end = step > piece_end - begin ? piece_end : begin + step;
    blocks.push_back({begin, end});
    begin = end;
  }
  return blocks;
}

std::vector<Run> NodeLowering::runs(const std::vector<std::vector<Value>>& kinds) const {
  std::vector<Run> result;
  std::vector<Range> so_far;  // of the last run, by kind
  for (std::size_t tensor = 0; tensor < kinds.front().size(); ++tensor) {
    std::vector<Value> alike;
    for (const std::vector<Value>& kind : kinds) alike.push_back(kind.at(tensor));
    for (const RowBlock& block : row_blocks(alike, -1, 1)) {
      std::vector<Range> ranges;
      for (Value value : alike) ranges.push_back(resolve_rows({value, block.begin, block.end}));
      bool joins = !so_far.empty();
      for (std::size_t k = 0; k < ranges.size() && joins; ++k) {
        const Range &run = so_far[k], &next = ranges[k];
        joins = next.pool == run.pool && next.block == run.block && next.offset >= run.offset + run.size &&
                next.offset < run.offset + run.size + memory_alignment(profile_.limits) &&
                next.offset - run.offset == ranges[0].offset - so_far[0].offset &&
                next.offset + next.size - run.offset <= profile_.limits.max_storage_range;
      }
      if (!joins) {
        result.push_back({.first = tensor, .row_begin = block.begin});
        so_far = ranges;
      }
      for (std::size_t k = 0; k < ranges.size(); ++k)
        so_far[k].size = ranges[k].offset + ranges[k].size - so_far[k].offset;
      result.back().last = tensor;
      result.back().row_end = block.end;
      result.back().words = static_cast<std::int64_t>(so_far[0].size / 4);
    }
  }
  return result;
}

Range NodeLowering::resolve(const Window& window) const {
  if (!window.last || window.last == window.value) return resolve_rows(window);
  Range range = resolve_rows({window.value, window.row_begin, -1});
  const Range last = resolve_rows({window.last, 0, window.row_end});
  ensure(last.pool == range.pool && last.block == range.block && last.offset >= range.offset + range.size,
         "{} binds two values as one that do not lie one behind the other", label());
  range.size = last.offset + last.size - range.offset;
  ensure(range.size <= profile_.limits.max_storage_range, "{} binds {} bytes, the device allows {}", label(),
         range.size, profile_.limits.max_storage_range);
  return range;
}

Range NodeLowering::resolve_rows(const Window& window) const {
  ensure(window.value.id != -1, "{} binds an absent value", label());
  const Shape& shape = shape_of(window.value);
  const std::int64_t end = window.row_end < 0 ? shape.rows : window.row_end;
  ensure(window.row_begin >= 0 && window.row_begin < end && end <= shape.rows, "{} binds rows {} to {} of {}", label(),
         window.row_begin, end, to_string(shape));
  const Placement& placement = placement_of(window.value);
  for (const Piece& piece : placement.pieces) {
    if (window.row_begin < piece.row_begin || window.row_begin >= piece.row_end) continue;
    if (end > piece.row_end)
      fail(ErrorCode::kOutOfMemory,
           "{} binds rows {} to {} of {}, more than one allocation on this device holds ({} bytes)", label(),
           window.row_begin, end, to_string(shape), profile_.limits.max_allocation);
    const auto row_bytes = static_cast<std::uint64_t>(shape.row_bytes());
    const Range range{placement.pool, piece.block,
                      piece.offset + static_cast<std::uint64_t>(window.row_begin - piece.row_begin) * row_bytes,
                      static_cast<std::uint64_t>(end - window.row_begin) * row_bytes};
    ensure(range.size <= profile_.limits.max_storage_range,
           "{} binds {} bytes, the device allows {}; it must go by row blocks", label(), range.size,
           profile_.limits.max_storage_range);
    ensure(range.offset % profile_.limits.storage_alignment == 0, "{} binds offset {}, not a multiple of {}", label(),
           range.offset, profile_.limits.storage_alignment);
    return range;
  }
  fail(ErrorCode::kInternal, "{} binds row {} of a value that has no memory there", label(), window.row_begin);
}

void NodeLowering::emit(const Launch& launch, std::span<const std::byte> push) {
  Step step;
  step.shader = launch.shader;
  step.constants = launch.constants;
  step.subgroup_size = launch.subgroup_size;
  step.groups = launch.groups;
  step.push.assign(push.begin(), push.end());
  step.node = index_;
  step.label = label().ends_with(launch.shader) ? label() : label() + ":" + launch.shader;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    ensure(launch.groups[a] >= 1 && launch.groups[a] <= profile_.limits.max_workgroup_count[a],
           "{} launches {} workgroups along axis {}, the device allows {}", step.label, launch.groups[a], axis,
           profile_.limits.max_workgroup_count[a]);
  }
  for (const Window& window : launch.bindings) {
    step.bindings.push_back(resolve(window));
    const DType dtype = shape_of(window.value).dtype;
    step.types.push_back(storage_code(dtype));
  }
  if (std::all_of(step.types.begin(), step.types.end(), [](std::uint32_t type) { return type == 0; }))
    step.types.clear();
  program_.steps.push_back(std::move(step));
}

void NodeLowering::clear(Value value) {
  const Shape& shape = shape_of(value);
  const Placement& placement = placement_of(value);
  for (const Piece& piece : placement.pieces) {
    Step step;
    step.node = index_;
    step.label = label() + ":clear";
    step.bindings.push_back({placement.pool, piece.block, piece.offset,
                             static_cast<std::uint64_t>((piece.row_end - piece.row_begin) * shape.row_bytes())});
    program_.steps.push_back(std::move(step));
  }
}

/// The preferred variant, unless it has faults on this device; then the first of those that have fewest.
std::string with_fewest_faults(const Graph& graph, const Node& node, const vk::DeviceProfile& profile,
                               std::vector<std::string> variants, const std::string& preferred) {
  if (profile.faults.empty()) return preferred;
  std::stable_partition(variants.begin(), variants.end(),
                        [&](const std::string& variant) { return variant == preferred; });
  const std::string* best = nullptr;
  std::uint64_t fewest = 0;
  for (const std::string& variant : variants) {
    std::uint64_t most = 0;
    for (const vk::KernelKey& kernel : kernels_of(graph, node, profile, variant))
      if (const auto fault = profile.faults.find(to_string(kernel)); fault != profile.faults.end())
        most = std::max(most, fault->second);
    if (best == nullptr || most < fewest) {
      best = &variant;
      fewest = most;
    }
    if (fewest == 0) break;
  }
  return *best;
}

std::string choose_variant(const Graph& graph, const Node& node, const Target& target, const std::string& forced) {
  const std::vector<std::string> variants = variants_of(graph, node, target.profile);
  ensure(!variants.empty(), "{} has no kernel variant for {}", node.label, target.profile.name);
  if (!forced.empty() && std::find(variants.begin(), variants.end(), forced) != variants.end()) return forced;
  if (variants.size() == 1) return variants.front();
  if (!target.choices.empty()) {
    const auto chosen = target.choices.find(node_signature(graph, node, variants));
    const bool good =
        chosen != target.choices.end() && std::find(variants.begin(), variants.end(), chosen->second) != variants.end();
    if (good) return with_fewest_faults(graph, node, target.profile, variants, chosen->second);
  }
  return with_fewest_faults(graph, node, target.profile, variants, variants.front());
}

/// A node as it was before it was joined with a later one (graph/fuse.hpp); its output is of the same shape and type.
Node without_joined(const Node& node) {
  Node alone = node;
  const std::vector<Fusion>& fusions = node.op->def->fusions;
  if (fusions.empty()) return alone;
  alone.attrs = {};
  for (const auto& [name, value] : node.attrs.entries())
    if (std::none_of(fusions.begin(), fusions.end(),
                     [&](const Fusion& fusion) { return name == fusion.attr || name == fusion.keep_attr; }))
      alone.attrs.set(name, value);
  for (const Fusion& fusion : fusions)
    for (const auto& [there, here] : fusion.moved)
      if (here < alone.inputs.size()) alone.inputs[here] = {};
  while (!alone.inputs.empty() && !alone.inputs.back()) alone.inputs.pop_back();
  alone.outputs.resize(1);
  return alone;
}

}  // namespace

vk::KernelKey kernel_of(const Step& step) {
  return {step.shader, step.constants, step.subgroup_size, step.types};
}

std::vector<vk::KernelKey> kernels_of(const Graph& graph, const Node& node, const vk::DeviceProfile& profile,
                                      const std::string& variant) {
  Graph alone(graph.table());
  std::map<std::int32_t, Value> copies;
  std::vector<Value> inputs;
  for (const Value input : node.inputs) {
    if (input && !copies.contains(input.id)) {
      const std::string name = fmt::format("in{}", input.id);
      const ValueInfo& info = graph.info(input);
      copies[input.id] = info.role == Role::kInput ? alone.input(name, info.shape, info.shape.dtype)
                                                   : alone.state(name, info.shape, info.together);
    }
    inputs.push_back(input ? copies[input.id] : Value{});
  }
  for (const Value output : alone.op(node.op->def->name, std::span<const Value>(inputs), node.attrs))
    alone.keep(output);
  LinearLayout layout(profile.limits.max_allocation, memory_alignment(profile.limits));
  const Program program =
      lower(alone, profile, {.variant = variant, .place = [&](Value, const ValueInfo& info) {
                               return layout.place(Pool::kStore, info.name, info.shape, info.together);
                             }});
  std::vector<vk::KernelKey> kernels;
  for (const Step& step : program.steps)
    if (!step.shader.empty()) kernels.push_back(kernel_of(step));
  std::sort(kernels.begin(), kernels.end());
  kernels.erase(std::unique(kernels.begin(), kernels.end()), kernels.end());
  return kernels;
}

std::vector<std::string> variants_of(const Graph& graph, const Node& node, const vk::DeviceProfile& profile) {
  if (!node.op->def->variants) return {""};
  return node.op->def->variants(NodeView(graph, node), profile);
}

std::uint64_t digest_of(const std::vector<Step>& steps, const CodeDigest& code) {
  std::uint64_t hash = kFnvOffset;
  const auto note = [&](const void* data, std::size_t size) { hash = fnv1a(data, size, hash); };
  for (const Step& step : steps) {
    const std::uint64_t words = step.shader.empty() ? 0 : code(step.shader).value_or(0);
    note(&words, sizeof words);
    note(step.constants.data(), step.constants.size() * 4);
    note(step.types.data(), step.types.size() * 4);
    note(&step.subgroup_size, sizeof step.subgroup_size);
    note(step.groups.data(), sizeof step.groups);
    note(step.push.data(), step.push.size());
    for (const Range& range : step.bindings) note(&range.size, sizeof range.size);
  }
  return hash;
}

std::string node_signature(const Graph& graph, const Node& node, const std::vector<std::string>& variants) {
  const Node alone = without_joined(node);
  std::string text(node.op->def->name);
  for (const auto& [name, value] : alone.attrs.entries()) text += fmt::format(" {}={}", name, value);
  const auto add_values = [&](const char* title, const std::vector<Value>& values) {
    text += title;
    for (std::size_t i = 0; i < values.size(); ++i) {
      text += i > 0 ? ", " : "";
      if (!values[i]) {
        text += "-";
        continue;
      }
      const Shape& shape = graph.shape(values[i]);
      text += fmt::format("{}x{} {}", shape.rows, shape.cols, to_string(shape.dtype));
    }
  };
  add_values("; in ", alone.inputs);
  add_values("; out ", alone.outputs);
  return text + fmt::format("; of {}", fmt::join(variants, ", "));
}

Cost cost_of(const Graph& graph, const Node& node) {
  if (node.op->def->cost) return node.op->def->cost(NodeView(graph, node));
  Cost cost;
  for (Value input : node.inputs)
    if (input) cost.bytes += static_cast<double>(graph.shape(input).bytes());
  for (Value output : node.outputs) cost.bytes += static_cast<double>(graph.shape(output).bytes());
  return cost;
}

Cost total_cost(const Graph& graph) {
  Cost total;
  for (const Node& node : graph.nodes()) {
    const Cost cost = cost_of(graph, node);
    total.flops += cost.flops;
    total.bytes += cost.bytes;
  }
  return total;
}

Program lower(const Graph& graph, const Target& target, const ProgramOptions& options) {
  const vk::DeviceProfile& profile = target.profile;
  Program program;
  std::vector<std::string>& variants = program.variants;
  std::vector<std::vector<Shape>> scratch;
  for (const Node& node : graph.nodes()) {
    variants.push_back(choose_variant(graph, node, target, options.variant));
    scratch.push_back(node.op->def->scratch ? node.op->def->scratch(NodeView(graph, node), profile, variants.back())
                                            : std::vector<Shape>{});
  }
  program.arena = plan_arena(
      graph, scratch, {.max_block = profile.limits.max_allocation, .alignment = memory_alignment(profile.limits)});
  program.placements.resize(graph.values().size());
  for (std::size_t id = 0; id < graph.values().size(); ++id) {
    const std::int32_t interval = program.arena.interval_of[id];
    const ValueInfo& info = graph.values()[id];
    if (info.role == Role::kActivation && interval < 0) continue;  // not computed
    program.placements[id] = interval >= 0 ? program.arena.intervals[static_cast<std::size_t>(interval)].placement
                                           : options.place({static_cast<std::int32_t>(id)}, info);
  }
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    NodeLowering call(graph, node, static_cast<std::int32_t>(n), profile, variants[n], scratch[n], program);
    ensure(node.op->def->lower != nullptr, "{} cannot run on a device", node.label);
    node.op->def->lower(call);
  }
  program.digest = digest_of(program.steps, vk::shader_digest);
  return program;
}

}  // namespace fabula::graph
