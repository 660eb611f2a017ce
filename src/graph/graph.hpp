#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"
#include "graph/types.hpp"

namespace fabula::graph {

struct ValueInfo {
  std::string name;  ///< parameters and states: the tensor's name in files; constants and inputs: what the host gives
                     ///< them by; others: for messages and plans
  Shape shape;
  Role role = Role::kActivation;
  std::int32_t producer = -1;  ///< node index; -1 for what the store holds, inputs and what is not computed
  bool keep = false;           ///< an output of the graph: readable by the host after a run
  std::int64_t together = 1;  ///< each so many rows of a state lie in one allocation, for an op that binds them at once
};

struct Node {
  const OpEntry* op = nullptr;
  std::string label;          ///< scope and op name, e.g. "h.0.attn/matmul"
  std::vector<Value> inputs;  ///< absent entries are optional inputs not given
  std::vector<Value> outputs;
  Attrs attrs;
  std::int32_t segment = -1;  ///< see Graph::Segment; -1: in none
  bool apart = false;         ///< see Graph::keep_apart
};

/// A static computation for one shape: nodes in execution order, appended by op(). It holds no memory and no device.
class Graph {
 public:
  explicit Graph(const OpTable& table) : table_(&table) {}

  Value parameter(std::string name, Shape shape);
  Value state(std::string name, Shape shape, std::int64_t together = 1);
  /// A constant of that name is one and the same in all graphs of a workload.
  Value constant(std::string name, Shape shape);
  Value input(std::string name, Shape shape, DType dtype);

  /// Appends a node and returns its outputs. Throws kInvalidArgument with the op's name and shapes when they do not
  /// fit.
  std::vector<Value> op(std::string_view name, std::span<const Value> inputs, Attrs attrs = {});
  std::vector<Value> op(std::string_view name, std::initializer_list<Value> inputs, Attrs attrs = {}) {
    return op(name, std::span<const Value>(inputs.begin(), inputs.size()), std::move(attrs));
  }
  /// The same, for the first output.
  Value op1(std::string_view name, std::initializer_list<Value> inputs, Attrs attrs = {}) {
    return op(name, inputs, std::move(attrs)).front();
  }

  void keep(Value value);  ///< make it readable by the host after a run
  void rename(Value value, std::string name);
  /// Lets the node that makes an activation read its inputs as they are stored: it is not joined with a node before it.
  void keep_apart(Value value);
  /// Lets an activation live in the store under `name` instead of the arena (an accumulated gradient, say).
  void store_as_state(Value value, std::string name);

  /// Puts `nodes` in the place of all nodes, in execution order. They write each value at most once; one that is
  /// written no longer must not be read.
  void replace_nodes(std::vector<Node> nodes);

  /// Takes away the nodes of whose outputs nothing that the graph is for depends: nothing kept, no stored value that is
  /// written. Returns how many.
  std::size_t remove_unread();

  /// Prefixes the labels of the nodes appended while it lives.
  class Scope {
   public:
    Scope(Graph& graph, std::string_view name);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Graph& graph_;
    std::size_t length_;
  };

  /// The nodes appended while it lives form one segment: what a backward pass may compute again as a whole from the
  /// values that come into it (a transformer block, say).
  class Segment {
   public:
    explicit Segment(Graph& graph);
    ~Segment();
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;

   private:
    Graph& graph_;
    std::int32_t outer_;
  };

  const OpTable& table() const { return *table_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<ValueInfo>& values() const { return values_; }
  const ValueInfo& info(Value value) const;
  const Shape& shape(Value value) const { return info(value).shape; }
  Value find(std::string_view name) const;  ///< absent when no value has that name

 private:
  Value add(ValueInfo info);
  const OpTable* table_;
  std::vector<Node> nodes_;
  std::vector<ValueInfo> values_;
  std::map<std::string, Value, std::less<>> stored_;  ///< all but activations by name: one value each
  std::string scope_;
  std::int32_t segment_ = -1, segments_ = 0;  ///< the one being built; how many there are
};

struct Seed {
  Value output;
  Value gradient;  ///< d_loss/d_output, the same shape
};

struct DifferentiateOptions {
  bool recompute_cheap = true;  ///< evaluate OpDef::cheap_to_recompute ops again rather than keep their outputs
  /// Evaluate what the backward pass reads of a Graph::Segment again from the values that come into the segment, which
  /// alone are kept. The same nodes on the same values, rounded where they would be read from memory otherwise: every
  /// gradient stays bit-identical.
  bool recompute_segments = false;
  /// Called when the gradient of wrt[index] is final, as soon as it is: behind the last node that adds to it. May
  /// append nodes that read it. Not called for a value that the outputs do not depend on.
  std::function<void(std::size_t index, Value gradient)> on_final = {};
};

/// Appends the backward pass. Returns the gradients of `wrt`, in order; absent where the outputs do not depend on it,
/// and of constants. Gradients that meet are added; nothing is computed that no one reads.
std::vector<Value> differentiate(Graph& graph, std::span<const Seed> seeds, std::span<const Value> wrt,
                                 const DifferentiateOptions& options = {});

/// Evaluates the graph on the CPU by the references. `values` is indexed by Value::id; parameters, states, constants
/// and inputs must be filled beforehand, the rest is computed.
template <class T>
void interpret(const Graph& graph, std::vector<RefTensor<T>>& values);

}  // namespace fabula::graph
