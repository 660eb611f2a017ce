// A driver that computes a kernel wrong: it is found before anything rests on the kernel, told of once, and another one
// takes the place.
#include "graph/self_test.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

#include "base/hash.hpp"
#include "expect_error.hpp"
#include "faulty_driver.hpp"
#include "formats/config_io.hpp"
#include "graph/runtime.hpp"
#include "log_capture.hpp"
#include "ops/op_table.hpp"
#include "support/imitated_device.hpp"
#include "temp_dir.hpp"
#include "train/training_plan.hpp"

namespace fabula::graph {
namespace {

constexpr const char* kChecked = "were compared with the CPU's results";

/// y = gelu(x w) for x [70, 33]: one op with a choice of kernels, one without.
struct Product {
  Graph graph{ops::op_table()};
  Value y;
  Product() {
    const Value product = graph.op1("matmul", {graph.state("x", {70, 33}), graph.state("w", {33, 130})});
    y = graph.op1("gelu", {product});
    graph.keep_apart(y);  // the two are not joined
    graph.keep(y);
  }
};

class SelfTestTest : public testing::Test {
 protected:
  std::unique_ptr<vk::Device> open(bool self_test = true) const {
    return vk::Device::open({.self_test = self_test, .validate = true, .cache_dir = dir_.path().string()});
  }
  static std::string product_shader(const Workload& workload) {
    return workload.graphs().front().program.steps.front().shader;
  }
  static Workload planned(const vk::Device& device) {
    Workload workload(device.profile());
    workload.add("product", Product().graph);
    return workload;
  }
  /// The largest difference between the device's product and the right one.
  static float error_of(vk::Device& device) {
    const Product product;
    Runtime runtime(device, planned(device));
    std::vector<RefTensor<double>> values(product.graph.values().size());
    for (std::size_t id = 0; id < values.size(); ++id) {
      const ValueInfo& info = product.graph.values()[id];
      values[id] = RefTensor<double>(info.shape);
      if (info.role != Role::kState) continue;
      for (std::size_t i = 0; i < values[id].f.size(); ++i)
        values[id].f[i] = static_cast<double>((i * 7 + id * 5) % 11) / 11 - 0.4;
      runtime.upload(info.name, std::vector<float>(values[id].f.begin(), values[id].f.end()));
    }
    interpret(product.graph, values);
    runtime.submit({0});
    const std::vector<float> got = runtime.read(0, product.y);
    const std::vector<double>& expected = values[static_cast<std::size_t>(product.y.id)].f;
    float worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::abs(got[i] - static_cast<float>(expected[i])));
    return worst;
  }
  std::filesystem::path notes() const {
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      if (entry.path().filename().string().starts_with("kernels") && entry.path().extension() == ".txt")
        return entry.path();
    return {};
  }
  std::string text_of_notes() const {
    std::ifstream file(notes());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write_notes(const std::string& text) const { std::ofstream(notes()) << text; }
  /// What is said when the work is planned on a device that is opened for it.
  std::string said(bool self_test = true) const {
    const test::LogCapture log;
    const auto device = open(self_test);
    self_tested(*device, planned(*device));
    EXPECT_EQ(device->validation_messages(), 0u);
    return log.text();
  }

  test::TempDir dir_;
};

TEST_F(SelfTestTest, RunsOnceForADriver) {
  EXPECT_NE(said().find(kChecked), std::string::npos);
  EXPECT_EQ(said(), "") << "it is known";
  const auto device = open();
  const std::uint64_t before = device->submissions();
  self_tested(*device, planned(*device));
  EXPECT_EQ(device->submissions(), before) << "nothing runs";
  EXPECT_LT(error_of(*device), 1e-5f);
}

TEST_F(SelfTestTest, DoesNotRunWhereItIsNotWanted) {
  EXPECT_EQ(said(false), "");
  EXPECT_EQ(text_of_notes().find("holds"), std::string::npos);
}

TEST_F(SelfTestTest, RunsAgainForOtherCodeAndADamagedFile) {
  said();
  const std::string good = text_of_notes();
  ASSERT_NE(good.find(" holds matmul"), std::string::npos) << good;
  std::string other_code = good;  // of every kernel: a digest begins a line
  for (std::size_t line = 0; line < good.size(); line = good.find('\n', line) + 1)
    other_code[line] = good[line] == '0' ? '1' : '0';
  for (const std::string& text : {other_code, std::string("\x01\x02 no notes"), good.substr(0, 20), std::string()}) {
    write_notes(text);
    EXPECT_NE(said().find(kChecked), std::string::npos) << text;
    EXPECT_EQ(text_of_notes(), good);
  }
}

TEST_F(SelfTestTest, AWrongKernelIsReplacedAndToldOnce) {
  const std::string wrong = product_shader(planned(*open(false)));
  std::uint64_t clean_digest = 0;
  for (const bool first : {true, false}) {
    const test::LogCapture log;
    const auto device = open();
    if (first) clean_digest = planned(*device).graphs().front().program.digest;
    const test::FaultyDriver faulty(*device, wrong);
    const Workload tested = self_tested(*device, planned(*device));
    EXPECT_NE(product_shader(tested), wrong);
    EXPECT_NE(tested.graphs().front().program.digest, clean_digest) << "whoever resumes or compares sees it";
    EXPECT_LT(error_of(*device), 1e-5f);
    EXPECT_NE(vk::distrusted_digest(device->profile().faults), vk::distrusted_digest({}));
    const bool told = log.text().find("computes wrong numbers with " + wrong) != std::string::npos;
    EXPECT_EQ(told, first) << log.text();
    if (first)
      EXPECT_NE(log.text().find("please report this"), std::string::npos);
    else
      EXPECT_EQ(log.text(), "");
  }
  const std::string file = text_of_notes();
  EXPECT_TRUE(std::regex_search(file, std::regex("[0-9a-f]{16} " + std::to_string(vk::kWrong) + " " + wrong)));
}

// Without a self-test the wrong numbers are what a user gets: the fault that the others see is one.
TEST_F(SelfTestTest, TheFaultIsOne) {
  const auto device = open(false);
  const test::FaultyDriver faulty(*device, product_shader(planned(*device)));
  EXPECT_GT(error_of(*device), 1e-2f);
}

TEST_F(SelfTestTest, WhatIsKnownToBeWrongIsHeededWithoutASelfTest) {
  const std::string wrong = product_shader(planned(*open(false)));
  {
    const auto device = open();
    const test::FaultyDriver faulty(*device, wrong);
    self_tested(*device, planned(*device));
  }
  EXPECT_NE(product_shader(planned(*open(false))), wrong);
}

TEST_F(SelfTestTest, AMissOfTheLastKernelSaysHowToGoOn) {
  for (int start = 0; start < 2; ++start) {
    const auto device = open();
    const test::FaultyDriver faulty(*device, "gelu");
    test::expect_error(ErrorCode::kDevice, {device->profile().name, "gelu", "expected", "--no-self-test", "report"},
                       [&] { Runtime(*device, planned(*device)); });
  }
  const auto device = open(false);
  const test::FaultyDriver faulty(*device, "gelu");
  EXPECT_NO_THROW(Runtime(*device, planned(*device))) << "goes on all the same";
}

VKAPI_ATTR VkResult VKAPI_CALL end_process(VkQueue, std::uint32_t, const VkSubmitInfo*, VkFence) {
  std::_Exit(77);
}

// A driver that takes the process down as soon as a kernel runs: the next start knows which, and takes another.
TEST(SelfTestDevice, AKernelThatKilledAStartIsNotTakenAgain) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  // The child runs this test from its beginning: the folder must be the same one.
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "fabula_self_test_kills";
  const vk::DeviceOptions options{.self_test = true, .cache_dir = folder.string()};
  const auto plan = [](const vk::Device& device) {
    Workload workload(device.profile());
    workload.add("product", Product().graph);
    return workload;
  };
  EXPECT_EXIT(
      {
        const auto device = vk::Device::open(options);
        device->impl().table.vkQueueSubmit = end_process;
        self_tested(*device, plan(*device));
      },
      testing::ExitedWithCode(77), "");
  {
    const test::LogCapture log;
    const auto device = vk::Device::open(options);
    ASSERT_EQ(device->profile().faults.size(), 1u) << log.text();
    const auto& [killer, fault] = *device->profile().faults.begin();
    EXPECT_EQ(fault, vk::kCrashes);
    EXPECT_TRUE(killer.starts_with("matmul")) << killer;
    EXPECT_NE(log.text().find("while the driver ran " + killer), std::string::npos) << log.text();
    const Workload tested = self_tested(*device, plan(*device));
    for (const Step& step : tested.graphs().front().program.steps) EXPECT_NE(to_string(kernel_of(step)), killer);
    EXPECT_NE(log.text().find(kChecked), std::string::npos) << log.text();
  }
  std::filesystem::remove_all(folder);
}

VKAPI_ATTR VkResult VKAPI_CALL no_memory(VkDevice, const VkMemoryAllocateInfo*, const VkAllocationCallbacks*,
                                         VkDeviceMemory*) {
  return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

TEST_F(SelfTestTest, WhatThereIsNoMemoryForIsTold) {
  {
    const test::LogCapture log;
    const auto device = open();
    const auto allocate = std::exchange(device->impl().table.vkAllocateMemory, no_memory);
    EXPECT_NO_THROW(self_tested(*device, planned(*device)));
    device->impl().table.vkAllocateMemory = allocate;
    EXPECT_NE(log.text().find("gelu, matmul"), std::string::npos) << log.text();
    EXPECT_NE(log.text().find("for want of memory"), std::string::npos) << log.text();
    EXPECT_NE(log.text().find("self-test: 0 kernels"), std::string::npos) << log.text();
  }
  EXPECT_EQ(text_of_notes().find("holds"), std::string::npos);
  EXPECT_NE(said().find(kChecked), std::string::npos) << "the next start tries again";
}

TEST(SelfTestFaults, OnlyWhatIsDistrustedCounts) {
  EXPECT_EQ(vk::distrusted_digest({{"gelu()", 0}, {"add()", 33}}), vk::distrusted_digest({}));
  EXPECT_NE(vk::distrusted_digest({{"gelu()", vk::kWrong}}), vk::distrusted_digest({{"add()", vk::kWrong}}));
}

// RunState::lowering, by which a resumed run and whoever compares ranks know kernels, tells of a replacement.
TEST(SelfTestFaults, ARunTellsThatAKernelWasReplaced) {
  const RunConfig config = parse_config(R"({"model_type": "gpt2", "n_embd": 64, "n_head": 2, "n_layer": 1,
      "vocab_size": 300, "n_positions": 64, "head": {"kind": "full"}, "train": {"batch_size": 4}})",
                                        "a test", {}, ConfigNotes::kSilent);
  const models::LanguageModel model(config.model, {}, config.train.precision);
  vk::DeviceProfile profile = test::imitated_device("vega");
  const std::string clean = train::lowering_text(profile, model, config.train);
  const train::TrainingPlan plan = train::plan_training(profile, model, config.train);
  for (const PlannedGraph& planned : plan.workload.graphs())
    for (const Step& step : planned.program.steps)
      if (step.shader.starts_with("matmul")) profile.faults[to_string(kernel_of(step))] = vk::kWrong;
  ASSERT_FALSE(profile.faults.empty());
  EXPECT_NE(train::lowering_text(profile, model, config.train), clean);
}

