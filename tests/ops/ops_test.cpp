// Every case of every op, on this process's device, against the CPU reference; and every gradient rule against central
// differences.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/check.hpp"
#include "graph/program.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {

using graph::OpCase;
using graph::OpEntry;

bool is_set(const OpCase& op_case, const char* attribute) {
  return op_case.attrs.integer_or(attribute, 0) != 0;
}

std::int64_t elements(const OpCase& op_case) {
  std::int64_t sum = 0;
  for (const OpCase::Input& input : op_case.inputs) sum += input.present ? input.shape.count() : 0;
  return sum;
}

/// Kernels that this device can run a case with.
std::vector<std::string> kernels_of(const OpEntry& op, const OpCase& op_case) {
  graph::Graph graph(ops::op_table());
  std::vector<graph::Value> inputs;
  for (const OpCase::Input& input : op_case.inputs) {
    const std::string name = fmt::format("in{}", inputs.size());
    inputs.push_back(!input.present                      ? graph::Value{}
                     : input.dtype == graph::DType::kU32 ? graph.input(name, input.shape, input.dtype)
                                                         : graph.state(name, input.typed()));
  }
  graph.op(op.def->name, inputs, op_case.attrs);
  return graph::variants_of(graph, graph.nodes().front(), device().profile());
}

/// What else than its name makes a kernel another one: the layout and the element type.
std::string configuration(const OpCase& op_case) {
  std::string text = fmt::format(" {}{}", is_set(op_case, "transpose_a"), is_set(op_case, "transpose_b"));
  for (const OpCase::Input& input : op_case.inputs)
    if (graph::is_half(input.dtype)) return text.append(graph::to_string(input.dtype));
  return text;
}

/// Names of the cases in which all kernels are checked, so that each is in every layout and element type: those that
/// offer the most kernels and, of these, the largest below what takes a software driver seconds to run: shapes that
/// cross the edges of tiles.
std::set<std::string> covering_cases(const OpEntry& op, const std::vector<OpCase>& cases) {
  constexpr std::int64_t kMostElements = 200'000;
  struct Offer {
    const OpCase* op_case;
    std::vector<std::string> kernels;
  };
  std::vector<Offer> offers;
  for (const OpCase& op_case : cases)
    if (!op_case.large && elements(op_case) <= kMostElements) offers.push_back({&op_case, kernels_of(op, op_case)});
  std::stable_sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) {
    return std::pair(a.kernels.size(), elements(*a.op_case)) > std::pair(b.kernels.size(), elements(*b.op_case));
  });
  std::set<std::string> names, covered;
  for (const Offer& offer : offers)
    for (const std::string& kernel : offer.kernels)
      if (covered.insert(kernel + configuration(*offer.op_case)).second) names.insert(offer.op_case->name);
  return names;
}

/// How many kernels of a case are checked, the best ones first.
std::size_t kernel_count(const OpCase& op_case, bool fewer) {
  if (fewer || kernels() != Kernels::kAll) return 1;
  // What happens to a product's sum is one include of all its kernels, of which the layouts know nothing: with an
  // activation, those beyond the best are compiled in one layout.
  const bool transposed = is_set(op_case, "transpose_a") || is_set(op_case, "transpose_b");
  return is_set(op_case, "activation") && transposed ? 1 : SIZE_MAX;
}

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

}  // namespace

void register_dynamic_tests() {
  for (const OpEntry& op : ops::op_table().entries()) {
    const std::string name(op.def->name);
    constexpr std::size_t kThinned = 4;  // of the cases in 16 bits one in four
    const std::size_t own = op.cases().size();
    const std::vector<OpCase> cases = graph::cases_of(op);
    std::set<std::string> covering;
    if (kernels() == Kernels::kCovering) covering = covering_cases(op, cases);
    for (std::size_t c = 0; c < cases.size(); ++c) {
      const OpCase& op_case = cases[c];
      const bool fewer = thin() && c >= own, covers = covering.contains(op_case.name);
      if (fewer && (c - own) % kThinned != 0 && !covers) continue;
      const std::size_t variants = covers ? SIZE_MAX : kernel_count(op_case, fewer);
      if (!(op_case.large && quick()))
        testing::RegisterTest(
            ("values_" + name).c_str(), op_case.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
            [&op, op_case, variants]() -> testing::Test* { return new ValueTest(op, op_case, variants); });
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
