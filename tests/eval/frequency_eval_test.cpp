// Every head's labels one by one, on this process's device.
#include "eval/frequency_eval.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "base/atomic_file.hpp"
#include "base/philox.hpp"
#include "eval/evaluate.hpp"
#include "expect_error.hpp"
#include "maps/token_counts.hpp"
#include "models/weights.hpp"
#include "temp_dir.hpp"
#include "text/token_file.hpp"
#include "text/train_bpe.hpp"
#include "vk/device.hpp"

namespace fabula::eval {
namespace {

constexpr std::int64_t kVocabulary = 257;  // bytes and the token that ends a document
constexpr std::int64_t kSequence = 9;

struct Kind {
  const char* name;
  HeadConfig head;
  bool tied = false;
};
const Kind kKinds[] = {
    {"full", {.kind = HeadKind::kFull, .bias = true}},
    {"fused_tied", {.kind = HeadKind::kFused, .bias = true}, true},
    {"grouped", {.kind = HeadKind::kGrouped}},
    {"low_rank_prototypes",
     {.kind = HeadKind::kGrouped, .modulation = HeadModulation::kLowRank, .rank = 3, .prototypes = 2}},
    {"per_group_tied_shortlist",
     {.kind = HeadKind::kGrouped, .modulation = HeadModulation::kPerGroup, .shortlist = 11, .group_size = 20},
     true},
    {"class_input", {.kind = HeadKind::kGrouped, .shortlist = 7, .class_input = true}},
    {"adaptive", {.kind = HeadKind::kAdaptive, .bias = true, .cutoffs = {12, 60}}}};

class LabelEvaluationTest : public testing::TestWithParam<Kind> {
 protected:
  static void SetUpTestSuite() {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    folder_.emplace();
    // Letters drawn unevenly: a few are frequent, many bytes never occur.
    Philox random(5);
    std::string text;
    for (int i = 0; i < 400; ++i) text += static_cast<char>('!' + random.below(1 + random.below(90)));
    const std::string_view documents[] = {text};
    const text::Tokenizer tokenizer = text::train_bpe(documents, {.vocab_size = kVocabulary});
    write_file_atomically(*folder_ / "text", text);
    const std::filesystem::path texts[] = {*folder_ / "text"};
    text::prepare_token_file(texts, tokenizer, *folder_ / "tokens", 1);
    tokens_.emplace(*folder_ / "tokens");
  }
  static void TearDownTestSuite() {
    tokens_.reset();
    folder_.reset();
    device_.reset();
  }

  static models::LanguageModel model() {
    ModelConfig config;
    config.vocab_size = kVocabulary;
    config.n_positions = 16;
    config.hidden = 16;
    config.layers = 1;
    config.heads = 2;
    config.tie_word_embeddings = GetParam().tied;
    config.head = GetParam().head;
    return models::LanguageModel(config, {.map = {}, .counts = maps::token_counts(*tokens_)});
  }

  struct Options {
    std::uint32_t batch = 4;
    std::uint64_t log_prob_bytes = kLogProbBytes;
    bool unigram = false;  ///< matrices are zero: the output biases alone decide
  };
  /// Weights large enough for sharp distributions.
  static void set_weights(graph::Runtime& runtime, const models::LanguageModel& model, bool unigram) {
    models::initialise_weights(runtime, model, 1);
    Philox random(7);
    for (const graph::ParameterSpec& spec : model.parameters()) {
      if (spec.init != graph::Init::kNormal) continue;
      std::vector<float> values(static_cast<std::size_t>(spec.shape.count()));
      for (float& v : values) v = unigram ? 0.0f : static_cast<float>(0.7 * random.normal());
      runtime.upload(spec.name, values);
    }
  }
  static std::vector<LabelResult> results(const Options& options, std::uint64_t batches = 0) {
    const models::LanguageModel model = LabelEvaluationTest::model();
    graph::Workload workload(device_->profile());
    const LabelGraphs graphs = add_label_graphs(workload, model, options.batch, kSequence, options.log_prob_bytes);
    EXPECT_GE(graphs.rows, 1);
    EXPECT_LE(static_cast<std::uint64_t>(graphs.rows * kVocabulary * 4),
              std::max<std::uint64_t>(options.log_prob_bytes, kVocabulary * 4));
    graph::Runtime runtime(*device_, std::move(workload));
    set_weights(runtime, model, options.unigram);
    const text::BatchSource source(*tokens_, options.batch, kSequence, 0, text::BatchSource::Order::kSequential);
    std::vector<LabelResult> list;
    evaluate_labels(runtime, graphs, model, source, batches, [&](const LabelResult& r) { list.push_back(r); });
    return list;
  }