/// What the reference says of a case's inputs, drawn for its tiles and repeated.
std::vector<RefTensor<float>> computed(const OpEntry& op, const OpCase& of, std::vector<RefTensor<float>> inputs) {
  Graph graph(ops::op_table());
  std::vector<Value> values;
  for (std::size_t i = 0; i < of.inputs.size(); ++i)
    values.push_back(of.inputs[i].present ? graph.state(fmt::format("in{}", i), of.inputs[i].typed()) : Value{});
  RefCall<float> call{of.attrs, {}, {}};
  std::vector<RefTensor<float>> outputs;
  for (const Value output : graph.op(op.def->name, std::span<const Value>(values), of.attrs))
    outputs.emplace_back(graph.shape(output));
  for (std::size_t i = 0; i < inputs.size(); ++i) call.in.push_back(values[i] ? &inputs[i] : nullptr);
  call.in.resize(std::max(call.in.size(), op.def->inputs.size()), nullptr);
  for (RefTensor<float>& output : outputs) call.out.push_back(&output);
  op.reference_f32(call);
  return outputs;
}

std::vector<RefTensor<float>> drawn(const OpCase& of) {
  Philox random(3);
  std::vector<RefTensor<double>> drawn;
  for (const OpCase::Input& input : of.inputs) {
    drawn.emplace_back(input.typed());
    for (double& v : drawn.back().f) v = random.normal();
  }
  if (of.fill) of.fill(drawn, random);
  std::vector<RefTensor<float>> inputs;
  for (const RefTensor<double>& tensor : drawn) {
    inputs.emplace_back(tensor.shape);
    inputs.back().u = tensor.u;
    for (std::size_t i = 0; i < tensor.f.size(); ++i) inputs.back().f[i] = static_cast<float>(tensor.f[i]);
  }
  return inputs;
}

