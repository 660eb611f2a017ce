#include "train/number_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/fail.hpp"
#include "formats/match_tensors.hpp"

namespace fabula::train {
namespace {

// Of a weight in one step: beyond, the squares that norms are made of are out of float's range.
const double kMostChange = std::sqrt(std::numeric_limits<float>::max());

}  // namespace

std::string wrong_number(std::span<const float> values, Numbers allowed) {
  const auto fits = [&](float value) { return std::isfinite(value) && (allowed == Numbers::kFinite || value >= 0); };
  const auto it = std::find_if_not(values.begin(), values.end(), fits);
  if (it == values.end()) return {};
  return fmt::format("number {} is {}; {}", it - values.begin(), *it,
                     std::isfinite(*it) ? "a second moment is never negative" : "weights and moments are finite");
}

std::string wrong_moments(std::span<const float> m, std::span<const float> v, const std::array<float, 8>& hyper) {
  const double rate = hyper[0], beta1 = hyper[1], beta2 = hyper[2], epsilon = hyper[3];
  const double correction1 = hyper[4], correction2 = hyper[5];
  for (std::size_t i = 0; i < m.size(); ++i) {
    if (m[i] == 0) continue;
    const double step = rate / correction1 * beta1 * m[i] / (std::sqrt(beta2 * v[i] / correction2) + epsilon);
    if (!(std::abs(step) <= kMostChange))
      return fmt::format("number {} is {} with a second moment of {}: the next step would change its weight by {:.1e}",
                         i, m[i], v[i], step);
  }
  return {};
}

TensorSource checked(TensorSource source, Numbers allowed) {
  const std::string name = source.name;
  return {name, source.shape, [=, fetch = std::move(source.fetch)](std::int64_t first, std::span<float> out) {
            fetch(first, out);
            if (const std::string wrong = wrong_number(out, allowed); !wrong.empty())
              fail(ErrorCode::kNumeric, "tensor \"{}\", from number {} on: {}", name, first, wrong);
          }};
}

void refuse_if(const std::string& wrong, const SafetensorsFile& file, const std::string& tensor) {
  if (wrong.empty()) return;
  fail(ErrorCode::kFormat,
       "{}: tensor \"{}\": {}. Nothing was changed; restore the folder from a copy, or start anew in another",
       file.path().string(), tensor, wrong);
}

void check_finite(const SafetensorsFile& file) {
  std::vector<float> piece;
  for (const std::string& name : file.names()) {
    if (!holds_weights(file.info(name).dtype)) continue;  // a group map
    const std::int64_t count = file.info(name).elements;
    for (std::int64_t first = 0; first < count; first += kTensorPieceElements) {
      piece.resize(static_cast<std::size_t>(std::min(kTensorPieceElements, count - first)));
      file.read_f32(name, piece, first);
      refuse_if(wrong_number(piece, Numbers::kFinite), file, name);
    }
  }
}

}  // namespace fabula::train
