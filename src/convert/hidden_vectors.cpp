#include "convert/hidden_vectors.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "formats/match_tensors.hpp"
#include "models/token_inputs.hpp"
#include "models/weights.hpp"
#include "ops/op_table.hpp"
#include "ops/storage.hpp"
#include "text/batches.hpp"

namespace fabula::convert {
namespace {
constexpr std::int64_t kPositionsInBatch = 1024;

/// The graph has no head, so that the store lacks most of a head's parameters.
void load_what_is_read(graph::Runtime& runtime, const infer::ModelFolder& folder) {
  const models::LanguageModel& model = folder.model();
  const ModelTensors tensors = ModelTensors::open(folder.path());
  const ParameterFinder finder = match_tensors(tensors, models::expected_tensors(model), model.config());
  models::upload_constants(runtime, model);
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    if (!runtime.workload().stored().contains(spec.name)) continue;
    values.resize(static_cast<std::size_t>(spec.shape.count()));
    finder.read(spec.name, values);
    runtime.upload(spec.name, values);
  }
}
}  // namespace

std::vector<float> hidden_vectors(vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder,
                                  const text::TokenFile& tokens, std::int64_t positions, std::uint64_t seed) {
  if (tokens.size() < 2)
    fail(ErrorCode::kInvalidArgument, "{} has {} tokens, 2 are needed to look at the model", tokens.path().string(),
         tokens.size());
  const models::LanguageModel& model = folder.model();
  const std::int64_t T =
      std::min({folder.config().sequence_length(), static_cast<std::int64_t>(tokens.size()) - 1, kPositionsInBatch});
  const std::int64_t windows = (static_cast<std::int64_t>(tokens.size()) - 1) / T;
  const std::int64_t B = std::min(std::max<std::int64_t>(1, kPositionsInBatch / T), windows), N = B * T;
  graph::Workload workload(target);
  graph::Graph graph(ops::op_table());
  const models::BodyInputs inputs = models::token_inputs(graph, model, N, heads::LossUse::kValue);
  const graph::Value hidden =
      ops::cast_to(graph, model.body().hidden(graph, {B, T, false, model.dtype()}, inputs), graph::DType::kF32);
  graph.keep(hidden);
  const std::size_t index = workload.add("hidden vectors", std::move(graph));
  graph::Runtime runtime(device, std::move(workload));
  load_what_is_read(runtime, folder);
  const text::BatchSource source(tokens, static_cast<std::uint32_t>(B), static_cast<std::uint32_t>(T), seed);
  std::vector<float> vectors;
  for (std::int64_t batch = 0; batch < windows / B && batch * N < positions; ++batch) {
    const text::Batch words = source.batch(static_cast<std::uint64_t>(batch));
    models::set_inputs(runtime, index, models::token_words(model, words.ids, heads::LossUse::kValue));
    runtime.submit({index});
    const std::vector<float> part = runtime.read(index, hidden);
    if (!std::all_of(part.begin(), part.end(), [](float value) { return std::isfinite(value); }))
      fail(ErrorCode::kNumeric, "{}: hidden vectors are not finite; look for bad numbers in the weights",
           folder.weights().string());
    vectors.insert(vectors.end(), part.begin(), part.end());
  }
  return vectors;
}

}  // namespace fabula::convert
