#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_tensors.hpp"

namespace fabula {

/// A parameter as it stands in a model's files.
struct TensorSpec {
  std::string name;
  std::string bare_name = {};  ///< in files of the body alone, without what stands before its tensors; empty: the same
  std::vector<std::int64_t> shape = {};
  bool linear = false;  ///< matrix of a linear layer, which Conv1D and nn.Linear keep in different orientations
  std::string repeated_as = {};    ///< a name under which files may hold it once more: a tied head's
  std::string_view rows_key = {};  ///< the config's key that says how many rows it has: "vocab_size"
  std::string head = {};           ///< description of the head that it is part of; empty: part of the body
};

/// A tensor's name without what wrappers of PyTorch put between its parts: "_orig_mod.", "module." and the like.
std::string without_wrappers(std::string_view name);

/// Finds a model's parameters among somebody's tensors: behind wrappers' prefixes, by their names or bare names, and
/// with the matrices of linear layers in either orientation. All matrices that are not square must lie the same way,
/// so that the square ones, whose shape does not tell, are known to lie so too.
class ParameterFinder {
 public:
  /// Keeps a reference to the tensors. Error kFormat for two tensors that are the same one behind their prefixes.
  ParameterFinder(const ModelTensors& tensors, std::vector<TensorSpec> specs);

  const ModelTensors& tensors() const { return *tensors_; }
  const std::vector<TensorSpec>& specs() const { return specs_; }
  /// The parameter's name in the file; null: it is not there.
  const std::string* name_of(std::string_view parameter) const;
  /// Its shape once read, that is, transposed where the file's matrices are. Error kNotFound.
  std::vector<std::int64_t> shape_of(std::string_view parameter) const;
  /// The parameter that a tensor of this name, without wrappers, is once more, as a tied head's matrix may be; null:
  /// none.
  const TensorSpec* repeated(std::string_view plain) const;
  /// Is there one, and has that tensor the very numbers of it?
  bool repeats(std::string_view plain) const;
  /// Its first out.size() numbers in the model's orientation; all of them for a matrix that is transposed.
  void read(std::string_view parameter, std::span<float> out) const;

  /// Do the file's linear layers lie the other way round than the model's? `note` says so for the user; empty: no.
  bool transposed() const { return transposed_; }
  std::string note() const;

 private:
  void find_orientation();
  const TensorSpec* find(std::string_view parameter) const;
  bool is_turned(std::string_view parameter) const;

  const ModelTensors* tensors_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, std::size_t, std::less<>> spec_of_;  ///< by name
  std::map<std::string, std::string, std::less<>> names_;    ///< without wrappers -> in the file
  bool transposed_ = false;
  std::string example_;  ///< a matrix that showed it
};

}  // namespace fabula
