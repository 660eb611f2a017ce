#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/check.hpp"

// What a device has computed against what the reference has, for checks. `columns` are those of the device's tensor,
// which repeats the reference's in both directions where it is larger.
namespace fabula::graph {

/// Compares one tensor; notes the first miss and the worst error. Allowed are the case's own tolerance and, of a 16-bit
/// value, the error of storing the reference's number and the distance of subnormal ones; and `inner`, what roundings
/// to 16 bits before that may cost relative to the largest number.
void compare(CheckResult& result, const OpCase& op_case, const std::string& what, std::span<const float> actual,
             std::int64_t columns, const RefTensor<float>& expected, double inner);

/// Compares a tensor of words, which must be equal; notes the first miss.
void compare_words(CheckResult& result, const std::string& what, std::span<const std::uint32_t> actual,
                   std::int64_t columns, const RefTensor<float>& expected);

/// Notes the first element behind a row's last column that is not zero, of the words that a value takes.
void check_padding(CheckResult& result, const std::string& what, const Shape& shape,
                   const std::vector<std::uint32_t>& words);

}  // namespace fabula::graph