  static std::unique_ptr<vk::Device> device_;
  static std::optional<test::TempDir> folder_;
  static std::optional<text::TokenFile> tokens_;
};
std::unique_ptr<vk::Device> LabelEvaluationTest::device_;
std::optional<test::TempDir> LabelEvaluationTest::folder_;
std::optional<text::TokenFile> LabelEvaluationTest::tokens_;

TEST_P(LabelEvaluationTest, EveryTokenButTheFirstIsALabelOnce) {
  const std::vector<LabelResult> list = results({});
  ASSERT_EQ(list.size(), tokens_->size() - 1);
  for (std::size_t i = 0; i < list.size(); ++i) EXPECT_EQ(list[i].label, (*tokens_)[i + 1]) << i;
  const std::vector<LabelResult> part = results({}, 2);
  EXPECT_EQ(part.size(), 2u * 4 * kSequence);
}

TEST_P(LabelEvaluationTest, AgreesWithThePlainEvaluation) {
  FrequencyTable table(maps::token_counts(*tokens_), kVocabulary);
  for (const LabelResult& result : results({})) table.add(result);
  const models::LanguageModel model = LabelEvaluationTest::model();
  graph::Workload workload(device_->profile());
  const models::PlannedLoss graph = add_evaluation_graph(workload, model, 4, kSequence);
  graph::Runtime runtime(*device_, std::move(workload));
  set_weights(runtime, model, false);
  const text::BatchSource source(*tokens_, 4, kSequence, 0, text::BatchSource::Order::kSequential);
  const Evaluation plain = evaluate(runtime, graph, model, source);
  EXPECT_EQ(table.total().labels, plain.positions);
  EXPECT_NEAR(table.total().mean(&LabelSums::loss), plain.loss(), 1e-5 * plain.loss());
  if (plain.has_token) {
    EXPECT_EQ(table.total().token_correct, plain.token_correct);
  }
  if (plain.has_groups) {
    EXPECT_EQ(table.total().group_correct, plain.group_correct);
    EXPECT_EQ(table.total().slot_correct, plain.slot_correct);
    EXPECT_NEAR(table.total().group_loss + table.total().slot_loss, table.total().loss, 1e-5 * table.total().loss);
  }
  // The bands share the labels out.
  LabelSums sum;
  for (const FrequencyBand& band : table.bands()) {
    sum.labels += band.sums.labels;
    sum.loss += band.sums.loss;
    sum.token_correct += band.sums.token_correct;
  }
  EXPECT_EQ(sum.labels, plain.positions);
  EXPECT_NEAR(sum.loss, table.total().loss, 1e-9 * sum.loss);
  EXPECT_EQ(sum.token_correct, table.total().token_correct);
}

// The two ways to a label's probability, and what follows from the joint distribution.
TEST_P(LabelEvaluationTest, TheJointDistributionHasTheHeadsOwnLoss) {
  const models::LanguageModel model = LabelEvaluationTest::model();
  graph::Workload workload(device_->profile());
  const LabelGraphs graphs = add_label_graphs(workload, model, 4, kSequence);
  graph::Runtime runtime(*device_, std::move(workload));
  set_weights(runtime, model, false);
  const text::BatchSource source(*tokens_, 4, kSequence, 0, text::BatchSource::Order::kSequential);
  std::size_t compared = 0, right = 0;
  evaluate_labels(
      runtime, graphs, model, source, 0, [](const LabelResult&) {},
      [&](std::uint64_t, std::uint64_t) {
        const std::vector<float> own = runtime.read(graphs.head, graphs.loss.loss),
                                 joint = runtime.read(graphs.head, graphs.joint_loss),
                                 correct = runtime.read(graphs.head, graphs.joint_correct),
                                 top = runtime.read(graphs.head, graphs.top_log_p);
        for (std::size_t i = 0; i < own.size(); ++i) {
          if (own[i] == 0 && joint[i] == 0) continue;  // no label
          EXPECT_NEAR(joint[i], own[i], 1e-4 * (1 + own[i]));
          EXPECT_GE(top[i], -own[i] - 1e-4);
          if (correct[i] == 1) {
            EXPECT_NEAR(top[i], -own[i], 1e-4 * (1 + own[i]));
            ++right;
          }
          ++compared;
        }
        return true;
      });
  EXPECT_EQ(compared, tokens_->size() - 1);
  EXPECT_GT(right, 0u);
}

TEST_P(LabelEvaluationTest, HowManyAreComputedAtOnceDoesNotMatter) {
  const std::vector<LabelResult> whole = results({});
  for (const Options& options : {Options{.batch = 4, .log_prob_bytes = 1}, Options{.batch = 3},
                                 Options{.batch = 7, .log_prob_bytes = 5 * kVocabulary * 4 + 3}}) {
    const std::vector<LabelResult> other = results(options);
    ASSERT_EQ(other.size(), whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      ASSERT_EQ(other[i].label, whole[i].label) << i;
      EXPECT_NEAR(other[i].loss, whole[i].loss, 1e-4) << i;
      EXPECT_NEAR(other[i].top_probability, whole[i].top_probability, 1e-5) << i;
      EXPECT_EQ(other[i].token_correct, whole[i].token_correct) << i;
      EXPECT_EQ(other[i].group_correct, whole[i].group_correct) << i;
      EXPECT_EQ(other[i].slot_correct, whole[i].slot_correct) << i;
    }
  }
}

// A model that knows the frequencies and nothing else is right as often as it says: its one guess is the most frequent
// token, with that token's share of the text as its probability.
TEST_P(LabelEvaluationTest, TheUnigramModelIsCalibrated) {
  const std::vector<std::uint64_t> counts = maps::token_counts(*tokens_);
  double total = 0, entropy = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count) + 0.1;  // smoothed by a tenth
  for (std::uint64_t i = 1; i < tokens_->size(); ++i)
    entropy -= std::log((static_cast<double>(counts[(*tokens_)[i]]) + 0.1) / total);
  FrequencyTable table(counts, kVocabulary);
  for (const LabelResult& result : results({.unigram = true})) table.add(result);
  const std::uint32_t top = maps::tokens_by_frequency(counts).front();
  const double probability = (static_cast<double>(counts[top]) + 0.1) / total;
  const double hits = static_cast<double>(counts[top] - ((*tokens_)[0] == top ? 1 : 0));
  const auto labels = static_cast<double>(tokens_->size() - 1);
  EXPECT_NEAR(table.total().loss, entropy, 1e-5 * entropy);
  EXPECT_EQ(table.total().token_correct, hits);
  EXPECT_NEAR(table.expected_calibration_error(), std::abs(probability - hits / labels), 1e-5);
  EXPECT_LT(table.expected_calibration_error(), 0.1 * kVocabulary / total + 1 / labels);  // what smoothing takes away
  const ReliabilityBin& bin = table.bins()[static_cast<std::size_t>(probability * 10)];
  EXPECT_EQ(bin.labels, table.total().labels);
  EXPECT_NEAR(bin.probability / labels, probability, 1e-5);
}

// Of the unigram model every row's share is known.
TEST_P(LabelEvaluationTest, TheMassOfChosenRowsIsThatOfTheirShares) {
  const std::vector<std::uint64_t> counts = maps::token_counts(*tokens_);
  const std::vector<std::uint32_t> rows{1, 50, maps::tokens_by_frequency(counts).front(), 256};
  double total = 0, expected = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count) + 0.1;
  for (const std::uint32_t row : rows) expected += (static_cast<double>(counts[row]) + 0.1) / total;
  const models::LanguageModel model = LabelEvaluationTest::model();
  graph::Workload workload(device_->profile());
  const LabelGraphs graphs = add_label_graphs(workload, model, 4, kSequence, kLogProbBytes, rows);
  const models::PlannedLoss plain_graph = add_evaluation_graph(workload, model, 4, kSequence);
  graph::Runtime runtime(*device_, std::move(workload));
  const text::BatchSource source(*tokens_, 4, kSequence, 0, text::BatchSource::Order::kSequential);
  set_weights(runtime, model, true);
  std::size_t labels = 0;
  evaluate_labels(runtime, graphs, model, source, 0, [&](const LabelResult& result) {
    EXPECT_NEAR(result.mass_without_token, expected, 1e-5);
    ++labels;
  });
  EXPECT_EQ(labels, tokens_->size() - 1);
  // With sharp distributions the sums are those of the plain evaluation.
  set_weights(runtime, model, false);
  const Evaluation with_mass = evaluate(runtime, graphs, model, source),
                   plain = evaluate(runtime, plain_graph, model, source);
  EXPECT_EQ(with_mass.positions, plain.positions);
  EXPECT_NEAR(with_mass.loss(), plain.loss(), 1e-5 * plain.loss());
  EXPECT_EQ(with_mass.has_groups, plain.has_groups);
  EXPECT_EQ(with_mass.group_correct, plain.group_correct);
  EXPECT_EQ(with_mass.slot_correct, plain.slot_correct);
  if (plain.has_token) {
    EXPECT_EQ(with_mass.token_correct, plain.token_correct);
  }
  EXPECT_GT(with_mass.mean_mass_without_token(), 0);
  EXPECT_LT(with_mass.mean_mass_without_token(), 1);
}

TEST_P(LabelEvaluationTest, NumbersThatAreNoneAreFound) {
  const models::LanguageModel model = LabelEvaluationTest::model();
  graph::Workload workload(device_->profile());
  const LabelGraphs graphs = add_label_graphs(workload, model, 4, kSequence);
  graph::Runtime runtime(*device_, std::move(workload));
  set_weights(runtime, model, false);
  std::vector<float> bias(16, 0);
  bias[3] = NAN;
  runtime.upload("transformer.ln_f.bias", bias);
  const text::BatchSource source(*tokens_, 4, kSequence, 0, text::BatchSource::Order::kSequential);
  test::expect_error(ErrorCode::kNumeric, {"not finite"},
                     [&] { evaluate_labels(runtime, graphs, model, source, 0, [](const LabelResult&) {}); });
}

INSTANTIATE_TEST_SUITE_P(Heads, LabelEvaluationTest, testing::ValuesIn(kKinds),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace fabula::eval
