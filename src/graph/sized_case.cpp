#include "graph/sized_case.hpp"

#include <algorithm>

namespace fabula::graph {
namespace {

SizedCase with_rows(const NodeView& node, std::int64_t rows) {
  SizedCase sized{.launch = case_of(node)};
  const std::int64_t all = node.in(0).rows, kept = std::min(all, rows);
  for (OpCase::Input& input : sized.launch.inputs)
    if (input.present && input.shape.rows == all) input.shape.rows = kept;
  return sized;
}

template <class Element>
void repeat(const std::vector<Element>& tile, const Shape& of, std::vector<Element>& all, const Shape& shape) {
  if (all.empty()) return;
  const auto tile_columns = static_cast<std::size_t>(of.cols), columns = static_cast<std::size_t>(shape.cols);
  for (std::size_t row = 0; row < static_cast<std::size_t>(shape.rows); ++row) {
    const Element* const from = tile.data() + row % static_cast<std::size_t>(of.rows) * tile_columns;
    Element* const to = all.data() + row * columns;
    for (std::size_t begin = 0; begin < columns; begin += tile_columns)
      std::copy_n(from, std::min(tile_columns, columns - begin), to + begin);
  }
}

}  // namespace

OpCase SizedCase::small() const {
  OpCase small = launch;
  for (std::size_t i = 0; i < tiles.size(); ++i) small.inputs[i].shape = tiles[i];
  return small;
}

OpCase case_of(const NodeView& node) {
  const OpCase own = node.entry().cases().front();
  OpCase result{.name = node.label(), .attrs = node.attrs(), .fill = own.fill};
  result.relative = own.relative;
  result.absolute = own.absolute;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    OpCase::Input input{.shape = {1, 1}, .present = node.has_input(i)};
    if (input.present) input.shape = node.in(i), input.dtype = node.in(i).dtype;
    result.inputs.push_back(input);
  }
  const std::vector<std::string_view>& names = node.entry().def->inputs;  // a fill may go by their numbers
  if (!names.empty() && !names.back().ends_with("..."))
    result.inputs.resize(std::max(names.size(), result.inputs.size()), {.shape = {1, 1}, .present = false});
  return result;
}

std::optional<SizedCase> sized_by_rows(const NodeView& node, std::int64_t rows) {
  SizedCase sized = with_rows(node, rows);
  const std::int64_t kept = std::min(node.in(0).rows, rows);
  for (const OpCase::Input& input : sized.launch.inputs) {
    sized.tiles.push_back(input.shape);
    if (input.present && input.shape.rows == kept) sized.tiles.back().rows = std::min(kept, kTileRows);
  }
  return sized;
}

std::optional<SizedCase> sized_by_fewer_rows(const NodeView& node, std::int64_t rows) {
  return with_rows(node, rows);
}

template <class T>
RefTensor<T> repeated(const RefTensor<T>& tile, const Shape& shape) {
  RefTensor<T> all(shape);
  repeat(tile.f, tile.shape, all.f, shape);
  repeat(tile.u, tile.shape, all.u, shape);
  return all;
}
template RefTensor<double> repeated(const RefTensor<double>&, const Shape&);
template RefTensor<float> repeated(const RefTensor<float>&, const Shape&);

}  // namespace fabula::graph
