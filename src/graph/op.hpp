#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/reference.hpp"
#include "graph/types.hpp"
#include "vk/limits.hpp"

namespace fabula::graph {

class Graph;
struct Node;
struct OpEntry;
struct SizedCase;

/// Work of a node: for `fabula plan`, benchmarks and the cutting of submissions.
struct Cost {
  double flops = 0;
  double bytes = 0;  ///< least device memory traffic: inputs read once, outputs written once
};

/// A node as an op sees it: shapes and attributes, no data.
class NodeView {
 public:
  NodeView(const Graph& graph, const Node& node) : graph_(&graph), node_(&node) {}
  const Attrs& attrs() const;
  bool has_input(std::size_t i) const;  ///< false for an optional input not given
  const Shape& in(std::size_t i) const;
  const Shape& out(std::size_t i = 0) const;
  std::size_t input_count() const;
  std::size_t output_count() const;
  const std::string& label() const;
  const OpEntry& entry() const;

 protected:
  const Graph* graph_;
  const Node* node_;
};

/// Shape inference: reads inputs, adds outputs, throws kInvalidArgument naming the op and the shapes that do not fit.
class InferCall {
 public:
  InferCall(const Graph& graph, Node& node) : graph_(&graph), node_(&node) {}
  const Attrs& attrs() const;
  std::size_t input_count() const;
  bool has_input(std::size_t i) const;
  Shape in(std::size_t i) const;
  DType dtype(std::size_t i) const;
  void output(Shape shape) { outputs_.push_back(shape); }
  void output(Shape shape, DType dtype) { outputs_.push_back({shape.rows, shape.cols, dtype}); }
  std::span<const Shape> outputs() const { return outputs_; }
  /// Throws kInvalidArgument unless `ok`; the message gets the op's name and every input's shape.
  void require(bool ok, std::string_view what) const;

 private:
  const Graph* graph_;
  Node* node_;
  std::vector<Shape> outputs_;
};

/// Rows [row_begin, row_end) of a value, to be bound to a kernel; or all memory from there through a later value.
struct Window {
  Value value;
  std::int64_t row_begin = 0, row_end = -1;  ///< -1: to the last row
  Value last = {};                           ///< when given: to row `row_end` of this value, which lies behind `value`
  Window(Value v) : value(v) {}              // NOLINT: a value binds whole
  Window(Value v, std::int64_t begin, std::int64_t end) : value(v), row_begin(begin), row_end(end) {}
};

struct RowBlock {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

/// Tensors that lie one behind the other (LowerCall::runs): from row `row_begin` of number `first` to row `row_end` of
/// number `last`. What little lies between them for alignment belongs to the run.
struct Run {
  std::size_t first = 0, last = 0;
  std::int64_t row_begin = 0, row_end = 0;
  std::int64_t words = 0;
  /// The run's memory in one kind of value.
  Window window(std::span<const Value> values) const {
    Window result(values[first], row_begin, row_end);
    result.last = values[last];
    return result;
  }
};

/// One kernel launch as an op asks for it; reads and writes are known from the shader's readonly/writeonly.
struct Launch {
  std::string shader;  ///< variant name
  std::vector<std::uint32_t> constants =
      {};                             ///< specialization constants 0..n-1; element types are added by the executor
  std::uint32_t subgroup_size = 0;    ///< required size with full subgroups; 0: any
  std::vector<Window> bindings = {};  ///< by binding number
  std::array<std::uint32_t, 3> groups{1, 1, 1};
};

/// Lowering of one node: turns it into launches for a device.
class LowerCall : public NodeView {
 public:
  LowerCall(const Graph& graph, const Node& node) : NodeView(graph, node) {}
  virtual ~LowerCall() = default;

