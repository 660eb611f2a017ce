#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_tensors.hpp"

namespace fabula {

/// A parameter as it stands in model.safetensors. Names and orientation are Hugging Face's: GPT-2's linear weights are
/// Conv1D, [in, out], with q, k, v fused in c_attn [D, 3D]; GPT-Neo's are [out, in].
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// A tensor's name without what wrappers of PyTorch put between its parts: "_orig_mod.", "module." and the like.
std::string without_wrappers(std::string_view name);

/// Finds a model's parameters among somebody's tensors: behind wrappers' prefixes, with or without "transformer.", and
/// with the matrices of linear layers in either orientation. All matrices that are not square must lie the same way,
/// so that the square ones, whose shape does not tell, are known to lie so too.
class ParameterFinder {
 public:
  /// Keeps a reference to the tensors. Error kFormat for two tensors that are the same one behind their prefixes.
  ParameterFinder(const ModelTensors& tensors, const std::vector<TensorSpec>& specs);

  const ModelTensors& tensors() const { return *tensors_; }
  /// The parameter's name in the file; null: it is not there.
  const std::string* name_of(std::string_view parameter) const;
  /// Its shape once read, that is, transposed where the file's matrices are. Error kNotFound.
  std::vector<std::int64_t> shape_of(std::string_view parameter) const;
  /// Its first out.size() numbers in the model's orientation; all of them for a matrix that is transposed.
  void read(std::string_view parameter, std::span<float> out) const;

  /// Do the file's linear layers lie the other way round than the model's? `note` says so for the user; empty: no.
  bool transposed() const { return transposed_; }
  std::string note() const;

 private:
  void find_orientation(const std::vector<TensorSpec>& specs);

  const ModelTensors* tensors_;
  std::map<std::string, std::string, std::less<>> names_;  ///< without wrappers -> in the file
  bool transposed_ = false;
  std::string example_;  ///< a matrix that showed it
};

}  // namespace fabula
