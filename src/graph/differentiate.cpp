#include <algorithm>
#include <map>
#include <set>

#include "base/fail.hpp"
#include "graph/graph.hpp"

namespace fabula::graph {
namespace {

/// The walk back over the nodes that existed when it started.
class Differentiator {
 public:
  Differentiator(Graph& graph, std::span<const Value> wrt, const DifferentiateOptions& options)
      : graph_(graph),
        options_(options),
        forward_nodes_(graph.nodes().size()),
        wrt_(wrt.begin(), wrt.end()),
        wrt_list_(wrt.begin(), wrt.end()) {
    mark_dependents(wrt);
    find_first_readers();
  }

  void seed(const Seed& s) {
    ensure(graph_.shape(s.output) == graph_.shape(s.gradient), "the seed of \"{}\" is {}, not {}",
           graph_.info(s.output).name, to_string(graph_.shape(s.gradient)), to_string(graph_.shape(s.output)));
    add(s.output, s.gradient);
  }

  void run() {
    for (std::size_t i = forward_nodes_; i-- > 0;) {
      visit(i);
      if (!options_.on_final) continue;
      for (const std::size_t index : first_read_by_[i])
        if (const Value d = gradient(wrt_list_[index])) options_.on_final(index, d);
    }
  }

  bool wanted(Value value) const { return value && dependent_.contains(value); }
  Value gradient(Value value) const {
    const auto it = gradients_.find(value);
    return it == gradients_.end() ? Value{} : it->second;
  }
  /// The gradient of a parameter so far, where it may be written in place: made here or, by a forward op that makes its
  /// own gradient, for no other reader; and no other value's gradient as well.
  Value parameter_gradient(Value value) {
    const Value d = graph_.info(value).role == Role::kParameter ? gradient(value) : Value{};
    if (!d || graph_.info(d).producer < 0) return {};
    if (graph_.info(d).producer < static_cast<std::int32_t>(forward_nodes_) && (graph_.info(d).keep || is_read(d)))
      return {};
    return users_.at(d) == 1 ? d : Value{};
  }
  Value take(Value value) {
    const Value d = wanted(value) ? gradient(value) : Value{};
    forget(value);
    return d;
  }
  void add(Value value, Value d) {
    if (!d || !wanted(value)) return;
    ensure(graph_.shape(value) == graph_.shape(d), "the gradient of \"{}\" {} came as {}", graph_.info(value).name,
           to_string(graph_.shape(value)), to_string(graph_.shape(d)));
    const Value so_far = gradient(value);
    forget(value);
    const Value sum = so_far ? graph_.op1("add", {so_far, d}) : d;
    gradients_.emplace(value, sum);
    ++users_[sum];
  }

  /// An input of a forward node of `segment` as its rule reads it: the value itself, or a recomputed copy where its
  /// producer is cheap or of the same segment.
  Value for_backward(Value value, std::int32_t segment) {
    const Node* producer = value ? producer_of(value) : nullptr;
    if (!producer) return value;
    const bool cheap = options_.recompute_cheap && producer->op->def->cheap_to_recompute;
    if (cheap && may_read_unrounded(*producer)) return recomputed_from_memory(value);
    return cheap || is_recomputed(*producer, segment) ? recomputed(value) : value;
  }
  /// An output of a forward node as its rule reads it: saved, unless its segment is recomputed.
  Value saved(Value value) {
    const Node* producer = producer_of(value);
    return producer && is_recomputed(*producer, producer->segment) ? recomputed(value) : value;
  }

 private:
  const Node* producer_of(Value value) const {
    const std::int32_t producer = graph_.info(value).producer;
    return producer < 0 ? nullptr : &graph_.nodes()[static_cast<std::size_t>(producer)];
  }
  /// Does a rule of `segment` read what this node makes from a copy? What comes into a segment is kept.
  bool is_recomputed(const Node& node, std::int32_t segment) const {
    return options_.recompute_segments && segment >= 0 && node.segment == segment &&
           mutated_inputs(graph_, node).empty();
  }
  /// The copy of `value`, made once, and with it what it needs of its segment.
  Value recomputed(Value value) { return copied(value, recomputed_); }
  /// Another copy of a cheap op: one that no fusion joins with what makes its input. The forward op may be joined so
  /// and then sees numbers that are not yet rounded to 16 bits; its copy in a graph that keeps the input sees them
  /// rounded, and so must the copy in one that computes the input again.
  Value recomputed_from_memory(Value value) {
    const Value again = copied(value, from_memory_);
    graph_.keep_apart(again);
    return again;
  }
  Value copied(Value value, std::map<Value, Value>& copies) {
    if (const auto it = copies.find(value); it != copies.end()) return it->second;
    Node node = *producer_of(value);  // a copy: appending moves the vector
    for (Value& input : node.inputs) {
      const Node* producer = input ? producer_of(input) : nullptr;
      if (producer && is_recomputed(*producer, node.segment)) input = recomputed(input);
    }
    const Graph::Scope scope(graph_, "recompute");
    const std::vector<Value> again = graph_.op(node.op->def->name, std::span<const Value>(node.inputs), node.attrs);
    for (std::size_t k = 0; k < again.size(); ++k) copies[node.outputs[k]] = again[k];
    return copies.at(value);
  }
  /// Is an input stored in 16 bits by a node that this one may be joined with?
  bool may_read_unrounded(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(), [&](Value input) {
      const Node* producer = input && is_half(graph_.shape(input).dtype) ? producer_of(input) : nullptr;
      return producer && std::any_of(producer->op->def->fusions.begin(), producer->op->def->fusions.end(),
                                     [&](const Fusion& fusion) { return fusion.op == node.op->def->name; });
    });
  }
  bool is_read(Value value) {
    for (; noted_ < graph_.nodes().size(); ++noted_) {
      const std::vector<Value>& inputs = graph_.nodes()[noted_].inputs;
      read_.insert(inputs.begin(), inputs.end());
    }
    return read_.contains(value);
  }
  /// Drops the gradient of `value`.
  void forget(Value value) {
    const auto it = gradients_.find(value);
    if (it == gradients_.end()) return;
    --users_[it->second];
    gradients_.erase(it);
  }
  void mark_dependents(std::span<const Value> wrt) {
    for (Value value : wrt)
      if (graph_.info(value).role != Role::kConstant) dependent_.insert(value);
    for (const Node& node : graph_.nodes()) {
      if (!node.op->def->grad) continue;
      for (Value input : node.inputs) {
        if (!input || !dependent_.contains(input)) continue;
        for (Value output : node.outputs)
          if (is_float(graph_.shape(output).dtype)) dependent_.insert(output);
        break;
      }
    }
  }

