// Every case of every op, on this process's device, against the CPU reference; and every gradient rule against central
// differences.
#include <gtest/gtest.h>

#include "graph/check.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {

using graph::OpCase;
using graph::OpEntry;

class ValueTest : public testing::Test {
 public:
  ValueTest(const OpEntry& op, OpCase op_case, std::size_t variants)
      : op_(op), case_(std::move(op_case)), variants_(variants) {}
  void TestBody() override {
    const auto results =
        graph::check_case(device(), ops::op_table(), op_, case_, {.repeats = 2, .variants = variants_});
    ASSERT_FALSE(results.empty());
    for (const graph::CheckResult& result : results)
      EXPECT_TRUE(result.ok) << result.op << "/" << result.case_name << " variant '" << result.variant
                             << "': " << result.detail;
  }

 private:
  const OpEntry& op_;
  OpCase case_;
  std::size_t variants_;
};

class GradientTest : public testing::Test {
 public:
  GradientTest(const OpEntry& op, OpCase op_case) : op_(op), case_(std::move(op_case)) {}
  void TestBody() override {
    const graph::CheckResult result = graph::check_gradient(ops::op_table(), op_, case_);
    EXPECT_TRUE(result.ok) << result.op << "/" << result.case_name << ": " << result.detail;
  }

 private:
  const OpEntry& op_;
  OpCase case_;
};

/// How many kernels of a case are checked, the best ones first.
std::size_t kernels_of(const OpCase& op_case, bool fewer) {
  if (fewer || best_only()) return 1;
  // What happens to a product's sum is one include of all its kernels, of which the layouts know nothing: with an
  // activation, those beyond the best are compiled in one layout.
  const auto set = [&](const char* attribute) { return op_case.attrs.integer_or(attribute, 0) != 0; };
  if (set("activation") && (set("transpose_a") || set("transpose_b"))) return 1;
  return SIZE_MAX;
}

}  // namespace

void register_dynamic_tests() {
  for (const OpEntry& op : ops::op_table().entries()) {
    const std::string name(op.def->name);
    constexpr std::size_t kThinned = 4;  // of the cases in 16 bits one in four
    const std::size_t own = op.cases().size();
    const std::vector<OpCase> cases = graph::cases_of(op);
    for (std::size_t c = 0; c < cases.size(); ++c) {
      const OpCase& op_case = cases[c];
      const bool fewer = thin() && c >= own;
      if (fewer && (c - own) % kThinned != 0) continue;
      if (!(op_case.large && quick()))
        testing::RegisterTest(("values_" + name).c_str(), op_case.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [&op, op_case, fewer]() -> testing::Test* {
                                return new ValueTest(op, op_case, kernels_of(op_case, fewer));
                              });
      if (op.def->grad && op_case.gradient && !op_case.large)
        testing::RegisterTest(("gradient_" + name).c_str(), op_case.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [&op, op_case]() -> testing::Test* { return new GradientTest(op, op_case); });
    }
  }
}

TEST(OpTable, EveryOpHasCasesAndAReference) {
  ASSERT_FALSE(ops::op_table().entries().empty());
  for (const OpEntry& op : ops::op_table().entries()) {
    EXPECT_FALSE(op.cases().empty()) << op.def->name;
    EXPECT_NE(op.reference_f32, nullptr) << op.def->name;
    EXPECT_NE(op.def->lower, nullptr) << op.def->name;
  }
}

}  // namespace fabula::test
