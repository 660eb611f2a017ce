// What a session decodes is the model: log p through the cache against the whole context at once, alone and in company.
#include "infer/session.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "decode/decoded.hpp"
#include "expect_error.hpp"

namespace fabula::infer {
namespace {

/// Runs sequences to their ends side by side; what each drew.
std::map<std::size_t, std::vector<SessionToken>> run(Session& session, std::int64_t at_once) {
  std::map<std::size_t, std::vector<SessionToken>> drawn;
  while (session.active() > 0)
    for (SessionToken& token : session.advance(at_once)) drawn[token.slot].push_back(std::move(token));
  return drawn;
}

class EveryModel : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Session, EveryModel, testing::ValuesIn(kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(EveryModel, HasTheLogProbabilitiesOfTheWholeContext) {
  Decoded decoded(GetParam().config, {.distribution = true});
  Session& session = decoded.session();
  std::vector<std::uint32_t> ids = random_ids(11, 3);
  session.start(0, ids, {.sampler = {.temperature = 1, .seed = 9}});
  std::vector<std::vector<float>> steps;
  while (session.active() > 0) {
    const SessionToken token = session.advance(1).front();
    steps.push_back(session.log_probs(0));
    EXPECT_NEAR(token.log_prob, steps.back()[token.id], 1e-5);
    ids.push_back(token.id);
  }
  ASSERT_EQ(ids.size(), 80u);  // to the end of the context
  const auto whole = decoded.whole(ids);
  for (std::size_t i = 0; i < steps.size(); ++i)
    ASSERT_LE(worst_difference(steps[i], whole[10 + i]), 1e-4) << "behind position " << 10 + i;
}

TEST_P(EveryModel, ScoresPromptsAsTheWholeContextDoes) {
  Decoded decoded(GetParam().config, {.longest_chunk = 40, .distribution = true, .score = true});
  Session& session = decoded.session();
  const std::vector<std::uint32_t> ids = random_ids(47, 6);
  const auto whole = decoded.whole(ids);
  std::size_t seen = 0;
  const OnDistribution compare = [&](std::size_t position, std::span<const float> log_probs) {
    ASSERT_EQ(position, seen++);
    ASSERT_LE(worst_difference({log_probs.begin(), log_probs.end()}, whole[position]), 1e-4) << position;
  };
  session.score(0, ids, compare);
  EXPECT_EQ(seen, ids.size());
  // A text goes on from a prompt that was scored as from any other.
  seen = 0;
  session.start(0, ids, {}, compare);
  EXPECT_EQ(seen, ids.size() - 1);
  session.advance(1);
  EXPECT_LE(worst_difference(session.log_probs(0), whole.back()), 1e-4);
}

TEST(Session, TakesPromptsOfEveryLength) {
  Decoded decoded(config_of(ModelFamily::kGptNeo, HeadKind::kFull), {.longest_chunk = 40, .distribution = true});
  Session& session = decoded.session();
  const std::vector<std::uint32_t> ids = random_ids(80, 4);
  const auto whole = decoded.whole(ids);
  for (std::size_t n = 1; n <= 70; ++n) {
    session.start(0, std::span(ids).first(n), {});
    session.advance(1);
    ASSERT_LE(worst_difference(session.log_probs(0), whole[n - 1]), 1e-4) << n;
    session.stop(0);
  }
}

TEST(Session, ATextDoesNotDependOnItsNeighbours) {
  const ModelConfig config = config_of(ModelFamily::kGpt2, HeadKind::kGrouped);
  const std::size_t slots = test::thin() ? 8 : 32, count = test::thin() ? 14 : 50;
  Decoded alone(config, {}), company(config, {.slots = static_cast<std::int64_t>(slots)});
  const auto options = [](std::size_t n) {
    return SequenceOptions{.sampler = {.temperature = 1, .seed = n},
                           .max_tokens = static_cast<std::int64_t>(3 + 7 * n % 23)};
  };
  const auto prompt = [](std::size_t n) { return random_ids(1 + 5 * n % 29, 100 + n); };
  std::map<std::size_t, std::vector<SessionToken>> together;  // by sequence
  std::vector<std::size_t> sequence_of(slots, 0);
  std::size_t next = 0;
  while (next < count || company.session().active() > 0) {
    // One or two begin at a time, so that they are all at different places.
    for (int i = 0; i < 2 && next < count; ++i)
      if (const auto slot = company.session().free_slot()) {
        company.session().start(*slot, prompt(next), options(next));
        sequence_of[*slot] = next++;
      }
    for (SessionToken& token : company.session().advance(1 + static_cast<std::int64_t>(next) % 3))
      together[sequence_of[token.slot]].push_back(std::move(token));
  }
  for (std::size_t n = 0; n < count; n += 3) {
    alone.session().start(0, prompt(n), options(n));
    const auto drawn = run(alone.session(), 16)[0];
    ASSERT_EQ(drawn.size(), together[n].size()) << n;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      ASSERT_EQ(drawn[i].id, together[n][i].id) << n << ", " << i;
      ASSERT_EQ(drawn[i].log_prob, together[n][i].log_prob) << n << ", " << i;
    }
    EXPECT_EQ(drawn.back().end, EndReason::kLength);
  }
}

/// Starts for prompts of these lengths in the slots 0, 1, ...
struct Starts {
  explicit Starts(const std::vector<std::size_t>& lengths) {
    for (std::size_t slot = 0; slot < lengths.size(); ++slot) prompts.push_back(random_ids(lengths[slot], 30 + slot));
    for (std::size_t slot = 0; slot < lengths.size(); ++slot)
      all.push_back({.slot = slot,
                     .prompt = prompts[slot],
                     .options = {.sampler = {.temperature = 1, .seed = slot}, .max_tokens = 3}});
  }
  std::vector<std::vector<std::uint32_t>> prompts;
  std::vector<SequenceStart> all;
};

TEST_P(EveryModel, ReadsPromptsSideBySideAsItReadsEachAlone) {
  // Of every length of chunks, more at once than a graph takes, whole ones and parts.
  const std::vector<std::size_t> lengths{1, 2, 9, 17, 33, 9, 41, 8, 78, 5, 26, 12};
  const Starts starts(lengths);
  Decoded alone(GetParam().config, {});
  Decoded company(GetParam().config, {.slots = static_cast<std::int64_t>(lengths.size())});
  company.session().start(starts.all);
  EXPECT_EQ(company.session().active(), lengths.size());
  auto together = run(company.session(), 1);
  for (std::size_t slot = 0; slot < lengths.size(); slot += test::thin() ? 3 : 1) {
    SequenceStart own = starts.all[slot];
    own.slot = 0;
    alone.session().start(std::span(&own, 1));
    const auto drawn = run(alone.session(), 1)[0];
    ASSERT_EQ(drawn.size(), together[slot].size());
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      EXPECT_EQ(drawn[i].id, together[slot][i].id) << slot << ", " << i;
      EXPECT_EQ(drawn[i].log_prob, together[slot][i].log_prob) << slot << ", " << i;
    }
  }
}

TEST(Session, PromptsOfManyTakeTheSubmissionsOfOne) {
  Decoded decoded(config_of(ModelFamily::kGpt2, HeadKind::kGrouped), {.slots = 8}, {3, 4});
  const auto submissions = [&](const std::vector<std::size_t>& lengths) {
    const Starts starts(lengths);
    for (std::size_t slot = 0; slot < 8; ++slot) decoded.session().stop(slot);
    const std::uint64_t before = decoded.submissions();
    decoded.session().start(starts.all);
    const std::uint64_t made = decoded.submissions() - before;
    decoded.session().advance(1);
    return made;
  };
  const std::vector<std::size_t> eight(8, 16);  // 15 are read, in two chunks
  submissions(eight);                           // what is new may be cut: it is not yet known to be short
  EXPECT_LE(submissions(eight), 4u);            // 2, and a slow machine's cuts; one by one they were 16 and more
}

TEST(Session, APromptIsGivenUpBetweenItsChunks) {
  Decoded decoded(config_of(ModelFamily::kGpt2, HeadKind::kFull), {.slots = 2, .longest_chunk = 8});
  Session& session = decoded.session();
  Starts starts({70, 70});
  int asked = 0, asked_other = 0;
  starts.all[0].wanted = [&] { return ++asked < 4; };
  starts.all[1].wanted = [&] { return ++asked_other > 0; };
  session.start(starts.all);
  EXPECT_EQ(asked, 4);  // three chunks of nine were read
  EXPECT_EQ(asked_other, 10);
  EXPECT_FALSE(session.is_active(0));
  ASSERT_TRUE(session.is_active(1));
  const auto drawn = run(session, 4);
  EXPECT_FALSE(drawn.contains(0));
  // Its slot takes another text, which is as it is elsewhere.
  SequenceStart again = starts.all[1];
  again.slot = 0;
  session.start(std::span(&again, 1));
  const auto repeated = run(session, 4);
  ASSERT_EQ(repeated.at(0).size(), drawn.at(1).size());
  for (std::size_t i = 0; i < drawn.at(1).size(); ++i) EXPECT_EQ(repeated.at(0)[i].log_prob, drawn.at(1)[i].log_prob);
}

TEST(Session, BiasesAreThoseOfTheLastText) {
  Decoded decoded(config_of(ModelFamily::kGpt2, HeadKind::kFull), {}, {9});
  Session& session = decoded.session();
  const auto first_with = [&](std::vector<std::pair<std::uint32_t, double>> biases) {
    session.start(0, random_ids(3, 1),
                  {.sampler = {.temperature = 0, .logit_bias = std::move(biases)}, .max_tokens = 1});
    return run(session, 1)[0].front().id;
  };
  const std::uint32_t plain = first_with({});
  EXPECT_EQ(first_with({{7, 1e3}}), 7u);
  EXPECT_EQ(first_with({{7, 1e3}}), 7u);
  EXPECT_EQ(first_with({{8, 1e3}}), 8u);
  EXPECT_EQ(first_with({{9, 1e3}}), plain);
  EXPECT_EQ(first_with({}), plain);
}

TEST(Session, DrawsTheSameHoweverManyTokensGoAtOnce) {
  Decoded decoded(config_of(ModelFamily::kGpt2, HeadKind::kFull), {});
  std::vector<std::vector<SessionToken>> runs;
  for (const std::int64_t at_once : {1, 5, 16}) {
    decoded.session().start(0, random_ids(4, 8), {.sampler = {.temperature = 1.3, .seed = 4}, .max_tokens = 40});
    runs.push_back(run(decoded.session(), at_once)[0]);
  }
  ASSERT_EQ(runs[0].size(), 40u);
  for (const auto& other : runs) {
    ASSERT_EQ(other.size(), runs[0].size());
    for (std::size_t i = 0; i < other.size(); ++i) {
      EXPECT_EQ(other[i].id, runs[0][i].id);
      EXPECT_EQ(other[i].log_prob, runs[0][i].log_prob);
    }
  }
}

TEST(Session, EndsAtAStopTokenAndNeverDrawsWhatIsExcluded) {
  const ModelConfig config = config_of(ModelFamily::kGpt2, HeadKind::kFull);
  std::vector<std::uint32_t> excluded;
  for (std::uint32_t id = 0; id < 143; ++id)
    if (id != 7 && id != 100) excluded.push_back(id);
  Decoded decoded(config, {}, excluded);
  decoded.session().start(0, random_ids(3, 2), {.sampler = {.temperature = 100, .seed = 1}, .stop_ids = {100}});
  const auto drawn = run(decoded.session(), 16)[0];
  for (std::size_t i = 0; i + 1 < drawn.size(); ++i) EXPECT_EQ(drawn[i].id, 7u);
  EXPECT_EQ(drawn.back().id, 100u);
  EXPECT_EQ(drawn.back().end, EndReason::kStopToken);
}

TEST(Session, RefusesWhatDoesNotFit) {
  const ModelConfig config = config_of(ModelFamily::kGpt2, HeadKind::kFull);
  Decoded decoded(config, {.context = 20});
  Session& session = decoded.session();
  const auto start = [&](const std::vector<std::uint32_t>& ids, const SequenceOptions& options) {
    return [&session, ids, options] { session.start(0, ids, options); };
  };
  const auto refused = [](const std::vector<std::string>& words, const auto& call) {
    test::expect_error(ErrorCode::kInvalidArgument, words, call);
  };
  refused({"at least one token"}, start({}, {}));
  refused({"21 tokens", "holds 20"}, start(random_ids(21, 1), {}));
  refused({"id 143", "143 tokens"}, start({1, 143}, {}));
  refused({"temperature"}, start({1}, {.sampler = {.temperature = -1}}));
  refused({"9 tokens", "at most 8"}, start({1}, {.stop_ids = random_ids(9, 1)}));
  refused({"likeliest", "21", "20"}, start({1}, {.top = 21}));
  refused({"bias", "id 200"}, start({1}, {.sampler = {.logit_bias = {{200, 1.0}}}}));
  session.start(0, random_ids(20, 1), {});  // a whole context: one token more is told, and not read
  EXPECT_EQ(run(session, 16)[0].size(), 1u);
}

TEST(Session, AStepIsFewLaunches) {
  const auto launches = [](HeadKind head, std::int64_t layers) {
    ModelConfig config = config_of(ModelFamily::kGpt2, head);
    config.layers = layers;
    graph::Workload workload(test::device().profile());
    const models::LanguageModel model(config);
    const SessionGraphs graphs = add_session_graphs(workload, model, {});
    return workload.graphs()[graphs.steps.front().index].program.steps.size();
  };
  // Around the blocks: embedding, products, log p, and two for a draw. The paper's head has two products.
  for (const auto& [head, around] : {std::pair(HeadKind::kFull, 5u), std::pair(HeadKind::kGrouped, 6u)}) {
    const std::size_t one = launches(head, 1), three = launches(head, 3);
    EXPECT_LE((three - one) / 2, 6u);
    EXPECT_LE(one - (three - one) / 2, around);
  }
}

}  // namespace
}  // namespace fabula::infer

namespace fabula::test {
void register_dynamic_tests() {}
}  // namespace fabula::test
