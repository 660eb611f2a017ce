#include "graph/memory_plan.hpp"

#include <algorithm>
#include <numeric>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "graph/taken_memory.hpp"

namespace fabula::graph {
namespace {

/// Rows of `shape` that one block of `max_block` bytes can hold, a multiple of kRowQuantum and of `together`; all rows
/// when they fit.
std::int64_t rows_per_piece(const std::string& name, const Shape& shape, std::uint64_t max_block,
                            std::int64_t together = 1) {
  if (static_cast<std::uint64_t>(shape.bytes()) <= max_block) return shape.rows;
  const auto row_bytes = static_cast<std::uint64_t>(shape.row_bytes());
  const std::int64_t quantum = std::lcm(kRowQuantum, together);
  const auto rows = static_cast<std::int64_t>(max_block / row_bytes) / quantum * quantum;
  if (rows == 0)
    fail(ErrorCode::kOutOfMemory, "\"{}\" {}: {} rows take {} bytes, one allocation on this device may have {}", name,
         to_string(shape), quantum, quantum * static_cast<std::int64_t>(row_bytes), max_block);
  return rows;
}

/// Places intervals into blocks: first fit, lowest offset, among those alive at the same time.
class FirstFit {
 public:
  FirstFit(const ArenaLimits& limits, std::int32_t last_node) : limits_(limits), last_node_(last_node) {}

  Piece place(std::uint64_t bytes, std::int32_t first, std::int32_t last, std::int64_t row_begin,
              std::int64_t row_end) {
    const std::uint64_t need = round_up(bytes, limits_.alignment);
    for (std::uint32_t block = 0;; ++block) {
      if (block == blocks_.size()) blocks_.emplace_back(last_node_);
      const std::uint64_t offset = blocks_[block].lowest_gap(need, first, last);
      if (offset != 0 && offset + need > limits_.max_block) continue;
      blocks_[block].take(offset, offset + need, first, last);
      return {block, offset, row_begin, row_end};
    }
  }
  void note(ArenaPlan& plan) const {
    for (const TakenMemory& block : blocks_) {
      plan.block_sizes.push_back(block.size());
      plan.looks += block.looks();
    }
  }

 private:
  ArenaLimits limits_;
  std::int32_t last_node_;
  std::vector<TakenMemory> blocks_;
};

void find_lifetimes(const Graph& graph, ArenaPlan& plan) {
  plan.interval_of.assign(graph.values().size(), -1);
  const auto end = static_cast<std::int32_t>(graph.nodes().size());  // behind the last node: read by the host
  for (std::size_t id = 0; id < graph.values().size(); ++id) {
    const ValueInfo& info = graph.values()[id];
    if (info.role != Role::kActivation || info.producer < 0) continue;
    plan.interval_of[id] = static_cast<std::int32_t>(plan.intervals.size());
    plan.intervals.push_back({.values = {{static_cast<std::int32_t>(id)}},
                              .bytes = static_cast<std::uint64_t>(info.shape.bytes()),
                              .first = info.producer,
                              .last = info.keep ? end : info.producer,
                              .placement = {}});
  }
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    for (Value input : graph.nodes()[n].inputs) {
      if (!input || plan.interval_of[static_cast<std::size_t>(input.id)] < 0) continue;
      Interval& interval =
          plan.intervals[static_cast<std::size_t>(plan.interval_of[static_cast<std::size_t>(input.id)])];
      interval.last = std::max(interval.last, static_cast<std::int32_t>(n));
    }
  }
}

/// Whether output `out` of node n may lie on its input `in`: no one reads the input later, and of all that this node
/// reads and writes only these two end up in that memory.
bool may_take_over(const Graph& graph, const ArenaPlan& plan, std::size_t n, std::size_t out, std::size_t in) {
  const Node& node = graph.nodes()[n];
  if (in >= node.inputs.size() || out >= node.outputs.size() || !node.inputs[in]) return false;
  const auto interval_of = [&](Value value) {
    return value ? plan.interval_of[static_cast<std::size_t>(value.id)] : -1;
  };
  const std::int32_t from = interval_of(node.inputs[in]), to = interval_of(node.outputs[out]);
  if (from < 0 || to < 0 || graph.shape(node.inputs[in]) != graph.shape(node.outputs[out]) ||
      graph.shape(node.inputs[in]).dtype != graph.shape(node.outputs[out]).dtype)
    return false;
  const auto index = static_cast<std::int32_t>(n);
  if (plan.intervals[static_cast<std::size_t>(from)].last != index) return false;
  // An output that took over another input already begins earlier; a second input would lie on it while both are read.
  if (plan.intervals[static_cast<std::size_t>(to)].first != index) return false;
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    if (i != in && interval_of(node.inputs[i]) == from) return false;
  for (std::size_t o = 0; o < node.outputs.size(); ++o)
    if (o != out && interval_of(node.outputs[o]) == from) return false;
  return true;
}

/// Lets outputs take over dying inputs where the op allows it.
void merge_in_place(const Graph& graph, ArenaPlan& plan) {
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const Node& node = graph.nodes()[n];
    for (const auto& [out, in] : node.op->def->in_place) {
      if (!may_take_over(graph, plan, n, out, in)) continue;
      const std::int32_t from = plan.interval_of[static_cast<std::size_t>(node.inputs[in].id)];
      Interval& source = plan.intervals[static_cast<std::size_t>(from)];
      Interval& target =
          plan.intervals[static_cast<std::size_t>(plan.interval_of[static_cast<std::size_t>(node.outputs[out].id)])];
      source.last = target.last;
      for (Value value : target.values) {
        source.values.push_back(value);
        plan.interval_of[static_cast<std::size_t>(value.id)] = from;
      }
      target.values.clear();
      target.bytes = 0;
    }
  }
}

