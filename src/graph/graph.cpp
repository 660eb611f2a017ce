#include "graph/graph.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula::graph {
namespace {

void check_arity(const OpDef& def, const std::string& label, std::span<const Value> inputs, const Attrs& attrs) {
  const bool variadic = !def.inputs.empty() && def.inputs.back().ends_with("...");
  const std::size_t named = def.inputs.size() - (variadic ? 1 : 0);
  ensure(inputs.size() <= named || variadic, "{} takes {} inputs, {} were given", label, named, inputs.size());
  for (std::size_t i = 0; i < named; ++i) {
    const bool given = i < inputs.size() && inputs[i];
    ensure(given || def.inputs[i].ends_with('?'), "{} needs its input \"{}\"", label, def.inputs[i]);
  }
  for (const auto& [key, value] : attrs.entries()) {
    ensure(std::find(def.attrs.begin(), def.attrs.end(), key) != def.attrs.end(), "{} has no attribute \"{}\"", label,
           key);
  }
}

}  // namespace

Value Graph::add(ValueInfo info) {
  if (info.shape.rows < 1 || info.shape.cols < 1)
    fail(ErrorCode::kInvalidArgument, "\"{}\" has the empty shape {}", info.name, to_string(info.shape));
  const Value value{static_cast<std::int32_t>(values_.size())};
  if (info.role != Role::kActivation) {
    const auto [it, fresh] = stored_.emplace(info.name, value);
    if (!fresh) {
      const ValueInfo& old = values_[static_cast<std::size_t>(it->second.id)];
      ensure(old.shape == info.shape && old.role == info.role && old.shape.dtype == info.shape.dtype,
             "\"{}\" is declared twice, as {} {} and as {} {}", info.name, to_string(old.role), to_string(old.shape),
             to_string(info.role), to_string(info.shape));
      return it->second;
    }
  }
  values_.push_back(std::move(info));
  return value;
}

Value Graph::parameter(std::string name, Shape shape) {
  return add({.name = std::move(name), .shape = shape, .role = Role::kParameter});
}
Value Graph::state(std::string name, Shape shape, std::int64_t together) {
  return add({.name = std::move(name), .shape = shape, .role = Role::kState, .together = together});
}
Value Graph::constant(std::string name, Shape shape) {
  return add({.name = std::move(name), .shape = shape, .role = Role::kConstant});
}
Value Graph::input(std::string name, Shape shape, DType dtype) {
  return add({.name = std::move(name), .shape = {shape.rows, shape.cols, dtype}, .role = Role::kInput});
}

std::vector<Value> Graph::op(std::string_view name, std::span<const Value> inputs, Attrs attrs) {
  const OpEntry& entry = table_->find(name);
  Node node;
  node.op = &entry;
  node.label = scope_ + std::string(name);
  node.inputs.assign(inputs.begin(), inputs.end());
  node.attrs = std::move(attrs);
  node.segment = segment_;
  check_arity(*entry.def, node.label, inputs, node.attrs);
  InferCall call(*this, node);
  entry.def->infer(call);
  const auto index = static_cast<std::int32_t>(nodes_.size());
  for (const Shape& shape : call.outputs()) {
    node.outputs.push_back(
        add({.name = node.label + (node.outputs.empty() ? "" : fmt::format(":{}", node.outputs.size())),
             .shape = shape,
             .producer = index}));
  }
  for (const std::size_t i : mutated_inputs(*this, node)) {
    if (i >= node.inputs.size() || !node.inputs[i]) continue;
    ensure(info(node.inputs[i]).role != Role::kConstant, "{} writes the constant \"{}\"", node.label,
           this->info(node.inputs[i]).name);
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

void Graph::keep(Value value) {
  values_.at(static_cast<std::size_t>(value.id)).keep = true;
}
void Graph::rename(Value value, std::string name) {
  values_.at(static_cast<std::size_t>(value.id)).name = std::move(name);
}

void Graph::keep_apart(Value value) {
  const std::int32_t producer = info(value).producer;
  ensure(producer >= 0, "\"{}\" is not computed", info(value).name);
  nodes_[static_cast<std::size_t>(producer)].apart = true;
}

void Graph::store_as_state(Value value, std::string name) {
  ValueInfo& info = values_.at(static_cast<std::size_t>(value.id));
  ensure(info.role == Role::kActivation, "\"{}\" is not an activation", info.name);
  ensure(stored_.emplace(name, value).second, "\"{}\" is stored twice", name);
  info.name = std::move(name);
  info.role = Role::kState;
}

void Graph::replace_nodes(std::vector<Node> nodes) {
  for (ValueInfo& info : values_) info.producer = -1;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (Value output : nodes[n].outputs) {
      ValueInfo& info = values_.at(static_cast<std::size_t>(output.id));
      ensure(info.producer < 0, "\"{}\" is written twice", info.name);
      info.producer = static_cast<std::int32_t>(n);
    }
  }
  nodes_ = std::move(nodes);
  for (const Node& node : nodes_) {
    check_arity(*node.op->def, node.label, node.inputs, node.attrs);
    for (Value input : node.inputs) {
      if (!input) continue;
      const ValueInfo& read = info(input);
      ensure(read.role != Role::kActivation || read.producer >= 0, "{} reads \"{}\", which is not computed", node.label,
             read.name);
    }
  }
}

Graph::Scope::Scope(Graph& graph, std::string_view name) : graph_(graph), length_(graph.scope_.size()) {
  graph_.scope_ += name;
  graph_.scope_ += '/';
}
Graph::Scope::~Scope() {
  graph_.scope_.resize(length_);
}

Graph::Segment::Segment(Graph& graph) : graph_(graph), outer_(graph.segment_) {
  graph_.segment_ = graph_.segments_++;
}
Graph::Segment::~Segment() {
  graph_.segment_ = outer_;
}

const ValueInfo& Graph::info(Value value) const {
  ensure(value.id >= 0 && static_cast<std::size_t>(value.id) < values_.size(), "value {} is not of this graph",
         value.id);
  return values_[static_cast<std::size_t>(value.id)];
}

Value Graph::find(std::string_view name) const {
  const auto it = stored_.find(name);
  if (it != stored_.end()) return it->second;
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (values_[i].name == name) return {static_cast<std::int32_t>(i)};
  return {};
}

std::size_t Graph::remove_unread() {
  std::vector<bool> read(values_.size(), false);
  std::vector<Node> needed;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    const auto matters = [&](Value output) {
      const ValueInfo& of = info(output);
      return read[static_cast<std::size_t>(output.id)] || of.keep || of.role != Role::kActivation;
    };
    if (std::none_of(node->outputs.begin(), node->outputs.end(), matters) && mutated_inputs(*this, *node).empty())
      continue;
    for (const Value input : node->inputs)
      if (input) read[static_cast<std::size_t>(input.id)] = true;
    needed.push_back(*node);
  }
  const std::size_t removed = nodes_.size() - needed.size();
  std::reverse(needed.begin(), needed.end());
  replace_nodes(std::move(needed));
  return removed;
}

}  // namespace fabula::graph
