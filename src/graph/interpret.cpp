#include "base/fail.hpp"
#include "graph/graph.hpp"

namespace fabula::graph {
namespace {
void evaluate(const OpEntry& entry, RefCall<float>& call) {
  entry.reference_f32(call);
}
void evaluate(const OpEntry& entry, RefCall<double>& call) {
  entry.reference_f64(call);
}

template <class T>
bool is_filled(const RefTensor<T>& tensor, const Shape& shape) {
  const auto count = static_cast<std::size_t>(shape.count());
  return tensor.shape == shape && (tensor.f.size() == count || tensor.u.size() == count);
}
}  // namespace

template <class T>
void interpret(const Graph& graph, std::vector<RefTensor<T>>& values) {
  values.resize(graph.values().size());
  for (const Node& node : graph.nodes()) {
    RefCall<T> call{node.attrs, {}, {}};
    for (Value input : node.inputs) {
      RefTensor<T>* tensor = input ? &values[static_cast<std::size_t>(input.id)] : nullptr;
      ensure(!tensor || is_filled(*tensor, graph.shape(input)), "\"{}\" was not filled before {}",
             tensor ? graph.info(input).name : "", node.label);
      call.in.push_back(tensor);
    }
    while (call.in.size() < node.op->def->inputs.size()) call.in.push_back(nullptr);
    for (Value output : node.outputs) {
      values[static_cast<std::size_t>(output.id)] = RefTensor<T>(graph.shape(output));
      call.out.push_back(&values[static_cast<std::size_t>(output.id)]);
    }
    evaluate(*node.op, call);
  }
}
template void interpret<float>(const Graph&, std::vector<RefTensor<float>>&);
template void interpret<double>(const Graph&, std::vector<RefTensor<double>>&);

}  // namespace fabula::graph
