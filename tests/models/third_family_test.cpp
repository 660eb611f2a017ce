// A family is one constant in one file: this is the third one, and nothing but this file knows it. Its blocks mix the
// channels of a position; its positions come from a fixed table that is not trained.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/models.hpp"
#include "models/block.hpp"
#include "models/weights.hpp"
#include "temp_dir.hpp"

namespace fabula::models {
namespace {
using graph::Init;
using graph::RowsOf;
using graph::Value;

const Family kMixer = {
    .name = "mixer",
    .prefix = "model.",
    .token_embedding = "embed_tokens.weight",
    .position_table = "angles",
    .blocks = "layers.",
    .buffers = {".cache"},
    .final_norm = "norm",
    .first_parameters =
        [](SpecList& specs) {
          specs.table("embed_tokens.weight", specs.config.vocab_size, RowsOf::kTokens);
          specs.add({.name = "angles", .shape = {specs.config.n_positions, specs.config.hidden}, .trained = false});
        },
    .block_parameters =
        [](SpecList& specs) {
          specs.layer_norm("norm");
          specs.linear("mix.weight", specs.config.hidden, specs.config.hidden);
          specs.vector("mix.bias", specs.config.hidden, Init::kZeros);
        },
    .last_parameters = [](SpecList& specs) { specs.layer_norm("norm"); },
    .block =
        [](const BlockCall& call, Value x) {
          const Value mixed = call.graph().op1("gelu", {call.norm(x, "norm").x});
          return call.linear(mixed, {.weight = "mix.weight", .bias = "mix.bias", .residual = x});
        },
};

ModelConfig config() {
  ModelConfig config = test::small_config(HeadKind::kFull);
  config.embd_dropout = config.resid_dropout = 0;
  return config;
}

TEST(ThirdFamily, ItsFilesHaveItsNames) {
  const LanguageModel model(config(), kMixer);
  std::vector<std::string> names;
  for (const graph::ParameterSpec& spec : model.parameters()) names.push_back(spec.name);
  EXPECT_EQ(names, (std::vector<std::string>{"model.embed_tokens.weight", "model.angles", "model.layers.0.norm.weight",
                                             "model.layers.0.norm.bias", "model.layers.0.mix.weight",
                                             "model.layers.0.mix.bias", "model.layers.1.norm.weight",
                                             "model.layers.1.norm.bias", "model.layers.1.mix.weight",
                                             "model.layers.1.mix.bias", "model.norm.weight", "model.norm.bias"}));
  test::TempDir dir;
  std::vector<TensorSource> sources;
  const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    sources.push_back(
        {name, shape, [](std::int64_t, std::span<float> out) { std::fill(out.begin(), out.end(), 1.f); }});
  };
  for (const graph::ParameterSpec& spec : model.parameters())
    add(spec.name.substr(std::string("model.").size()), spec.file_shape());  // as files of the body alone
  add("layers.0.cache", {3});
  add("lm_head.weight", {143, 20});
  write_safetensors(dir / "model.safetensors", sources);
  const ModelTensors tensors = ModelTensors::open(dir.path());
  const ParameterFinder finder = match_tensors(tensors, expected_tensors(model), model.config());
  for (const std::string& name : names) EXPECT_EQ("model." + *finder.name_of(name), name);
}

TEST(ThirdFamily, IsTrainedButForWhatIsFixed) {
  const LanguageModel model(config(), kMixer);
  const std::int64_t batch = 2, sequence = 7;
  const LossGraph loss = gradient_graph(model, batch, sequence, Gradients::kOverwrite);
  EXPECT_FALSE(loss.graph.find("grad.model.angles"));
  auto values = test::random_values(loss.graph, model, batch * sequence);
  const auto at = [&](std::string_view name) -> std::vector<double>& {
    return values[static_cast<std::size_t>(loss.graph.find(name).id)].f;
  };
  at("loss_scale") = {1.0 / static_cast<double>(batch * sequence), 0, 0, 0};
  const auto evaluated = [&] {
    graph::interpret(loss.graph, values);
    return at("step.loss").front();
  };
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.0.mix.weight", "model.layers.1.norm.bias", "model.norm.weight"}) {
    evaluated();
    const std::vector<double> gradient = at(std::string("grad.") + name);
    const auto largest =
        static_cast<std::size_t>(std::max_element(gradient.begin(), gradient.end(),
                                                  [](double a, double b) { return std::abs(a) < std::abs(b); }) -
                                 gradient.begin());
    const double step = 1e-4, here = at(name)[largest];
    at(name)[largest] = here + step;
    const double above = evaluated();
    at(name)[largest] = here - step;
    const double below = evaluated();
    at(name)[largest] = here;
    EXPECT_NEAR((above - below) / (2 * step), gradient[largest], 1e-5 * std::abs(gradient[largest])) << name;
    EXPECT_NE(gradient[largest], 0) << name;
  }
}

// What a tensor starts with depends on its name and on nothing else.
TEST(FreshWeights, AreKeyedByTheTensorsName) {
  const auto device = vk::Device::open({.device = {}, .cache_dir = "none"});
  const auto fresh = [&](const LanguageModel& model, const std::string& name) {
    graph::Workload workload(device->profile());
    workload.add("evaluate", evaluation_graph(model, 1, 4).graph);
    graph::Runtime runtime(*device, std::move(workload));
    initialise_weights(runtime, model, 5);
    std::vector<float> values(static_cast<std::size_t>(runtime.workload().stored().at(name).shape.count()));
    runtime.download(name, values);
    return values;
  };
  const std::string last = "transformer.h.1.mlp.c_proj.weight", other = "transformer.h.0.mlp.c_proj.weight";
  ModelConfig grouped = test::small_config(HeadKind::kGrouped), full = test::small_config(HeadKind::kFull);
  const std::vector<float> values = fresh(LanguageModel(grouped), last);
  EXPECT_EQ(fresh(LanguageModel(full), last), values) << "another head";
  full.vocab_size = 99;
  EXPECT_EQ(fresh(LanguageModel(full), last), values) << "another vocabulary";
  EXPECT_NE(fresh(LanguageModel(full), other), values);
}

}  // namespace
}  // namespace fabula::models
