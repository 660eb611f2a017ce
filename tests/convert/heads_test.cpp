// A model with another head: what stays as it is, what is lost, what training makes of it, what is refused.
#include "convert/heads.hpp"

#include <cmath>
#include <set>

#include "convert/convert.hpp"
#include "convert/head_choice.hpp"
#include "convert/hidden_vectors.hpp"
#include "eval/evaluate.hpp"
#include "expect_error.hpp"
#include "formats/match_tensors.hpp"
#include "heads/grouped.hpp"
#include "log_capture.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"
#include "train/start_from.hpp"
#include "train/training.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using Overrides = std::vector<std::string>;
using Numbers = std::map<std::string, std::vector<float>>;

constexpr const char* kConfig =
    R"({"model_type": "gpt2", "vocab_size": 280, "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2,
  "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0, "head": "fused",
  "train": {"batch_size": 8, "steps": 150, "learning_rate": 2e-2, "warmup_steps": 10, "save_every": 0,
            "eval_every": 0, "sample_every": 0}})";
const Overrides kUntied{"tie_word_embeddings=false", "train.steps=40"};
const Overrides kUnbiased{"head=full", "train.steps=40"};
constexpr std::int64_t kPositions = 1000;

class Heads : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    folder_ = std::make_unique<test::TempDir>();
    train("source", {});
    tokens_ = std::make_unique<text::TokenFile>(path("source") / "data" / "train.tokens");
    valid_ = std::make_unique<text::TokenFile>(path("source") / "data" / "valid.tokens");
  }
  static void TearDownTestSuite() {
    valid_.reset();
    tokens_.reset();
    folder_.reset();
    device_.reset();
  }
  static fs::path path(const std::string& name) { return *folder_ / name; }
  static graph::Target target() { return {device_->profile(), {}}; }

  /// Trains with the built-in stories, from another folder's weights where one is named.
  static std::string train(const std::string& run, const Overrides& overrides, const std::string& from = {},
                           const std::string& config_file = {}) {
    const test::LogCapture log;
    RunConfig config =
        config_file.empty() ? parse_config(kConfig, "config", overrides) : load_config(path(config_file), overrides);
    train::RunFolder folder(path(run));
    train::DataOptions data_options{.corpus_seed = 1, .corpus_stories = 120};
    std::optional<train::StartFrom> start;
    if (!from.empty()) {
      start.emplace(path(from), fs::path());
      data_options.tokenizer = start->tokenizer_for(config);
      data_options.from = &*start;
    }
    const train::DataSet data = train::open_data(data_options, config, folder.path());
    train::TrainOptions options;
    options.from = data_options.from;
    train::Trainer(*device_, config, data, folder, options).run();
    return log.text();
  }
  static void train_once(const std::string& run, const Overrides& overrides) {
    if (!fs::exists(path(run))) train(run, overrides);
  }

  static ConvertedHead convert(const std::string& from, const std::string& out, const std::string& head,
                               const Overrides& overrides = {}, bool overwrite = false) {
    const test::LogCapture log;
    const infer::ModelFolder folder(path(from));
    const RunConfig config = config_with_head(folder.config(), from, head, overrides);
    return convert_head(folder, config, {.out = path(out), .overwrite = overwrite, .positions = kPositions}, *device_,
                        target(), *tokens_);
  }

  /// Of a model's files, in the model's orientation.
  static Numbers numbers(const std::string& name) {
    const ModelTensors tensors = ModelTensors::open(path(name));
    Numbers result;
    for (const std::string& tensor : tensors.names()) {
      if (!holds_weights(tensors.info(tensor).dtype)) continue;
      result[tensor].resize(static_cast<std::size_t>(tensors.info(tensor).elements));
      tensors.read_f32(tensor, result[tensor]);
    }
    return result;
  }

  /// log p of every token after each of the first tokens of the text. [16, V]
  static std::vector<float> log_probs(const std::string& name) {
    const infer::ModelFolder folder(path(name));
    const models::LanguageModel& model = folder.model();
    std::vector<std::uint32_t> ids(16);
    valid_->read(0, ids);
    graph::Graph graph(ops::op_table());
    const models::BodyInputs inputs = models::token_inputs(graph, model, 16, heads::LossUse::kValue);
    const graph::Value log_p =
        model.head().log_probs(graph, model.body().hidden(graph, {1, 16, false, graph::DType::kF32}, inputs));
    graph.keep(log_p);
    graph::Workload workload(target());
    const std::size_t index = workload.add("log p", std::move(graph));
    graph::Runtime runtime(*device_, std::move(workload));
    folder.load_weights(runtime);
    models::set_inputs(runtime, index, models::token_words(model, ids, heads::LossUse::kValue));
    runtime.submit({index});
    return runtime.read(index, log_p);
  }

  static double perplexity(const std::string& name) {
    const infer::ModelFolder folder(path(name));
    const text::BatchSource source(*valid_, 8, 16, 0, text::BatchSource::Order::kSequential);
    graph::Workload workload(target());
    const models::PlannedLoss graph = eval::add_evaluation_graph(workload, folder.model(), 8, 16);
    graph::Runtime runtime(*device_, std::move(workload));
    folder.load_weights(runtime);
    return eval::evaluate(runtime, graph, folder.model(), source).perplexity();
  }

  static void expect_near(const std::vector<float>& left, const std::vector<float>& right, double tolerance) {
    ASSERT_EQ(left.size(), right.size());
    double most = 0;
    for (std::size_t i = 0; i < left.size(); ++i) most = std::max(most, std::abs(double{left[i]} - right[i]));
    EXPECT_LT(most, tolerance);
  }

  /// p(token | its group) is to the bit of rounding what the full head says, and every distribution sums to one.
  static void expect_same_within_groups(const std::string& full, const std::string& grouped) {
    const TokenMap map = read_token_map(path(grouped) / kTokenMapFile, 280);
    const std::vector<float> was = log_probs(full), is = log_probs(grouped);
    ASSERT_EQ(was.size(), is.size());
    double most = 0;
    for (std::size_t n = 0; n < 16; ++n) {
      const auto mass = [&](const std::vector<float>& log_p, const std::vector<std::uint32_t>& tokens) {
        double sum = 0;
        for (const std::uint32_t token : tokens) sum += std::exp(double{log_p[n * 280 + token]});
        return sum;
      };
      double total = mass(is, map.shortlist);
      for (const auto& group : map.groups) {
        const double old_mass = std::log(mass(was, group)), new_mass = std::log(mass(is, group));
        for (const std::uint32_t token : group)
          most = std::max(most, std::abs((was[n * 280 + token] - old_mass) - (is[n * 280 + token] - new_mass)));
        total += mass(is, group);
      }
      EXPECT_NEAR(total, 1, 1e-5);
      // Tokens of the shortlist keep their odds against each other.
      for (const std::uint32_t token : map.shortlist)
        most = std::max(most, std::abs(double{was[n * 280 + token] - was[n * 280 + map.shortlist[0]]} -
                                       double{is[n * 280 + token] - is[n * 280 + map.shortlist[0]]}));
    }
    EXPECT_LT(most, 1e-4);
  }

  static std::unique_ptr<vk::Device> device_;
  static std::unique_ptr<test::TempDir> folder_;
  static std::unique_ptr<text::TokenFile> tokens_, valid_;
};
std::unique_ptr<vk::Device> Heads::device_;
std::unique_ptr<test::TempDir> Heads::folder_;
std::unique_ptr<text::TokenFile> Heads::tokens_, Heads::valid_;