void find_peak(const Graph& graph, ArenaPlan& plan, std::uint64_t alignment) {
  std::vector<std::int64_t> change(graph.nodes().size() + 2, 0);
  for (const Interval& interval : plan.intervals) {
    const auto bytes = static_cast<std::int64_t>(round_up(interval.bytes, alignment));
    change[static_cast<std::size_t>(interval.first)] += bytes;
    change[static_cast<std::size_t>(interval.last) + 1] -= bytes;
  }
  std::int64_t live = 0;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    live += change[n];
    if (static_cast<std::uint64_t>(live) > plan.live_peak) {
      plan.live_peak = static_cast<std::uint64_t>(live);
      plan.peak_node = static_cast<std::int32_t>(n);
    }
  }
}

}  // namespace

Placement LinearLayout::place(Pool pool, const std::string& name, const Shape& shape, std::int64_t together) {
  const std::int64_t step = rows_per_piece(name, shape, max_block_, together);
  Placement placement{pool, {}};
  for (std::int64_t row = 0; row < shape.rows; row += step) {
    const std::int64_t end = std::min(shape.rows, row + step);
    const auto bytes = round_up(static_cast<std::uint64_t>((end - row) * shape.row_bytes()), alignment_);
    if (blocks_.empty() || blocks_.back() + bytes > max_block_) blocks_.push_back(0);
    placement.pieces.push_back({static_cast<std::uint32_t>(blocks_.size() - 1), blocks_.back(), row, end});
    blocks_.back() += bytes;
  }
  return placement;
}

ArenaPlan plan_arena(const Graph& graph, const std::vector<std::vector<Shape>>& scratch_shapes,
                     const ArenaLimits& device) {
  // Whole alignments, so that rounding a size up never passes the device's limit.
  const ArenaLimits limits{.max_block = device.max_block / device.alignment * device.alignment,
                           .alignment = device.alignment};
  ArenaPlan plan;
  find_lifetimes(graph, plan);
  merge_in_place(graph, plan);
  plan.scratch.resize(graph.nodes().size());
  std::vector<Shape> scratch_shape_of(plan.intervals.size());
  for (std::size_t n = 0; n < scratch_shapes.size(); ++n) {
    for (const Shape& shape : scratch_shapes[n]) {
      plan.scratch[n].push_back(static_cast<std::int32_t>(plan.intervals.size()));
      plan.intervals.push_back({.values = {},
                                .bytes = static_cast<std::uint64_t>(shape.bytes()),
                                .first = static_cast<std::int32_t>(n),
                                .last = static_cast<std::int32_t>(n),
                                .placement = {}});
      scratch_shape_of.push_back(shape);
    }
  }
  std::vector<std::size_t> order(plan.intervals.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return plan.intervals[a].bytes > plan.intervals[b].bytes; });
  FirstFit blocks(limits, static_cast<std::int32_t>(graph.nodes().size()));
  for (std::size_t index : order) {
    Interval& interval = plan.intervals[index];
    if (interval.bytes == 0) continue;
    const bool is_value = !interval.values.empty();
    const Shape shape = is_value ? graph.shape(interval.values.front()) : scratch_shape_of[index];
    const std::string name = is_value ? graph.info(interval.values.front()).name : "scratch";
    const std::int64_t step = rows_per_piece(name, shape, limits.max_block);
    for (std::int64_t row = 0; row < shape.rows; row += step) {
      const std::int64_t end = std::min(shape.rows, row + step);
      interval.placement.pieces.push_back(blocks.place(static_cast<std::uint64_t>((end - row) * shape.row_bytes()),
                                                       interval.first, interval.last, row, end));
    }
  }
  blocks.note(plan);
  find_peak(graph, plan, limits.alignment);
  return plan;
}

}  // namespace fabula::graph
