// What linear layers read, gone through layer by layer on the device, against the whole model in double.
#include "convert/calibration.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "convert/small_models.hpp"
#include "expect_error.hpp"
#include "models/token_inputs.hpp"
#include "models/weights.hpp"
#include "ops/op_table.hpp"
#include "temp_dir.hpp"

namespace fabula::convert {
namespace {

using graph::RefTensor;
using graph::Value;

struct TinyModel {
  explicit TinyModel(ModelFamily family) : tokenizer(test::small_bpe(280)) {
    test::write_small_model(dir / "model", test::small_model(family, 280), tokenizer);
    const std::string stories = text::generate_corpus(7, 10);
    std::ofstream(dir / "text.txt", std::ios::binary) << stories;
    const std::filesystem::path path = dir / "text.txt";
    text::prepare_token_file(std::span(&path, 1), tokenizer, dir / "text.tokens");
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device = vk::Device::open(options);
  }
  test::TempDir dir;
  text::Tokenizer tokenizer;
  std::unique_ptr<vk::Device> device;
};

/// The whole body's graph in double, over one chunk: what each of its products with a parameter reads, by the
/// parameter, and what the head does.
std::map<std::string, RefTensor<double>> read_in_double(const infer::ModelFolder& folder, const CalibrationText& text,
                                                        std::size_t chunk) {
  const models::LanguageModel& model = folder.model();
  graph::Graph graph(ops::op_table());
  const models::BodyInputs inputs =
      models::token_inputs(graph, model, text.batch() * text.sequence(), heads::LossUse::kValue);
  const Value hidden = model.body().hidden(graph, {text.batch(), text.sequence(), false}, inputs);
  std::vector<RefTensor<double>> values(graph.values().size());
  const auto fill = [&](const std::string& name, const auto& write) {
    const Value value = graph.find(name);
    if (!value) return;
    RefTensor<double>& tensor = values[static_cast<std::size_t>(value.id)] = RefTensor<double>(graph.shape(value));
    write(tensor);
  };
  const ModelTensors tensors = ModelTensors::open(folder.path());
  for (const graph::ParameterSpec& spec : model.parameters())
    fill(spec.name, [&](RefTensor<double>& tensor) {
      std::vector<float> numbers(tensor.f.size());
      tensors.read_f32(spec.name, numbers);
      tensor.f.assign(numbers.begin(), numbers.end());
    });
  for (const auto& words : model.constants())
    fill(words.name, [&](RefTensor<double>& tensor) { graph::set_words(tensor, words.words); });
  for (const auto& words : models::token_words(model, text.ids(chunk), heads::LossUse::kValue))
    fill(words.name, [&](RefTensor<double>& tensor) { graph::set_words(tensor, words.words); });
  graph::interpret(graph, values);
  std::map<std::string, RefTensor<double>> read;
  for (const graph::Node& node : graph.nodes())
    if (node.op->def->name == "matmul" && graph.info(node.inputs[1]).role == graph::Role::kParameter)
      read[graph.info(node.inputs[1]).name] = values[static_cast<std::size_t>(node.inputs[0].id)];
  read["head"] = values[static_cast<std::size_t>(hidden.id)];
  return read;
}

class EveryFamily : public testing::TestWithParam<ModelFamily> {};
INSTANTIATE_TEST_SUITE_P(Calibration, EveryFamily,
                         testing::Values(ModelFamily::kGpt2, ModelFamily::kGptNeo, ModelFamily::kLlama),
                         [](const auto& family) { return std::string(family_name(family.param)); });

TEST_P(EveryFamily, MomentsAreThoseOfTheModelInDouble) {
  const TinyModel tiny(GetParam());
  const infer::ModelFolder folder(tiny.dir / "model");
  const text::TokenFile tokens(tiny.dir / "text.tokens");
  const CalibrationText text(tokens, 20, 160);
  ASSERT_EQ(text.positions(), 160);
  Calibration calibration(*tiny.device, {tiny.device->profile(), {}}, folder.model(), text);
  const ModelTensors tensors = ModelTensors::open(folder.path());
  for (const graph::ParameterSpec& spec : folder.model().parameters()) {
    std::vector<float> numbers(static_cast<std::size_t>(spec.shape.count()));
    tensors.read_f32(spec.name, numbers);
    calibration.set(spec, numbers);
  }
  calibration.start();
  MomentsOf moments;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    moments.merge(calibration.look(layer));
    calibration.advance(layer);
  }
  moments["head"] = calibration.look_at_hidden();