TEST_F(Heads, InputsStayAndProbabilitiesNearlyDo) {
  const std::string config_before = train::bytes_of(path("source") / "config.json"),
                    weights_before = train::bytes_of(path("source") / kWeightsFile);
  const ConvertedHead head = convert("source", "grouped", "grouped");
  EXPECT_EQ(head.was, "fused, tied, bias");
  EXPECT_EQ(head.is, "grouped per_group, shortlist 17, 8 groups of 34, clustered, class vectors at the input, tied");
  ASSERT_EQ(head.tried.size(), 4u);
  for (const TriedScores& tried : head.tried) EXPECT_LE(head.tried[head.best].cost, tried.cost) << tried.way;
  ASSERT_EQ(head.maps.size(), 2u);
  for (const TriedScores& map : head.maps) EXPECT_LE(head.maps[head.map].cost, map.cost) << map.way;
  EXPECT_EQ(head.maps[head.map].cost, head.tried[head.best].cost);

  const TokenMap map = read_token_map(path("grouped") / kTokenMapFile, 280);
  const Numbers was = numbers("source"), is = numbers("grouped");
  std::vector<float> inputs = is.at("transformer.wte.weight");
  for (std::size_t g = 0; g < map.groups.size(); ++g)
    for (const std::uint32_t token : map.groups[g])
      for (std::size_t d = 0; d < 16; ++d) inputs[token * 16 + d] += is.at("lm_head.group.weight")[g * 16 + d];
  EXPECT_NE(is.at("transformer.wte.weight"), was.at("transformer.wte.weight"));
  expect_near(inputs, was.at("transformer.wte.weight"), 1e-6);
  for (const auto& [name, values] : was)
    if (name.starts_with("transformer.") && name != "transformer.wte.weight") {
      EXPECT_EQ(values, is.at(name)) << name;
    }
  expect_near(hidden_vectors(*device_, target(), infer::ModelFolder(path("grouped")), *valid_, 500, 1),
              hidden_vectors(*device_, target(), infer::ModelFolder(path("source")), *valid_, 500, 1), 1e-4);
  expect_same_within_groups("source", "grouped");

  EXPECT_EQ(train::bytes_of(path("source") / "config.json"), config_before);
  EXPECT_EQ(train::bytes_of(path("source") / kWeightsFile), weights_before);
}

