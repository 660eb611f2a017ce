// Weights in fewer bits: a session reads them as the graphs over a whole context do, and both are near the model in
// fp32.
#include <gtest/gtest.h>

#include "decode/decoded.hpp"

namespace fabula::infer {
namespace {

struct Stored {
  Kind kind;
  weights::Format format;
  double most;  ///< that log p may differ by from fp32
};

std::vector<Stored> all() {
  std::vector<Kind> of = kinds();
  for (const HeadModulation modulation : {HeadModulation::kScaleShift, HeadModulation::kPerGroup}) {
    Kind tied{modulation == HeadModulation::kPerGroup ? "tied_per_group" : "tied_shortlist",
              config_of(ModelFamily::kGpt2, HeadKind::kGrouped, modulation)};
    tied.config.tie_word_embeddings = true;
    tied.config.head.shortlist = 17;
    tied.config.head.map = GroupMap::kIdRanges;
    of.push_back(tied);
  }
  Kind untied{"gpt2_untied", config_of(ModelFamily::kGpt2, HeadKind::kFull)};
  untied.config.tie_word_embeddings = false;
  of.push_back(untied);
  Kind wide{"gpt2_wide", config_of(ModelFamily::kGpt2, HeadKind::kFull)};
  wide.config.hidden = 72;  // rows of two blocks and a quarter
  of.push_back(wide);
  std::vector<Stored> result;
  for (const Kind& kind : of) {
    result.push_back({kind, weights::Format::kFp16, 0.05});
    result.push_back({kind, weights::Format::kInt8, 0.5});
  }
  result.push_back({of.front(), weights::Format::kBf16, 0.4});
  for (const Kind& kind : of)
    if (kind.name == "tied_shortlist" || kind.name == "gpt2_wide") result.push_back({kind, weights::Format::kInt4, 20});
  return result;
}

std::string name_of(const Stored& stored) {
  return stored.kind.name + "_" + std::string(weights::kFormatNames[static_cast<std::size_t>(stored.format)]);
}

class SmallWeights : public testing::TestWithParam<Stored> {};
INSTANTIATE_TEST_SUITE_P(Session, SmallWeights, testing::ValuesIn(all()),
                         [](const auto& stored) { return name_of(stored.param); });

TEST_P(SmallWeights, AreReadAlikeByStepsPromptsAndWholeContexts) {
  Decoded decoded(GetParam().kind.config, {.longest_chunk = 20, .distribution = true}, {}, GetParam().format);
  Decoded in_full(GetParam().kind.config, {});
  std::vector<std::uint32_t> ids = random_ids(33, 3);  // a chunk of many rows and one of few
  Session& session = decoded.session();
  session.start(0, ids, {.sampler = {.temperature = 1, .seed = 9}, .max_tokens = 12});
  std::vector<std::vector<float>> steps;
  while (session.active() > 0) {
    const SessionToken token = session.advance(1).front();
    steps.push_back(session.log_probs(0));
    ids.push_back(token.id);
  }
  const auto whole = decoded.whole(ids), exact = in_full.whole(ids);
  double difference = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_LE(worst_difference(steps[i], whole[32 + i]), 1e-4) << "behind position " << 32 + i;
    difference = std::max(difference, worst_difference(whole[32 + i], exact[32 + i]));
  }
  EXPECT_LE(difference, GetParam().most);
  EXPECT_GT(difference, 0);  // they are other weights
  RecordProperty("difference", std::to_string(difference));
}

}  // namespace
}  // namespace fabula::infer