  std::map<std::string, std::vector<double>> second, mean;
  std::set<std::string> linears;
  for (std::size_t chunk = 0; chunk < text.chunks(); ++chunk)
    for (const auto& [name, x] : read_in_double(folder, text, chunk)) {
      const std::int64_t I = x.shape.cols;
      linears.insert(name);
      second[name].resize(static_cast<std::size_t>(I * I));
      mean[name].resize(static_cast<std::size_t>(I));
      for (std::int64_t n = 0; n < x.shape.rows; ++n)
        for (std::int64_t i = 0; i < I; ++i) {
          mean[name][static_cast<std::size_t>(i)] += x.at(n, i) / 160;
          for (std::int64_t j = 0; j < I; ++j)
            second[name][static_cast<std::size_t>(i * I + j)] += x.at(n, i) * x.at(n, j) / 160;
        }
    }
  ASSERT_EQ(moments.size(), linears.size());
  for (const std::string& name : linears) {
    ASSERT_TRUE(moments.contains(name)) << name;
    const InputMoments& found = *moments[name];
    EXPECT_EQ(found.positions, 160);
    ASSERT_EQ(found.second.size(), second[name].size()) << name;
    double largest = 0;
    for (const double value : second[name]) largest = std::max(largest, std::abs(value));
    ASSERT_GT(largest, 0) << name;
    for (std::size_t i = 0; i < found.second.size(); ++i)
      ASSERT_NEAR(found.second[i], second[name][i], 2e-5 * largest) << name << ", " << i;
    for (std::size_t i = 0; i < found.mean.size(); ++i)
      ASSERT_NEAR(found.mean[i], mean[name][i], 2e-5 * std::sqrt(largest)) << name << ", " << i;
  }
}

TEST(Calibration, LinearsThatReadTheSameShareMoments) {
  const TinyModel tiny(ModelFamily::kLlama);
  const infer::ModelFolder folder(tiny.dir / "model");
  const text::TokenFile tokens(tiny.dir / "text.tokens");
  const CalibrationText text(tokens, 20, 40);
  Calibration calibration(*tiny.device, {tiny.device->profile(), {}}, folder.model(), text);
  calibration.start();
  const MomentsOf moments = calibration.look(0);
  const auto of = [&](const std::string& name) { return moments.at("model.layers.0." + name + ".weight"); };
  EXPECT_EQ(moments.size(), 7u);
  EXPECT_EQ(of("self_attn.q_proj"), of("self_attn.k_proj"));
  EXPECT_EQ(of("self_attn.q_proj"), of("self_attn.v_proj"));
  EXPECT_EQ(of("mlp.gate_proj"), of("mlp.up_proj"));
  EXPECT_NE(of("mlp.gate_proj"), of("mlp.down_proj"));
  EXPECT_EQ(of("mlp.down_proj")->inputs, 64);
}

TEST(CalibrationText, HasWholeWindowsAlone) {
  const TinyModel tiny(ModelFamily::kGpt2);
  const text::TokenFile tokens(tiny.dir / "text.tokens");
  const auto all = static_cast<std::int64_t>(tokens.size());
  const CalibrationText whole(tokens, 40, 1'000'000);
  EXPECT_LE(whole.positions(), all);
  EXPECT_GT(whole.positions(), all - 40 * whole.batch() - 40);
  std::vector<std::uint32_t> first(40);
  tokens.read(0, first);
  const std::vector<std::uint32_t>& ids = whole.ids(0);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), ids.begin()));
  test::expect_error(ErrorCode::kInvalidArgument, {"one window of"}, [&] { CalibrationText(tokens, all + 1, 100); });
}

}  // namespace
}  // namespace fabula::convert
