#include "models/weights.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <span>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/philox.hpp"
#include "formats/token_map_tensors.hpp"
#include "weights/matrix.hpp"

namespace fabula::models {

namespace {

std::string_view rows_key(graph::RowsOf rows) {
  switch (rows) {
    case graph::RowsOf::kTokens:
      return "vocab_size";
    case graph::RowsOf::kPositions:
      return "n_positions";
    case graph::RowsOf::kFeatures:
      break;
  }
  return {};
}

}  // namespace

ExpectedTensors expected_tensors(const LanguageModel& model) {
  const std::string_view prefix = model.body().family().prefix;
  ExpectedTensors expected{.tensors = {}, .buffers = model.body().family().buffers};
  const auto add = [&](const graph::ParameterSpec& spec) -> TensorSpec& {
    expected.tensors.push_back(
        {.name = spec.name, .shape = spec.file_shape(), .linear = spec.is_linear, .rows_key = rows_key(spec.rows)});
    return expected.tensors.back();
  };
  for (const graph::ParameterSpec& spec : model.body().parameters().specs())
    add(spec).bare_name = spec.name.substr(prefix.size());
  expected.tensors.front().repeated_as = model.body().family().head_matrix;
  for (const graph::ParameterSpec& spec : model.head().parameters().specs()) add(spec).head = model.head().describe();
  if (model.head().token_map() != nullptr)
    expected.buffers.insert(expected.buffers.end(), kTokenMapTensors.begin(), kTokenMapTensors.end());
  return expected;
}

void upload_constants(graph::Runtime& runtime, const LanguageModel& model) {
  const auto& stored = runtime.workload().stored();
  for (const heads::NamedWords& constant : model.constants())
    if (const auto it = stored.find(constant.name); it != stored.end())
      runtime.upload(constant.name, it->second.shape.dtype, std::as_bytes(std::span(constant.words)));
}

void initialise_weights(graph::Runtime& runtime, const LanguageModel& model, std::uint64_t seed) {
  upload_constants(runtime, model);
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    values.assign(static_cast<std::size_t>(spec.shape.count()), spec.init == graph::Init::kOnes ? 1.0f : 0.0f);
    Philox random(seed, fnv1a(spec.name));
    if (spec.init == graph::Init::kNormal)
      for (float& v : values) v = static_cast<float>(random.normal() * spec.init_std);
    weights::matrix_of(spec)->upload(runtime, spec.init == graph::Init::kValues ? *spec.values : values);
  }
}

namespace {
/// Throws where the weights are not of this map.
void check_map(const TokenMap& map, std::int64_t vocabulary, const ModelTensors& tensors) {
  check_map_step(map.step, tensors);
  const std::optional<TokenMap> of_weights = read_token_map_tensors(tensors, vocabulary);
  if (of_weights && !(*of_weights == map))
    fail(ErrorCode::kFormat,
         "{} has weights of another group map than the {} beside it: they do not belong together; restore both from "
         "one copy of the folder, or remove {}, and the map in the weights is taken",
         tensors.path().string(), kTokenMapFile, kTokenMapFile);
}

ParameterFinder checked_tensors(const LanguageModel& model, const ModelTensors& tensors) {
  ParameterFinder finder = match_tensors(tensors, expected_tensors(model), model.config());
  if (const TokenMap* map = model.head().token_map()) check_map(*map, model.config().vocab_size, tensors);
  if (finder.transposed()) log_info(finder.note());
  return finder;
}
}  // namespace

void load_weights(graph::Runtime& runtime, const LanguageModel& model, const ModelTensors& tensors) {
  const ParameterFinder finder = checked_tensors(model, tensors);
  upload_constants(runtime, model);
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    const auto matrix = weights::matrix_of(spec);
    if (const std::string& name = *finder.name_of(spec.name); tensors.is_coded(name))
      if (const CodedMatrix coded = tensors.read_coded(name); matrix->holds(coded)) {
        matrix->upload(runtime, coded);
        continue;
      }
    values.resize(static_cast<std::size_t>(spec.shape.count()));
    finder.read(spec.name, values);
    matrix->upload(runtime, values);
  }
}

namespace {
/// A tensor that is read whole when its first piece is asked for. What is shared lies behind a pointer because
/// std::function must be copyable; only one tensor is on the host at a time.
TensorSource read_at_once(std::string name, const graph::ParameterSpec& spec,
                          std::function<void(std::span<float>)> read) {
  auto values = std::make_shared<std::vector<float>>();
  const std::int64_t count = spec.shape.count();
  return {std::move(name), spec.file_shape(),
          [values, count, read = std::move(read)](std::int64_t first, std::span<float> out) {
            if (first == 0) {
              values->resize(static_cast<std::size_t>(count));
              read(*values);
            }
            std::copy_n(values->begin() + first, out.size(), out.begin());
            if (first + static_cast<std::int64_t>(out.size()) == count) std::vector<float>().swap(*values);
          }};
}
}  // namespace

std::vector<TensorSource> tensors_to_save(graph::Runtime& runtime, std::span<const graph::ParameterSpec> parameters,
                                          const std::string& prefix) {
  std::vector<TensorSource> sources;
  for (const graph::ParameterSpec& spec : parameters)
    sources.push_back(
        read_at_once(prefix + spec.name, spec,
                     [&runtime, name = prefix + spec.name](std::span<float> out) { runtime.download(name, out); }));
  return sources;
}

std::vector<TensorSource> tensors_to_copy(const LanguageModel& model, const ModelTensors& tensors,
                                          std::optional<TensorDtype> dtype) {
  const auto finder = std::make_shared<const ParameterFinder>(checked_tensors(model, tensors));
  std::vector<TensorSource> sources;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    sources.push_back(
        read_at_once(spec.name, spec, [finder, name = spec.name](std::span<float> out) { finder->read(name, out); }));
    sources.back().dtype = dtype.value_or(tensors.info(*finder->name_of(spec.name)).dtype);
  }
  return sources;
}

}  // namespace fabula::models