  virtual const vk::DeviceProfile& profile() const = 0;
  /// The variant to use: the forced one when a check forces it, else the one measured as
  /// fastest (Target::choices) or the first of OpDef::variants.
  virtual std::string_view variant() const = 0;
  virtual Value input(std::size_t i) const = 0;  ///< absent for an optional input not given
  virtual Value output(std::size_t i = 0) const = 0;
  virtual Value scratch(std::size_t i) const = 0;  ///< as OpDef::scratch listed; good for this node only

  /// Cuts rows [0, n) so that, for every one of `values` (all with n rows), a block can be bound: within
  /// max_storage_range, in one piece of memory, at an aligned offset. Block starts are multiples of 64 rows; `max_rows`
  /// bounds a block further. Each `together` rows from a multiple of it on stay in one block; where that is no multiple
  /// of 64, a block is to be bound from the multiple of 64 before its start, for which room is left.
  virtual std::vector<RowBlock> row_blocks(std::initializer_list<Value> values, std::int64_t max_rows = -1,
                                           std::int64_t together = 1) const = 0;

  /// The fewest stretches of memory that hold all of several tensors. `kinds` are lists of values of pairwise equal
  /// shapes (parameters, their gradients, ...): within a run they lie alike in every kind, so that one index serves
  /// all, and each kind's stretch can be bound. Words between the tensors are zero in the store; a kernel that
  /// keeps them so may treat a run as one array.
  virtual std::vector<Run> runs(const std::vector<std::vector<Value>>& kinds) const = 0;

  /// Emits a launch; `push` must have exactly the size of the shader's push constant block.
  template <class Push>
  void dispatch(const Launch& launch, const Push& push) {
    static_assert(std::is_trivially_copyable_v<Push> && sizeof(Push) % 4 == 0 && sizeof(Push) <= 128);
    emit(launch, {reinterpret_cast<const std::byte*>(&push), sizeof(Push)});
  }
  void dispatch(const Launch& launch) { emit(launch, {}); }
  /// Sets every word of a value (padding included) to zero.
  virtual void clear(Value value) = 0;

  /// A grid of at least `groups` workgroups within 65,535 a dimension: shaders use linear_group() of include/grid.glsl
  /// and must check it against the true count.
  static std::array<std::uint32_t, 3> grid(std::int64_t groups);

