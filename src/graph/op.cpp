#include "graph/op.hpp"

#include "base/fail.hpp"
#include "graph/graph.hpp"

namespace fabula::graph {

const Attrs& NodeView::attrs() const {
  return node_->attrs;
}
bool NodeView::has_input(std::size_t i) const {
  return i < node_->inputs.size() && node_->inputs[i];
}
const Shape& NodeView::in(std::size_t i) const {
  return graph_->shape(node_->inputs.at(i));
}
const Shape& NodeView::out(std::size_t i) const {
  return graph_->shape(node_->outputs.at(i));
}
std::size_t NodeView::input_count() const {
  return node_->inputs.size();
}
std::size_t NodeView::output_count() const {
  return node_->outputs.size();
}
const std::string& NodeView::label() const {
  return node_->label;
}
const OpEntry& NodeView::entry() const {
  return *node_->op;
}

const Attrs& InferCall::attrs() const {
  return node_->attrs;
}
std::size_t InferCall::input_count() const {
  return node_->inputs.size();
}
bool InferCall::has_input(std::size_t i) const {
  return i < node_->inputs.size() && node_->inputs[i];
}
Shape InferCall::in(std::size_t i) const {
  return graph_->shape(node_->inputs.at(i));
}
DType InferCall::dtype(std::size_t i) const {
  return in(i).dtype;
}

void InferCall::require(bool ok, std::string_view what) const {
  if (ok) return;
  std::string shapes;
  const OpDef& def = *node_->op->def;
  for (std::size_t i = 0; i < node_->inputs.size(); ++i) {
    const std::string_view name = i < def.inputs.size() ? def.inputs[i] : "...";
    shapes += fmt::format("{}{} {}", i ? ", " : "", name, has_input(i) ? to_string(in(i)) : "absent");
  }
  fail(ErrorCode::kInvalidArgument, "{} needs: {}; got {}", node_->label, what, shapes);
}

DType GradCall::dtype_of(Value value) const {
  return graph_->shape(value).dtype;
}
bool GradCall::is_one(Value value) const {
  const std::int32_t producer = value ? graph_->info(value).producer : -1;
  if (producer < 0) return false;
  const Node& node = graph_->nodes()[static_cast<std::size_t>(producer)];
  return node.op->def->name == "fill" && node.attrs.get("value") == 1;
}
std::vector<Value> GradCall::op(std::string_view name, std::initializer_list<Value> inputs, Attrs attrs) {
  return mutable_graph_->op(name, inputs, std::move(attrs));
}
Value GradCall::op1(std::string_view name, std::initializer_list<Value> inputs, Attrs attrs) {
  return mutable_graph_->op1(name, inputs, std::move(attrs));
}

std::vector<std::size_t> mutated_inputs(const Graph& graph, const Node& node) {
  const OpDef& def = *node.op->def;
  return def.mutates_of ? def.mutates_of(NodeView(graph, node)) : def.mutates;
}

std::array<std::uint32_t, 3> LowerCall::grid(std::int64_t groups) {
  constexpr std::int64_t kMax = 65535;
  if (groups <= kMax) return {static_cast<std::uint32_t>(groups), 1, 1};
  const std::int64_t rows = (groups + kMax - 1) / kMax;
  ensure(rows <= kMax, "a grid of {} workgroups does not fit two dimensions", groups);
  return {static_cast<std::uint32_t>((groups + rows - 1) / rows), static_cast<std::uint32_t>(rows), 1};
}

const OpEntry& OpTable::find(std::string_view name) const {
  for (const OpEntry& entry : entries_)
    if (entry.def->name == name) return entry;
  fail(ErrorCode::kInternal, "there is no op named \"{}\"", name);
}

}  // namespace fabula::graph