TEST_F(Heads, PerplexityIsNearAndFarBelowAFreshHeads) {
  if (!fs::exists(path("grouped"))) convert("source", "grouped", "grouped");
  train("fresh", {"train.steps=1", "train.learning_rate=0", "train.warmup_steps=0"}, "source", "grouped");
  const double source = perplexity("source"), grouped = perplexity("grouped"), fresh = perplexity("fresh");
  EXPECT_LT(source, 40);
  EXPECT_LT(grouped, 1.1 * source);
  // "fresh" has the map and the shapes, and of the source only what fits by name: the body.
  EXPECT_GT(fresh, 1.3 * grouped);
}

TEST_F(Heads, TrainingGoesOnFromIt) {
  if (!fs::exists(path("grouped"))) convert("source", "grouped", "grouped");
  const std::string said = train("tuned", {"train.steps=60", "train.learning_rate=5e-3"}, "grouped", "grouped");
  EXPECT_NE(said.find("the token map is that of"), std::string::npos) << said;
  EXPECT_EQ(said.find("fresh"), std::string::npos) << said;
  EXPECT_EQ(train::bytes_of(path("tuned") / kTokenMapFile), train::bytes_of(path("grouped") / kTokenMapFile));
  EXPECT_LT(perplexity("tuned"), perplexity("grouped"));
}

TEST_F(Heads, RowsOfTheirOwnAndNoClassVectors) {
  train_once("untied", kUntied);
  EXPECT_EQ(convert("untied", "own", "grouped").is,
            "grouped per_group, shortlist 17, 8 groups of 34, clustered, class vectors at the input");
  expect_same_within_groups("untied", "own");
  const Overrides plain{"head.class_input=false", "head.shortlist=0", "head.group_size=40"};
  EXPECT_EQ(convert("untied", "plain", "grouped", plain).is, "grouped per_group, 7 groups of 40, clustered");
  expect_same_within_groups("untied", "plain");
  EXPECT_EQ(numbers("plain").at("transformer.wte.weight"), numbers("untied").at("transformer.wte.weight"));
  // A head without a bias, and other maps.
  train_once("unbiased", kUnbiased);
  for (const std::string map : {"frequency", "id_ranges", "random"}) {
    convert("unbiased", map, "grouped", {"head.map=" + map});
    expect_same_within_groups("unbiased", map);
  }
  convert("unbiased", "by_mass", "grouped", {"head.group_size=null", "head.group_sizes=mass"});
  expect_same_within_groups("unbiased", "by_mass");
}