 private:
  virtual void emit(const Launch& launch, std::span<const std::byte> push) = 0;
};

/// The gradient rule of one node: appends nodes and hands over gradients of the inputs.
class GradCall : public NodeView {
 public:
  GradCall(Graph& graph, const Node& node) : NodeView(graph, node), mutable_graph_(&graph) {}
  virtual ~GradCall() = default;
  /// Calls an op; its outputs.
  std::vector<Value> op(std::string_view name, std::initializer_list<Value> inputs, Attrs attrs = {});
  /// Calls an op that has one output (or whose first is meant).
  Value op1(std::string_view name, std::initializer_list<Value> inputs, Attrs attrs = {});
  virtual Value d_output(std::size_t i = 0) const = 0;  ///< absent when nothing downstream depends on that output
  bool is_one(Value value) const;                       ///< was it filled with ones?
  DType dtype_of(Value value) const;
  virtual bool wanted(std::size_t i) const = 0;  ///< is the gradient of input i read by anyone?
  /// The gradient that input i has from other uses so far: the rule takes it over and must add it to what it hands to
  /// add_gradient, which saves the sum that would be appended otherwise. Absent: there is none yet.
  virtual Value take_gradient(std::size_t i) = 0;
  /// An input of the forward node, for use in the backward pass: the value itself, or (where memory is dearer) a
  /// recomputed one.
  virtual Value input(std::size_t i) = 0;
  virtual Value output(std::size_t i = 0) const = 0;  ///< an output of the forward node, saved
  /// The gradient that a PARAMETER input i has from other uses so far, if no one else reads it; else absent. A rule may
  /// add into it by an op that mutates it; it then does not call add_gradient. (An activation's gradient may be shared,
  /// so it is never offered for that.)
  virtual Value gradient_so_far(std::size_t i) const = 0;
  virtual void add_gradient(std::size_t i, Value d) = 0;  ///< an absent d is ignored
 protected:
  Graph* mutable_graph_;
};

/// A later op that an op's kernels can do at once with their own (graph/fuse.hpp).
struct Fusion {
  std::string_view op;              ///< it reads this op's only output ...
  std::size_t input = 0;            ///< ... as its input of this number, and gives one output of that shape and type
  std::string_view attr;            ///< what the joined node is marked with
  double value = 1;                 ///< of attr
  std::string_view keep_attr = {};  ///< set to 1 where others read the output too; it is the joined node's second
                                    ///< output then. Empty: such a node is not joined
  /// Further inputs of the later op, shaped as the output, and where this op takes them: {there, here}. With such a
  /// node the joined one stands in the later one's place, so no one else may read the output.
  std::vector<std::pair<std::size_t, std::size_t>> moved = {};
};

/// An op: what it computes, how it is launched, what its gradient is. One constant of this type in src/ops/<name>.cpp.
struct OpDef {
  std::string_view name = {};
  std::string_view formula = {};  ///< one line, in the alphabet of docs/architecture.md
  std::vector<std::string_view> inputs =
      {};  ///< names; a trailing '?' marks an optional one; a last "..." takes any number
  std::vector<std::string_view> attrs = {};  ///< names of all attributes that it knows
  void (*infer)(InferCall&) = nullptr;
  void (*lower)(LowerCall&) = nullptr;
  void (*grad)(GradCall&) = nullptr;        ///< null: no gradient flows through
  Cost (*cost)(const NodeView&) = nullptr;  ///< null: bytes of inputs and outputs, no flops
  /// Kernel variants that can run this node on this device, best first; null: one unnamed variant.
  std::vector<std::string> (*variants)(const NodeView&, const vk::DeviceProfile&) = nullptr;
  /// Temporary values that lowering needs (alive during this node only).
  std::vector<Shape> (*scratch)(const NodeView&, const vk::DeviceProfile&, std::string_view variant) = nullptr;
  std::vector<std::size_t> mutates = {};  ///< inputs that are written in place
  /// The same where it depends on how many inputs are given.
  std::vector<std::size_t> (*mutates_of)(const NodeView&) = nullptr;
  /// Outputs that may take over the memory of an input whose last use this is: {output, input}.
  std::vector<std::pair<std::size_t, std::size_t>> in_place = {};
  std::vector<Fusion> fusions = {};  ///< later ops that may be joined with this one
  /// Inputs that may be 16-bit, together; the outputs' types follow from infer. Every case is also checked so.
  std::vector<std::string_view> half = {};
  /// Roundings of intermediate results to 16 bits, beyond the stored output's, that a variant for 16-bit inputs makes:
  /// each may move any output, fp32 ones too, by the type's storage_error times the output's largest number.
  int half_inner = 0;
  bool cheap_to_recompute = false;  ///< the backward pass may evaluate it again instead of keeping its output
  /// A node as a case of at most so many rows (graph/sized_case.hpp), for the self-test; nothing, or null: only the
  /// op's own cases will do.
  std::optional<SizedCase> (*sized)(const NodeView&, std::int64_t rows) = nullptr;
};

/// The inputs that a node writes in place.
std::vector<std::size_t> mutated_inputs(const Graph& graph, const Node& node);

struct OpEntry {
  const OpDef* def;
  void (*reference_f32)(RefCall<float>&);
  void (*reference_f64)(RefCall<double>&);
  std::vector<OpCase> (*cases)();
};

/// All ops of the build, by name (generated; cmake/FabulaOpTable.cmake).
class OpTable {
 public:
  OpTable(std::vector<OpEntry> entries) : entries_(std::move(entries)) {}  // NOLINT
  const OpEntry& find(std::string_view name) const;                        ///< throws kInternal for an unknown op
  const std::vector<OpEntry>& entries() const { return entries_; }

 private:
  std::vector<OpEntry> entries_;
};

}  // namespace fabula::graph
