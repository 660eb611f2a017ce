#include "predict/work.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace fabula::predict {
namespace {

/// "matmul matmul_tile256+matmul_merge 16-bit": what the times of a node are kept under. Nodes with one key run the
/// same kernels, on 32-bit elements or on narrower ones.
std::string kernel_key(std::string_view op, const graph::Step* begin, const graph::Step* end) {
  std::vector<std::string_view> shaders;
  bool narrow = false;
  for (const graph::Step* step = begin; step != end; ++step) {
    const std::string_view shader = step->shader.empty() ? std::string_view("clear") : step->shader;
    if (std::find(shaders.begin(), shaders.end(), shader) == shaders.end()) shaders.push_back(shader);
    narrow = narrow || !step->types.empty();
  }
  return fmt::format("{} {}{}", op, fmt::join(shaders, "+"), narrow ? " 16-bit" : "");
}

bool is_stored(const graph::ValueInfo& info) {
  return info.role == graph::Role::kParameter || info.role == graph::Role::kState ||
         info.role == graph::Role::kConstant;
}

/// Bytes of what a node reads of the store, each value once.
double stored_bytes_of(const graph::Graph& graph, const graph::Node& node, std::set<graph::Value>& of_graph) {
  std::set<graph::Value> seen;
  double bytes = 0;
  for (const std::vector<graph::Value>* values : {&node.inputs, &node.outputs})
    for (const graph::Value value : *values)
      if (value && is_stored(graph.info(value)) && seen.insert(value).second) {
        bytes += static_cast<double>(graph.shape(value).bytes());
        of_graph.insert(value);
      }
  return bytes;
}

}  // namespace

GraphWork work_of(const graph::PlannedGraph& planned, const CostOf& cost_of) {
  GraphWork work;
  std::set<graph::Value> stored;
  const std::vector<graph::Step>& steps = planned.program.steps;
  for (std::size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
    while (end < steps.size() && steps[end].node == steps[begin].node) ++end;
    const graph::Node& node = planned.graph.nodes()[static_cast<std::size_t>(steps[begin].node)];
    const graph::Cost cost = cost_of(planned.graph, node);
    NodeWork one;
    one.op = node.op->def->name;
    one.key = kernel_key(one.op, &steps[begin], &steps[begin] + (end - begin));
    one.flops = cost.flops;
    one.stored_bytes = std::min(cost.bytes, stored_bytes_of(planned.graph, node, stored));
    one.other_bytes = cost.bytes - one.stored_bytes;
    one.launches = static_cast<int>(end - begin);
    one.first_step = begin;
    work.nodes.push_back(std::move(one));
  }
  for (const graph::Value value : stored) work.stored_bytes += static_cast<double>(planned.graph.shape(value).bytes());
  work.input_bytes =
      static_cast<double>(std::accumulate(planned.input_blocks.begin(), planned.input_blocks.end(), std::uint64_t{0}));
  work.result_bytes = static_cast<double>(planned.readback_bytes);
  return work;
}

graph::Cost decode_cost(const graph::Graph& graph, const graph::Node& node, double keys) {
  graph::Cost cost = graph::cost_of(graph, node);
  if (node.op->def->name != "cached_attention") return cost;
  const std::int64_t capacity = node.attrs.integer("capacity"), window = node.attrs.integer_or("window", 0);
  const auto all = static_cast<double>(window > 0 ? std::min(window, capacity) : capacity);
  const double unread = std::max(all - keys, 0.0);
  const graph::Shape& cache = graph.shape(node.inputs.at(3));
  cost.bytes -= static_cast<double>(node.attrs.integer("batch")) * unread * static_cast<double>(cache.row_bytes());
  cost.flops *= 1 - unread / all;
  return cost;
}

}  // namespace fabula::predict