TEST_F(Heads, AnAdaptiveHeadReadsRareTokensThroughLess) {
  const Overrides wide{"head.div_value=1", "head.cutoffs=[20, 90]"};
  EXPECT_EQ(convert("source", "wide", "adaptive", wide).is, "adaptive, cutoffs 20 90, bias");
  expect_same_within_groups("source", "wide");  // its projections are whole
  EXPECT_LT(perplexity("wide"), 1.1 * perplexity("source"));
  const Overrides narrow{"head.div_value=2", "head.class_input=true"};
  convert("source", "narrow", "adaptive", narrow);
  expect_near(hidden_vectors(*device_, target(), infer::ModelFolder(path("narrow")), *valid_, 500, 1),
              hidden_vectors(*device_, target(), infer::ModelFolder(path("source")), *valid_, 500, 1), 1e-4);
  train("narrow_fresh", {"train.steps=1", "train.learning_rate=0", "train.warmup_steps=0"}, "source", "narrow");
  EXPECT_LT(perplexity("wide"), perplexity("narrow"));
  EXPECT_LT(1.2 * perplexity("narrow"), perplexity("narrow_fresh"));
  train("narrow_tuned", {"train.steps=60", "train.learning_rate=5e-3"}, "narrow", "narrow");
  EXPECT_LT(perplexity("narrow_tuned"), perplexity("narrow"));
}

TEST_F(Heads, FullAndFusedAreOneModel) {
  const auto same_bits = [](const std::string& left, const std::string& right) {
    EXPECT_EQ(log_probs(left), log_probs(right)) << left << " " << right;
  };
  EXPECT_EQ(convert("source", "full", "full").is, "full, tied, bias");
  EXPECT_EQ(convert("full", "fused", "fused").is, "fused, tied, bias");
  EXPECT_EQ(numbers("fused"), numbers("source"));
  same_bits("source", "full");
  same_bits("source", "fused");
  train_once("unbiased", kUnbiased);
  EXPECT_EQ(convert("unbiased", "unbiased_fused", "fused").is, "fused, tied");
  same_bits("unbiased", "unbiased_fused");
  // What the new head has more starts as nothing, and as a copy.
  EXPECT_EQ(convert("unbiased", "zeros", R"({"kind": "fused", "bias": true})").is, "fused, tied, bias");
  same_bits("unbiased", "zeros");
  EXPECT_EQ(convert("source", "copied", "full", {"tie_word_embeddings=false"}).is, "full, bias");
  same_bits("source", "copied");
  // No text and no device are needed.
  const infer::ModelFolder folder(path("source"));
  convert_head(folder, config_with_head(folder.config(), "source", "full", {}), {.out = path("alone")});
  EXPECT_EQ(numbers("alone"), numbers("source"));
}

TEST_F(Heads, NarrowTensorsStaySoWhereNothingIsLost) {
  const auto types = [](const std::string& name) {
    std::set<TensorDtype> found;
    const ModelTensors tensors = ModelTensors::open(path(name));
    for (const std::string& tensor : tensors.names()) found.insert(tensors.info(tensor).dtype);
    found.erase(TensorDtype::kI32);  // of maps
    return found;
  };
  import_model({.source = path("source"), .out = path("halves"), .type = WeightType::kF16});
  convert("halves", "untied_halves", "full", {"tie_word_embeddings=false"});
  EXPECT_EQ(types("untied_halves"), std::set{TensorDtype::kF16});
  EXPECT_EQ(numbers("untied_halves").at("transformer.wte.weight"), numbers("halves").at("transformer.wte.weight"));
  convert("halves", "grouped_halves", "grouped");
  EXPECT_EQ(types("grouped_halves"), std::set{TensorDtype::kF32});
}