  /// No node before the first one that reads a value adds to its gradient.
  void find_first_readers() {
    first_read_by_.resize(forward_nodes_);
    std::map<Value, std::size_t> left;
    for (std::size_t index = 0; index < wrt_list_.size(); ++index) left.emplace(wrt_list_[index], index);
    for (std::size_t n = 0; n < forward_nodes_ && !left.empty(); ++n)
      for (const Value input : graph_.nodes()[n].inputs)
        if (const auto it = left.find(input); it != left.end()) {
          first_read_by_[n].push_back(it->second);
          left.erase(it);
        }
  }

  void visit(std::size_t index);

  Graph& graph_;
  DifferentiateOptions options_;
  std::size_t forward_nodes_;
  std::set<Value> wrt_;
  std::vector<Value> wrt_list_;
  std::vector<std::vector<std::size_t>> first_read_by_;  ///< by forward node: which of wrt_list_
  std::set<Value> dependent_;
  std::map<Value, Value> gradients_;
  std::map<Value, int> users_;  ///< by gradient: of how many values it is one
  std::map<Value, Value> recomputed_, from_memory_;
  std::set<Value> read_;  ///< what the first noted_ nodes read
  std::size_t noted_ = 0;
};

class NodeGrad final : public GradCall {
 public:
  NodeGrad(Graph& graph, const Node& node, Differentiator& walk)
      : GradCall(graph, node), node_copy_(&node), walk_(walk) {}
  Value d_output(std::size_t i) const override { return walk_.gradient(node_copy_->outputs.at(i)); }
  bool wanted(std::size_t i) const override { return has_input(i) && walk_.wanted(node_copy_->inputs[i]); }
  Value input(std::size_t i) override {
    return has_input(i) ? walk_.for_backward(node_copy_->inputs[i], node_copy_->segment) : Value{};
  }
  Value output(std::size_t i) const override { return walk_.saved(node_copy_->outputs.at(i)); }
  Value gradient_so_far(std::size_t i) const override { return walk_.parameter_gradient(node_copy_->inputs.at(i)); }
  Value take_gradient(std::size_t i) override { return walk_.take(node_copy_->inputs.at(i)); }
  void add_gradient(std::size_t i, Value d) override {
    if (has_input(i)) walk_.add(node_copy_->inputs[i], d);
  }

 private:
  const Node* node_copy_;
  Differentiator& walk_;
};

void Differentiator::visit(std::size_t index) {
  const Node node = graph_.nodes()[index];  // a copy: appending moves the vector
  if (!node.op->def->grad) return;
  bool reached = false, read = false;
  for (Value output : node.outputs) reached = reached || gradient(output);
  for (Value input : node.inputs) read = read || wanted(input);
  if (!reached || !read) return;
  const std::string scope = node.label.substr(0, node.label.size() - node.op->def->name.size());
  Graph::Scope guard(graph_,
                     scope.empty() ? std::string_view("d") : std::string_view(scope).substr(0, scope.size() - 1));
  NodeGrad call(graph_, node, *this);
  node.op->def->grad(call);
  // No one asks again: what was handed through to an input is that input's alone.
  for (Value output : node.outputs)
    if (!wrt_.contains(output)) forget(output);
}

}  // namespace

std::vector<Value> differentiate(Graph& graph, std::span<const Seed> seeds, std::span<const Value> wrt,
                                 const DifferentiateOptions& options) {
  Differentiator walk(graph, wrt, options);
  for (const Seed& seed : seeds) walk.seed(seed);
  walk.run();
  std::vector<Value> result;
  for (Value value : wrt) result.push_back(walk.gradient(value));
  return result;
}

}  // namespace fabula::graph