// What the reference computes from tiles is what it would compute from the whole inputs, for every op that says so.
TEST(SizedCases, OutputsRepeatWhereInputsDo) {
  std::size_t compared = 0;
  for (const OpEntry& op : ops::op_table().entries()) {
    if (op.def->sized == nullptr) continue;
    for (const OpCase& own : op.cases()) {
      if (own.large || cost_of_case(ops::op_table(), op, own).flops > 4e7) continue;
      Graph graph(ops::op_table());
      std::vector<Value> values;
      for (std::size_t i = 0; i < own.inputs.size(); ++i)
        values.push_back(own.inputs[i].present ? graph.state(fmt::format("in{}", i), own.inputs[i].typed()) : Value{});
      graph.op(op.def->name, std::span<const Value>(values), own.attrs);
      const std::optional<SizedCase> sized = op.def->sized(NodeView(graph, graph.nodes().front()), 40);
      if (!sized || sized->tiles.empty()) continue;
      const OpCase small = sized->small();
      const std::vector<RefTensor<float>> tiles = drawn(small);
      std::vector<RefTensor<float>> inputs;
      for (std::size_t i = 0; i < tiles.size(); ++i)
        inputs.push_back(repeated(tiles[i], sized->launch.inputs[i].typed()));
      const std::vector<RefTensor<float>> of_tiles = computed(op, small, tiles),
                                          whole = computed(op, sized->launch, inputs);
      for (std::size_t o = 0; o < whole.size(); ++o) {
        const RefTensor<float> expected = repeated(of_tiles[o], whole[o].shape);
        for (std::size_t i = 0; i < whole[o].f.size(); ++i)
          ASSERT_NEAR(whole[o].f[i], expected.f[i], 1e-5 * (1 + std::abs(expected.f[i])))
              << op.def->name << "/" << own.name << " output " << o << " element " << i;
        ASSERT_EQ(whole[o].u, expected.u) << op.def->name << "/" << own.name;
      }
      ++compared;
    }
  }
  EXPECT_GT(compared, 50u);
}

