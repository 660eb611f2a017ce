// A model in few bits: what is written is what is computed; it goes on where it was stopped; what is refused.
#include "convert/compress.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "convert/compress_report.hpp"
#include "convert/convert.hpp"
#include "convert/partial_compression.hpp"
#include "convert/small_models.hpp"
#include "convert/written_model.hpp"
#include "expect_error.hpp"
#include "infer/model_folder.hpp"
#include "log_capture.hpp"
#include "models/token_inputs.hpp"
#include "ops/op_table.hpp"
#include "temp_dir.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using test::expect_error;

class Compress : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    folder_ = std::make_unique<test::TempDir>();
    const text::Tokenizer tokenizer = test::small_bpe(280);
    for (const auto& [name, family] : {std::pair{"gpt2", ModelFamily::kGpt2}, {"llama", ModelFamily::kLlama}})
      test::write_small_model(path(name), test::small_model(family, 280), tokenizer);
    std::ofstream(path("text.txt"), std::ios::binary) << text::generate_corpus(7, 12);
    const fs::path text = path("text.txt");
    text::prepare_token_file(std::span(&text, 1), tokenizer, path("text.tokens"));
    tokens_ = std::make_unique<text::TokenFile>(path("text.tokens"));
  }
  static void TearDownTestSuite() {
    tokens_.reset();
    folder_.reset();
    device_.reset();
  }
  static fs::path path(const std::string& name) { return *folder_ / name; }

  static CompressResult compress(const std::string& from, const std::string& out, CompressOptions options = {},
                                 const CompressProgress& progress = {}) {
    const test::LogCapture log;
    options.out = path(out);
    options.positions = 800;
    const infer::ModelFolder folder(path(from));
    return compress_model(folder, options, *device_, {device_->profile(), {}}, *tokens_, progress);
  }

  /// log p of every token behind each of the first 40 of the text.
  static std::vector<float> log_probs(const std::string& name, weights::Format format = weights::Format::kStored) {
    const infer::ModelFolder folder(path(name), {}, {.weights = format});
    const models::LanguageModel& model = folder.model();
    std::vector<std::uint32_t> ids(40);
    tokens_->read(0, ids);
    graph::Graph graph(ops::op_table());
    const models::BodyInputs inputs = models::token_inputs(graph, model, 40, heads::LossUse::kValue);
    const graph::Value log_p = model.head().log_probs(graph, model.body().hidden(graph, {1, 40, false}, inputs));
    graph.keep(log_p);
    graph::Workload workload(graph::Target{device_->profile(), {}});
    const std::size_t index = workload.add("log p", std::move(graph));
    graph::Runtime runtime(*device_, std::move(workload));
    folder.load_weights(runtime);
    models::set_inputs(runtime, index, models::token_words(model, ids, heads::LossUse::kValue));
    runtime.submit({index});
    return runtime.read(index, log_p);
  }
  static double distance(const std::vector<float>& left, const std::vector<float>& right) {
    double sum = 0;
    for (std::size_t i = 0; i < left.size(); ++i) sum += std::pow(double{left[i]} - double{right[i]}, 2);
    return std::sqrt(sum / static_cast<double>(left.size()));
  }

  inline static std::unique_ptr<vk::Device> device_;
  inline static std::unique_ptr<test::TempDir> folder_;
  inline static std::unique_ptr<text::TokenFile> tokens_;
};

struct Way {
  const char* name;
  const char* model;
  CompressMethod method;
  int bits;
  bool offsets;
};
class EveryWay : public Compress, public testing::WithParamInterface<Way> {};
INSTANTIATE_TEST_SUITE_P(Compress, EveryWay,
                         testing::Values(Way{"rtn_8", "gpt2", CompressMethod::kRoundToNearest, 8, false},
                                         Way{"rtn_4", "llama", CompressMethod::kRoundToNearest, 4, false},
                                         Way{"gptq_4", "gpt2", CompressMethod::kGptq, 4, true},
                                         Way{"gptq_3", "gpt2", CompressMethod::kGptq, 3, false}),
                         [](const auto& way) { return std::string(way.param.name); });

TEST_P(EveryWay, IsTheModelThatItsFolderHolds) {
  const Way& way = GetParam();
  const std::string name = way.name;
  const auto before = log_probs(way.model);
  const CompressResult result = compress(
      way.model, name, {.method = way.method, .bits = way.bits, .table_bits = way.bits, .offsets = way.offsets});
  for (const CompressedMatrix& matrix : result.matrices) {
    EXPECT_EQ(matrix.bits, way.bits) << matrix.name;
    EXPECT_GT(matrix.error, 0) << matrix.name;
    EXPECT_LT(matrix.error, way.bits == 8 ? 1e-4 : way.bits == 4 ? 0.02 : 0.1) << matrix.name;
    EXPECT_NEAR(matrix.real_bits(), way.bits + (way.offsets ? 1 : 0.5), 0.01) << matrix.name;
  }
  EXPECT_EQ(result.bytes, fs::file_size(path(name) / "model.safetensors"));
  EXPECT_FALSE(fs::exists(partial_folder(path(name))));
  // Read as it is stored, and as the floats that it stands for.
  const auto stored = log_probs(name), dense = log_probs(name, weights::Format::kFp32);
  EXPECT_LT(distance(stored, dense), 1e-4);
  EXPECT_GT(distance(stored, before), 0);
  EXPECT_LT(distance(stored, before), way.bits == 8 ? 0.05 : way.bits == 4 ? 1 : 2);
  // Others get the floats.
  const std::string exported = name + "_exported";
  export_model({.run = path(name), .format = Format::kHuggingFace, .out = path(exported)});
  EXPECT_EQ(log_probs(exported), dense);
  EXPECT_TRUE(infer::ModelFolder(path(exported)).config().compression.empty());
  const std::string half = name + "_half";
  export_model({.run = path(name), .format = Format::kHuggingFace, .out = path(half), .type = WeightType::kF16});
  EXPECT_LT(distance(log_probs(half), dense), 0.05);
}