TEST_F(Heads, AHeadOfAConfigFile) {
  const std::string file = path("other.json").string();
  std::ofstream(file) << R"({"model_type": "gpt2", "n_layer": 7, "head": {"kind": "grouped", "modulation": "per_group",
    "map": "clustered", "shortlist": 5, "group_size": 30}})";
  EXPECT_EQ(convert("source", "of_file", file).is, "grouped per_group, shortlist 5, 10 groups of 30, clustered, tied");
}

TEST_F(Heads, WhatCannotBeIsRefused) {
  if (!fs::exists(path("grouped"))) convert("source", "grouped", "grouped");
  train_once("untied", kUntied);
  const auto refused = [](ErrorCode code, const std::vector<std::string>& parts, const std::string& from,
                          const std::string& head, const Overrides& overrides = {}) {
    expect_error(code, parts, [&] { convert(from, "never", head, overrides); });
    EXPECT_FALSE(fs::exists(path("never")));
  };
  constexpr auto kInvalid = ErrorCode::kInvalidArgument, kNot = ErrorCode::kUnsupported;
  refused(kNot, {"grouped: the head is of kind grouped, two levels", "Not exact", "fabula train CONFIG --from grouped"},
          "grouped", "full");
  refused(kInvalid, {"has a head of kind grouped already"}, "grouped", "grouped");
  refused(kNot, {"modulation scale_shift", "--head grouped"}, "source", "paper", {"tie_word_embeddings=false"});
  refused(kNot, {"head.prototypes is 2"}, "source", "grouped", {"head.prototypes=2", "head.class_input=false"});
  refused(kNot, {"head.map is file", "clustered"}, "source", "grouped", {"head.map=file", "head.map_file=x.json"});
  refused(kNot, {"head.bias is false", "set it to true"}, "source", R"({"kind": "adaptive"})");
  refused(kNot, {"rows of its own", "leave tie_word_embeddings out"}, "untied", "grouped",
          {"tie_word_embeddings=true"});
  refused(kNot, {"has an output bias", "leave head.bias out"}, "source", R"({"kind": "full", "bias": false})");
  refused(kInvalid, {"n_layer was 1, is 2", "only the head changes"}, "source", "full", {"n_layer=2"});
  refused(kInvalid, {"--head groped: no head", "did you mean \"grouped\"?"}, "source", "groped");
  refused(ErrorCode::kFormat, {"--head"}, "source", R"({"kind": )");
  refused(kInvalid, {"head.shortlst", "did you mean"}, "source", R"({"kind": "grouped", "shortlst": 4})");
  refused(kInvalid, {"head.shortlist is 300"}, "source", "grouped", {"head.shortlist=300"});

  const infer::ModelFolder source(path("source"));
  const RunConfig config = config_with_head(source.config(), "source", "grouped", {});
  expect_error(kInvalid, {"made from a text", "--data"}, [&] { convert_head(source, config, {.out = path("never")}); });
  EXPECT_FALSE(fs::exists(path("never")));
}

TEST_F(Heads, NothingIsOverwrittenWithoutBeingTold) {
  convert("source", "there", "full");
  const std::string before = train::bytes_of(path("there") / "config.json");
  expect_error(ErrorCode::kInvalidArgument, {"holds files already", "--overwrite"},
               [] { convert("source", "there", "fused"); });
  EXPECT_EQ(train::bytes_of(path("there") / "config.json"), before);
  convert("source", "there", "grouped", {}, true);
  EXPECT_TRUE(fs::exists(path("there") / kTokenMapFile));
  convert("source", "there", "fused", {}, true);
  EXPECT_FALSE(fs::exists(path("there") / kTokenMapFile));
  EXPECT_EQ(numbers("there"), numbers("source"));
  expect_error(ErrorCode::kInvalidArgument, {"holds a run"}, [] { convert("there", "source", "full", {}, true); });
}

}  // namespace
}  // namespace fabula::convert