train::TrainingPlan small_plan(const vk::DeviceProfile& profile) {
  const RunConfig config = parse_config(R"({"model_type": "gpt2", "n_embd": 64, "n_head": 2, "n_layer": 1,
      "vocab_size": 300, "n_positions": 64, "head": {"kind": "grouped"}, "train": {"batch_size": 4}})",
                                        "a test", {}, ConfigNotes::kSilent);
  return train::plan_training(profile, models::LanguageModel(config.model, {}, config.train.precision), config.train);
}

// A kernel that an op's own case launches, the same with other constants, which none does, and other code.
TEST(SelfTestNodes, SayWhatACaseIsWorth) {
  const train::TrainingPlan plan = small_plan(test::imitated_device("vega"));
  std::size_t asked = 0;
  for (const SelfTestNode& whole : self_test_nodes(plan.workload, [](const vk::KernelKey&) { return false; })) {
    if (whole.own_sizes || whole.worth != vk::Verdict::kHolds || whole.kernels.front().constants.empty()) continue;
    ++asked;
    vk::KernelKey alike = whole.kernels.front(), unknown = alike;
    alike.constants.back() += 12345;
    unknown.shader = "no_such_shader";
    std::vector<vk::KernelKey> all = whole.kernels;
    all.push_back(alike);
    all.push_back(unknown);
    const std::vector<SelfTestNode> subjects =
        self_test_nodes(*whole.graph, *whole.node, plan.workload.profile(), whole.variant, all);
    ASSERT_EQ(subjects.size(), 3u) << to_string(alike);
    EXPECT_EQ(subjects[0].worth, vk::Verdict::kHolds);
    EXPECT_EQ(subjects[0].kernels, whole.kernels);
    EXPECT_EQ(subjects[1].worth, vk::Verdict::kAlike);
    EXPECT_EQ(subjects[1].kernels, std::vector<vk::KernelKey>{alike});
    EXPECT_TRUE(subjects[1].by);
    EXPECT_EQ(subjects[2].worth, vk::Verdict::kUnchecked);
    EXPECT_EQ(subjects[2].kernels, std::vector<vk::KernelKey>{unknown});
    EXPECT_FALSE(subjects[2].by);
  }
  EXPECT_GT(asked, 0u);
}

