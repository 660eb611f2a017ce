// A kernel at which the driver's compiler crashes, or which it spills, gives way to another variant where there is one.
#include <gtest/gtest.h>

#include "graph/workload.hpp"
#include "ops/op_table.hpp"
#include "support/imitated_device.hpp"

namespace fabula::graph {
namespace {

class KernelFaultsTest : public testing::Test {
 protected:
  KernelFaultsTest() : graph_(ops::op_table()) {
    graph_.keep(graph_.op1("matmul", {graph_.state("a", {256, 256}), graph_.state("b", {256, 256})}));
    const vk::DeviceProfile clean = test::imitated_device("vega");
    variants_ = variants_of(graph_, graph_.nodes().front(), clean);
  }
  /// The kernels of one variant, as faults name them.
  std::string kernel(std::size_t variant) const {
    const auto keys = kernels_of(graph_, graph_.nodes().front(), test::imitated_device("vega"), variants_.at(variant));
    EXPECT_FALSE(keys.empty());
    return to_string(keys.front());
  }
  std::string lowered(const vk::KernelFaults& faults, const KernelChoices& choices = {}) const {
    vk::DeviceProfile profile = test::imitated_device("vega");
    profile.faults = faults;
    Workload workload(Target{profile, choices});
    workload.add("product", graph_);
    return workload.graphs().front().program.steps.front().shader;
  }
  static std::string shader(const std::string& kernel) { return kernel.substr(0, kernel.find('(')); }

  Graph graph_;
  std::vector<std::string> variants_;
};

TEST_F(KernelFaultsTest, TheNextVariantIsTaken) {
  ASSERT_GE(variants_.size(), 2u);
  EXPECT_EQ(lowered({}), shader(kernel(0)));
  EXPECT_EQ(lowered({{kernel(1), 5}}), shader(kernel(0)));
  EXPECT_EQ(lowered({{kernel(0), 0}}), shader(kernel(0))) << "looked at, and without fault";
  EXPECT_EQ(lowered({{kernel(0), 5}}), shader(kernel(1)));
  EXPECT_EQ(lowered({{kernel(0), vk::kCrashes}}), shader(kernel(1)));
}

TEST_F(KernelFaultsTest, TheFewestFaultsWinWhereAllHaveSome) {
  vk::KernelFaults faults;
  for (std::size_t v = 0; v < variants_.size(); ++v) faults[kernel(v)] = v == 0 ? vk::kCrashes : 10 + v;
  EXPECT_EQ(lowered(faults), shader(kernel(1)));
  for (auto& [name, fault] : faults) fault = vk::kCrashes;
  EXPECT_EQ(lowered(faults), shader(kernel(0))) << "nothing is better";
}

TEST_F(KernelFaultsTest, AMeasuredChoiceGivesWayToo) {
  const KernelChoices choices{{node_signature(graph_, graph_.nodes().front(), variants_), variants_.back()}};
  const std::string last = kernel(variants_.size() - 1);
  EXPECT_EQ(lowered({}, choices), shader(last));
  EXPECT_EQ(lowered({{kernel(0), 7}}, choices), shader(last));
  EXPECT_EQ(lowered({{last, vk::kCrashes}}, choices), shader(kernel(0)));
}

}  // namespace
}  // namespace fabula::graph
