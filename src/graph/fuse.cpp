#include "graph/fuse.hpp"

#include <algorithm>
#include <optional>

namespace fabula::graph {
namespace {

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph), nodes_(graph.nodes().size()), readers_(graph.values().size()) {
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      nodes_[n] = graph.nodes()[n];
      for (Value input : graph.nodes()[n].inputs)
        if (input) readers_[static_cast<std::size_t>(input.id)].push_back(n);
    }
  }

  std::size_t run() {
    std::size_t joined = 0;
    for (std::size_t n = 0; n < nodes_.size(); ++n) joined += join_one(n);
    return joined;
  }
  std::vector<Node> result() const {
    std::vector<Node> nodes;
    for (const std::optional<Node>& node : nodes_)
      if (node) nodes.push_back(*node);
    return nodes;
  }

 private:
  bool join_one(std::size_t n) {
    if (!nodes_[n] || nodes_[n]->outputs.size() != 1) return false;
    const std::vector<Fusion>& fusions = nodes_[n]->op->def->fusions;
    for (const Fusion& fusion : fusions) {
      for (std::size_t reader : readers_[static_cast<std::size_t>(nodes_[n]->outputs[0].id)]) {
        if (!fits(n, reader, fusion)) continue;
        join(n, reader, fusion);
        return true;
      }
    }
    return false;
  }

  /// Does anyone but `reader` need the first output of node n?
  bool needed_elsewhere(std::size_t n, std::size_t reader) const {
    const Value value = nodes_[n]->outputs[0];
    const auto& all = readers_[static_cast<std::size_t>(value.id)];
    return graph_.info(value).keep || graph_.info(value).role != Role::kActivation ||
           std::any_of(all.begin(), all.end(), [&](std::size_t other) { return other != reader; });
  }

  bool fits(std::size_t n, std::size_t reader, const Fusion& fusion) const {
    if (!nodes_[reader] || nodes_[reader]->apart) return false;
    const Node &node = *nodes_[n], &later = *nodes_[reader];
    const Value value = node.outputs[0];
    if (later.op->def->name != fusion.op || later.outputs.size() != 1 || node.attrs.has(fusion.attr)) return false;
    if (later.inputs.size() <= fusion.input || later.inputs[fusion.input] != value) return false;
    if (std::count(later.inputs.begin(), later.inputs.end(), value) != 1) return false;
    const Shape &from = graph_.shape(value), &to = graph_.shape(later.outputs[0]);
    if (from != to || from.dtype != to.dtype) return false;
    if ((fusion.keep_attr.empty() || !fusion.moved.empty()) && needed_elsewhere(n, reader)) return false;
    for (const auto& [there, here] : fusion.moved) {
      if (there >= later.inputs.size() || !later.inputs[there]) return false;
      if (here < node.inputs.size() && node.inputs[here]) return false;
      const Shape& moved = graph_.shape(later.inputs[there]);
      if (moved != from || moved.dtype != from.dtype) return false;
    }
    return fusion.moved.empty() || !overwritten_between(n, reader);
  }

  /// Is an input of node n written in place by a node behind it, before `reader`?
  bool overwritten_between(std::size_t n, std::size_t reader) const {
    for (std::size_t between = n + 1; between < reader; ++between) {
      if (!nodes_[between]) continue;
      for (std::size_t i : mutated_inputs(graph_, *nodes_[between])) {
        const auto& inputs = nodes_[n]->inputs;
        if (i < nodes_[between]->inputs.size() && nodes_[between]->inputs[i] &&
            std::find(inputs.begin(), inputs.end(), nodes_[between]->inputs[i]) != inputs.end())
          return true;
      }
    }
    return false;
  }

  void join(std::size_t n, std::size_t reader, const Fusion& fusion) {
    Node node = *nodes_[n];
    const Node& later = *nodes_[reader];
    node.attrs.set(std::string(fusion.attr), fusion.value);
    if (needed_elsewhere(n, reader)) {
      node.attrs.set(std::string(fusion.keep_attr), 1);
      node.outputs = {later.outputs[0], node.outputs[0]};
    } else {
      node.outputs = {later.outputs[0]};
    }
    for (const auto& [there, here] : fusion.moved) {
      if (node.inputs.size() <= here) node.inputs.resize(here + 1);
      node.inputs[here] = later.inputs[there];
    }
    // Where inputs come along they may not be there yet at n; where none do, others may read the product before
    // `reader`.
    const std::size_t place = fusion.moved.empty() ? n : reader;
    nodes_[n].reset();
    nodes_[reader].reset();
    nodes_[place] = std::move(node);
  }

  const Graph& graph_;
  std::vector<std::optional<Node>> nodes_;
  std::vector<std::vector<std::size_t>> readers_;  ///< nodes by value, as they were at first
};

}  // namespace

std::size_t fuse(Graph& graph) {
  Fuser fuser(graph);
  const std::size_t joined = fuser.run();
  if (joined > 0) graph.replace_nodes(fuser.result());
  return joined;
}

}  // namespace fabula::graph
