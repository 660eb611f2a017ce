// What a session decodes is the model: log p through the cache against the whole context at once, alone and in company.
#include "infer/session.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "support/device_main.hpp"
#include "expect_error.hpp"
#include "graph/models.hpp"
#include "models/weights.hpp"
#include "ops/op_table.hpp"

namespace fabula::infer {
namespace {

ModelConfig config_of(ModelFamily family, HeadKind head, HeadModulation modulation = HeadModulation::kScaleShift) {
  ModelConfig config = test::small_config(head);
  config.family = family;
  config.n_positions = 80;
  config.head.modulation = modulation;
  if (family == ModelFamily::kGptNeo) config.window_size = 5;
  if (family == ModelFamily::kLlama) config.hidden = 24, config.heads = 4, config.kv_heads = 2;
  if (head == HeadKind::kAdaptive) config.head.cutoffs = {20, 80};
  return config;
}

std::vector<std::uint32_t> random_ids(std::size_t count, std::uint64_t seed, std::int64_t vocabulary = 143) {
  Philox random(seed);
  std::vector<std::uint32_t> ids;
  while (ids.size() < count) ids.push_back(random.below(static_cast<std::uint32_t>(vocabulary)));
  return ids;
}

/// A model, its session and the same model over a whole context.
class Decoded {
 public:
  Decoded(const ModelConfig& config, SessionOptions options, std::vector<std::uint32_t> never_drawn = {})
      : model_(config), whole_(config.n_positions) {
    graph::Workload workload(test::device().profile());
    SessionGraphs graphs = add_session_graphs(workload, model_, options);
    graph::Graph graph(ops::op_table());
    models::BodyInputs inputs;
    inputs.ids = graph.input("ids", {1, whole_}, graph::DType::kU32);
    log_probs_ = model_.head().log_probs(graph, model_.body().hidden(graph, {1, whole_, false}, inputs));
    graph.keep(log_probs_);
    index_ = workload.add("whole", std::move(graph));
    runtime_.emplace(test::device(), std::move(workload));
    // Distributions far from flat, so that a wrong context shows.
    models::initialise_weights(*runtime_, model_, 5);
    for (const graph::ParameterSpec& spec : model_.parameters()) {
      if (spec.init != graph::Init::kNormal) continue;
      std::vector<float> values(static_cast<std::size_t>(spec.shape.count()));
      runtime_->download(spec.name, values);
      for (float& v : values) v *= 8;
      runtime_->upload(spec.name, values);
    }
    session_.emplace(*runtime_, std::move(graphs), model_, std::move(never_drawn));
  }

  /// log p of the token behind each position of `ids`, [T][V].
  std::vector<std::vector<float>> whole(std::vector<std::uint32_t> ids) {
    const std::size_t n = ids.size();
    ids.resize(static_cast<std::size_t>(whole_), 0);
    runtime_->set_input(index_, "ids", std::span<const std::uint32_t>(ids));
    runtime_->submit({index_});
    const std::vector<float> all = runtime_->read(index_, log_probs_);
    std::vector<std::vector<float>> rows;
    const auto V = model_.head().vocabulary();
    for (std::size_t t = 0; t < n; ++t)
      rows.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(t) * V,
                        all.begin() + static_cast<std::ptrdiff_t>(t + 1) * V);
    return rows;
  }

  Session& session() { return *session_; }
  const models::LanguageModel& model() const { return model_; }

 private:
  models::LanguageModel model_;
  std::int64_t whole_;
  graph::Value log_probs_;
  std::size_t index_ = 0;
  std::optional<graph::Runtime> runtime_;
  std::optional<Session> session_;
};

/// Runs sequences to their ends side by side; what each drew.
std::map<std::size_t, std::vector<SessionToken>> run(Session& session, std::int64_t at_once) {
  std::map<std::size_t, std::vector<SessionToken>> drawn;
  while (session.active() > 0)
    for (SessionToken& token : session.advance(at_once)) drawn[token.slot].push_back(std::move(token));
  return drawn;
}

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double(a[i]) - double(b[i])));
  return worst;
}

struct Kind {
  std::string name;
  ModelConfig config;
};
std::vector<Kind> kinds() {
  using F = ModelFamily;
  using H = HeadKind;
  using M = HeadModulation;
  return {{"gpt2_full", config_of(F::kGpt2, H::kFull)},
          {"gpt_neo_full", config_of(F::kGptNeo, H::kFull)},
          {"gpt2_fused", config_of(F::kGpt2, H::kFused)},
          {"gpt2_grouped", config_of(F::kGpt2, H::kGrouped)},
          {"gpt_neo_low_rank", config_of(F::kGptNeo, H::kGrouped, M::kLowRank)},
          {"gpt2_per_group", config_of(F::kGpt2, H::kGrouped, M::kPerGroup)},
          {"gpt2_adaptive", config_of(F::kGpt2, H::kAdaptive)},
          {"llama_full", config_of(F::kLlama, H::kFull)},
          {"llama_grouped", config_of(F::kLlama, H::kGrouped)}};
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

TEST(Session, TakesPromptsOfEveryLength) {
  Decoded decoded(config_of(ModelFamily::kGptNeo, HeadKind::kFull), {.longest_chunk = 20, .distribution = true});
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
  Decoded alone(config, {}), company(config, {.slots = 32});
  const auto options = [](std::size_t n) {
    return SequenceOptions{.sampler = {.temperature = 1, .seed = n},
                           .max_tokens = static_cast<std::int64_t>(3 + 7 * n % 23)};
  };
  const auto prompt = [](std::size_t n) { return random_ids(1 + 5 * n % 29, 100 + n); };
  std::map<std::size_t, std::vector<SessionToken>> together;  // by sequence
  std::vector<std::size_t> sequence_of(32, 0);
  std::size_t next = 0;
  const std::size_t count = 50;
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
  for (const HeadKind head : {HeadKind::kFull, HeadKind::kGrouped}) {
    const std::size_t one = launches(head, 1), three = launches(head, 3);
    EXPECT_LE((three - one) / 2, 6u);
    EXPECT_LE(one - (three - one) / 2, 5u) << "around the blocks";
  }
}

}  // namespace
}  // namespace fabula::infer

namespace fabula::test {
void register_dynamic_tests() {}
}  // namespace fabula::test
