// Every head at a real vocabulary, on the device: the joint distribution over 50,257 tokens sums to one.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/runtime.hpp"
#include "heads/head_of.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {

constexpr std::int64_t kVocabulary = 50257, kHidden = 32, kRows = 2;

struct Kind {
  const char* name;
  HeadConfig head;
  bool tied = false;
};
HeadConfig grouped(HeadModulation modulation, std::int64_t shortlist = 0, std::int64_t prototypes = 1) {
  HeadConfig head;
  head.kind = HeadKind::kGrouped;
  head.bias = true;
  head.modulation = modulation;
  head.rank = 8;
  head.shortlist = shortlist;
  head.prototypes = prototypes;
  return head;
}
HeadConfig one_level(HeadKind kind, bool bias) {
  HeadConfig head;
  head.kind = kind;
  head.bias = bias;
  return head;
}
const Kind kKinds[] = {{"full", one_level(HeadKind::kFull, false)},
                       {"fused_tied_bias", one_level(HeadKind::kFused, true), true},
                       {"adaptive_bias", one_level(HeadKind::kAdaptive, true)},
                       {"scale_shift", grouped(HeadModulation::kScaleShift)},
                       {"low_rank_shortlist", grouped(HeadModulation::kLowRank, 512)},
                       {"per_group_prototypes", grouped(HeadModulation::kPerGroup, 0, 3)},
                       {"per_group_tied_shortlist", grouped(HeadModulation::kPerGroup, 512), true}};

class Distribution : public testing::TestWithParam<Kind> {};

TEST_P(Distribution, SumsToOneOverTheWholeVocabulary) {
  ModelConfig config;
  config.vocab_size = kVocabulary;
  config.hidden = kHidden;
  config.tie_word_embeddings = GetParam().tied;
  config.head = GetParam().head;
  const std::unique_ptr<heads::Head> head = heads::head_of(config);
  graph::Graph graph(ops::op_table());
  const graph::Value log_p = head->log_probs(graph, graph.parameter("h", {kRows, kHidden}));
  graph.keep(log_p);
  graph::Workload workload(device().profile());
  workload.add("decode", std::move(graph));
  graph::Runtime runtime(device(), std::move(workload));
  Philox random(7);
  for (const auto& [name, stored] : runtime.workload().stored()) {
    if (stored.role == graph::Role::kConstant) continue;
    // Logits some units apart, as a trained head's are.
    const double width = name == "h" ? 2 : name.ends_with("weight") ? 0.3 : 1;
    std::vector<float> data(static_cast<std::size_t>(stored.shape.count()));
    for (float& x : data) x = static_cast<float>(width * random.normal());
    runtime.upload(name, data);
  }
  for (const heads::NamedWords& constant : head->constants())
    if (runtime.workload().stored().contains(constant.name)) runtime.upload(constant.name, constant.words);
  runtime.submit({0});
  const std::vector<float> values = runtime.read(0, log_p);
  ASSERT_EQ(values.size(), static_cast<std::size_t>(kRows * kVocabulary));
  for (std::int64_t row = 0; row < kRows; ++row) {
    double sum = 0, largest = 0;
    for (std::int64_t v = 0; v < kVocabulary; ++v) {
      const double p = std::exp(double(values[static_cast<std::size_t>(row * kVocabulary + v)]));
      sum += p;
      largest = std::max(largest, p);
    }
    EXPECT_NEAR(sum, 1, 1e-5) << "row " << row;
    EXPECT_GT(largest, 1e-3) << "a distribution that says something";
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, Distribution, testing::ValuesIn(kKinds),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace fabula::test
