// Attention cut into launches of whole sequences, on a device whose bindings are small.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "graph/check.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {

using graph::CheckResult;
using graph::OpCase;
using graph::OpEntry;

/// Checks one case of an op with bindings of at most `bytes`.
std::vector<CheckResult> check_with_range(const char* op_name, const char* case_name, std::uint64_t bytes) {
  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = bytes;
  profile.limits.max_texel_elements = bytes / 16;
  const OpEntry& op = ops::op_table().find(op_name);
  const std::vector<OpCase> cases = op.cases();
  const auto found = std::find_if(cases.begin(), cases.end(), [&](const OpCase& c) { return c.name == case_name; });
  if (found == cases.end()) throw std::runtime_error(std::string("no case ") + case_name);
  return graph::check_case(device(), ops::op_table(), op, *found, {.repeats = 1, .profile = &profile});
}

// 37 sequences of 5 rows; a row of qkv takes 384 bytes, so 28 KiB hold 74 rows: two sequences and the rows before an
// aligned start.
TEST(Attention, CutsLaunchesAtSequencesThatBeginAnywhere) {
  for (const char* op : {"attention", "attention_backward"}) {
    const auto results = check_with_range(op, "many_sequences", 28 << 10);
    ASSERT_FALSE(results.empty());
    for (const CheckResult& result : results)
      EXPECT_TRUE(result.ok) << op << " " << result.variant << ": " << result.detail;
  }
}

TEST(Attention, NamesTheLimitThatOneSequenceExceeds) {
  for (const CheckResult& result : check_with_range("attention", "head_16", 48 << 10)) {
    EXPECT_FALSE(result.ok);
    EXPECT_NE(result.detail.find("one sequence of 130 positions does not fit a binding of 49152 bytes"),
              std::string::npos)
        << result.detail;
  }
}

}  // namespace
}  // namespace fabula::test
