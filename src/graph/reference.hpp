#pragma once
#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/philox.hpp"
#include "graph/types.hpp"

namespace fabula::graph {

/// A dense host tensor, rows x cols without padding; floats in `f`, of whatever type they are on the device, whole
/// numbers in `u`: words, those of four bits, or the words that signed bytes are sign-extended to.
template <class T>
struct RefTensor {
  Shape shape;
  std::vector<T> f;
  std::vector<std::uint32_t> u;
  RefTensor() = default;
  explicit RefTensor(Shape s) : shape(s) {
    if (is_float(s.dtype))
      f.assign(static_cast<std::size_t>(s.count()), T(0));
    else
      u.assign(static_cast<std::size_t>(s.count()), 0);
  }
  RefTensor(Shape s, DType dtype) : RefTensor(Shape{s.rows, s.cols, dtype}) {}
  T& at(std::int64_t row, std::int64_t col) { return f[static_cast<std::size_t>(row * shape.cols + col)]; }
  T at(std::int64_t row, std::int64_t col) const { return f[static_cast<std::size_t>(row * shape.cols + col)]; }
};

/// Fills a tensor from words, one an element; a tensor of floats from their bits as fp32.
template <class T>
void set_words(RefTensor<T>& tensor, std::span<const std::uint32_t> words) {
  if (!is_float(tensor.shape.dtype)) {
    tensor.u.assign(words.begin(), words.end());
  } else {
    tensor.f.clear();
    for (const std::uint32_t word : words) tensor.f.push_back(static_cast<T>(std::bit_cast<float>(word)));
  }
}

/// One evaluation of an op by its CPU reference: plain loops, double accumulators, stores rounded to T.
template <class T>
struct RefCall {
  const Attrs& attrs;
  std::vector<RefTensor<T>*>
      in;  ///< as the op names them; nullptr: an optional input not given. Mutated inputs are written.
  std::vector<RefTensor<T>*> out;  ///< allocated and zero, in the inferred shapes
};

/// One configuration in which an op is checked: the GPU against the reference, and the reference's gradient by finite
/// differences. The same list serves `fabula check`, the tests and `fabula bench ops`.
struct OpCase {
  struct Input {
    Shape shape;
    DType dtype = DType::kF32;
    bool present = true;  ///< false: an optional input not given
    Shape typed() const { return {shape.rows, shape.cols, dtype}; }
  };
  std::string name;  ///< unique in the op, e.g. "odd_33x17x65"
  Attrs attrs = {};
  std::vector<Input> inputs = {};
  /// Fills the inputs (floats come in as N(0,1) draws, words as zero). Empty: the draws are kept.
  std::function<void(std::vector<RefTensor<double>>&, Philox&)> fill = {};
  /// Allowed |gpu - reference| of every output element: absolute + relative * max|reference| of that output.
  double relative = 2e-6, absolute = 1e-6;
  bool gradient = true;  ///< also check the gradient (ops that have one; keep such cases small)
  bool large = false;    ///< left out of quick runs and sanitizer builds
};

}  // namespace fabula::graph