TEST_F(Compress, GptqLosesLessThanRounding) {
  const CompressOptions rounded{.method = CompressMethod::kRoundToNearest, .bits = 3, .table_bits = 16},
      made_up_for{.method = CompressMethod::kGptq, .bits = 3, .table_bits = 16};
  const CompressResult one = compress("gpt2", "rounded", rounded), other = compress("gpt2", "made_up_for", made_up_for);
  double of_one = 0, of_other = 0;
  for (const CompressedMatrix& matrix : one.matrices) of_one += matrix.error;
  for (const CompressedMatrix& matrix : other.matrices) of_other += matrix.error;
  EXPECT_LT(of_other, of_one);
  EXPECT_EQ(one.matrices.front().bits, 0);
  EXPECT_EQ(one.matrices.front().why_kept, "as asked for");
}

TEST_F(Compress, GoesOnWhereItWasStopped) {
  const CompressResult straight = compress("gpt2", "straight");
  for (const std::size_t stop_at : {1u, 4u, 6u}) {
    std::size_t finished = 0;
    const CompressProgress progress{.go_on = [&](const std::string&, double) { return finished < stop_at; },
                                    .finished = [&](const CompressedMatrix&) { ++finished; }};
    expect_error(ErrorCode::kInterrupted, {}, [&] { compress("gpt2", "stopped", {}, progress); });
    EXPECT_FALSE(fs::exists(path("stopped") / "config.json"));
  }
  // A file that was damaged meanwhile is made again.
  const fs::path partial = partial_folder(path("stopped"));
  fs::resize_file(partial / "transformer.h.0.attn.c_attn.weight.safetensors", 100);
  expect_error(ErrorCode::kInvalidArgument, {partial.string(), "other settings", "remove"},
               [&] { compress("gpt2", "stopped", {.bits = 3}); });
  const CompressResult result = compress("gpt2", "stopped");
  EXPECT_EQ(result.resumed, 5);
  test::expect_same_tensors(path("stopped"), path("straight"));
  for (std::size_t i = 0; i < result.matrices.size(); ++i)
    EXPECT_EQ(result.matrices[i].error, straight.matrices[i].error) << result.matrices[i].name;
}

TEST_F(Compress, RefusesWhatCannotBe) {
  compress("gpt2", "once", {.bits = 8, .table_bits = 8});
  expect_error(ErrorCode::kInvalidArgument, {"is compressed already (gptq)"}, [&] { compress("once", "twice"); });
  EXPECT_FALSE(fs::exists(path("twice")));
  expect_error(ErrorCode::kInvalidArgument, {"holds files already"}, [&] { compress("gpt2", "once"); });
  expect_error(ErrorCode::kInvalidArgument, {"is what is read"}, [&] { compress("gpt2", "gpt2"); });
  const text::TokenFile& tokens = *tokens_;
  test::write_small_model(
      path("long"),
      [&] {
        ModelConfig model = test::small_model(ModelFamily::kGpt2, 280);
        model.n_positions = static_cast<std::int64_t>(tokens.size()) + 1;
        return model;
      }(),
      test::small_bpe(280));
  expect_error(ErrorCode::kInvalidArgument, {"name a longer text"}, [&] { compress("long", "long_out"); });
}

TEST_F(Compress, AMatrixThatCannotBeRoundedStaysAndIsNamed) {
  // A number beyond what an fp16 scale reaches.
  const ModelTensors tensors = ModelTensors::open(path("gpt2"));
  const infer::ModelFolder folder(path("gpt2"));
  const std::string huge = "transformer.h.1.mlp.c_fc.weight";
  std::vector<TensorSource> sources;
  for (const std::string& name : tensors.names())
    sources.push_back(
        {name, tensors.info(name).shape, [&tensors, name, huge](std::int64_t first, std::span<float> out) {
           tensors.read_f32(name, out, first);
           if (name == huge && first == 0) out[0] = 3e7f;
         }});
  fs::create_directories(path("huge"));
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"})
    fs::copy_file(path("gpt2") / file, path("huge") / file);
  write_safetensors(path("huge") / "model.safetensors", sources);
  const CompressResult result =
      compress("huge", "huge_out", {.method = CompressMethod::kRoundToNearest, .bits = 4, .table_bits = 4});
  std::size_t kept = 0;
  for (const CompressedMatrix& matrix : result.matrices)
    if (matrix.bits == 0) {
      EXPECT_EQ(matrix.name, huge);
      ++kept;
    }
  EXPECT_EQ(kept, 1u);
  EXPECT_EQ(ModelTensors::open(path("huge_out")).is_coded(huge), false);
  EXPECT_NE(table_text(compress_table(result), "md").find(huge + " stays floats"), std::string::npos);
}

TEST(CompressPage, ShowsEveryMatrix) {
  CompressResult result;
  for (std::int64_t layer = 0; layer < 3; ++layer)
    result.matrices.push_back({.name = fmt::format("h.{}.fc", layer),
                               .layer = layer,
                               .kind = "fc",
                               .bits = 4,
                               .numbers = 640,
                               .bytes = 360,
                               .error = 0.01 * double(layer + 1)});
  result.parameters = 2000;
  result.bytes = 1100;
  result.bytes_before = 8000;
  const std::string page = compress_page("a <model>", "gptq", result, CompressCost{4.0, 4.1});
  for (const std::string part : {"a &lt;model&gt;", "h.2.fc", "4.500", "3 %", "+2.50 %", "4.400 real bits", "<svg"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace fabula::convert