// Every kernel of a training run and a session has a case that reaches it; products, norms and attention at the model's
// own sizes.
TEST(SelfTestNodes, ReachEveryKernel) {
  for (const char* device : {"vega", "intel", "adreno"})
    for (const char* json :
         {R"({"model_type": "gpt2", "n_embd": 256, "n_head": 8, "n_layer": 2, "vocab_size": 50257, "n_positions": 512,
           "head": {"kind": "grouped"}, "train": {"batch_size": 4, "sample_every": 5}})",
          R"({"model_type": "gpt2", "n_embd": 64, "n_head": 2, "n_layer": 2, "vocab_size": 2048, "n_positions": 128,
           "head": {"kind": "fused"}, "train": {"batch_size": 4, "sample_every": 5, "precision": "fp16"}})",
          R"({"model_type": "llama", "hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 2,
           "num_hidden_layers": 2, "intermediate_size": 256, "max_position_embeddings": 256, "vocab_size": 512,
           "tie_word_embeddings": true, "head": {"kind": "full"}, "train": {"batch_size": 2, "sample_every": 5}})"}) {
      const RunConfig config = parse_config(json, "a test", {}, ConfigNotes::kSilent);
      const models::LanguageModel model(config.model, {}, config.train.precision);
      const train::TrainingPlan plan = train::plan_training(test::imitated_device(device), model, config.train);
      for (const SelfTestNode& subject : self_test_nodes(plan.workload, [](const vk::KernelKey&) { return false; })) {
        const std::string op(subject.node->op->def->name),
            where = fmt::format("{} {} on {}", op, subject.variant, device);
        ASSERT_TRUE(subject.by) << where;
        EXPECT_EQ(subject.worth, vk::Verdict::kHolds) << where << ": " << to_string(subject.kernels.front());
        for (const char* big : {"matmul", "row_product", "attention", "attention_backward", "cached_attention",
                                "layer_norm", "rms_norm", "layer_norm_backward", "log_softmax"})
          EXPECT_TRUE(op != big || subject.own_sizes) << where << " " << subject.node->label;
      }
    }
}

}  // namespace
}  // namespace fabula::graph
