#pragma once
#include <array>
#include <span>
#include <string>

#include "formats/safetensors.hpp"

// What no weight and no moment of the optimizer can be. A checkpoint with such a number is neither written nor gone on
// from.
namespace fabula::train {

/// Which numbers a tensor may hold.
enum class Numbers {
  kFinite,
  kFiniteNotNegative,  ///< second moments
};

/// What is wrong with the first number that is: "number 17 is nan; weights and moments are finite". Empty: nothing.
std::string wrong_number(std::span<const float> values, Numbers allowed);

/// The same, of moments that would carry a weight, whose gradient were zero, to where its square is out of float's
/// range in the step with these `hyper` (adamw_hyper).
std::string wrong_moments(std::span<const float> m, std::span<const float> v, const std::array<float, 8>& hyper);

/// A tensor source whose numbers are looked at on their way. Throws kNumeric naming the tensor.
TensorSource checked(TensorSource source, Numbers allowed);

/// All tensors of a file. Throws kFormat naming file and tensor.
void check_finite(const SafetensorsFile& file);
/// Of one tensor, where `wrong` is not empty.
void refuse_if(const std::string& wrong, const SafetensorsFile& file, const std::string& tensor);

}  // namespace fabula::train
