#include "models/weights.hpp"

#include <algorithm>
#include <memory>

#include "base/log.hpp"
#include "base/philox.hpp"
#include "formats/hf_names.hpp"

namespace fabula::models {

void upload_constants(graph::Runtime& runtime, const LanguageModel& model) {
  for (const heads::NamedWords& constant : model.head().constants())
    if (runtime.workload().stored().contains(constant.name)) runtime.upload(constant.name, constant.words);
}

void initialise_weights(graph::Runtime& runtime, const LanguageModel& model, std::uint64_t seed) {
  upload_constants(runtime, model);
  std::uint64_t stream = 0;
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    values.assign(static_cast<std::size_t>(spec.shape.count()), spec.init == graph::Init::kOnes ? 1.0f : 0.0f);
    Philox random(seed, ++stream);
    if (spec.init == graph::Init::kNormal)
      for (float& v : values) v = static_cast<float>(random.normal() * spec.init_std);
    runtime.upload(spec.name, spec.init == graph::Init::kValues ? *spec.values : values);
  }
}

void load_weights(graph::Runtime& runtime, const LanguageModel& model, const ModelTensors& tensors) {
  const ParameterFinder finder = match_tensors(tensors, model.config());
  if (finder.transposed()) log_info(finder.note());
  upload_constants(runtime, model);
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    values.resize(static_cast<std::size_t>(spec.shape.count()));
    finder.read(spec.name, values);
    runtime.upload(spec.name, values);
  }
}

std::vector<TensorSource> tensors_to_save(graph::Runtime& runtime, const LanguageModel& model,
                                          const std::string& prefix) {
  std::vector<TensorSource> sources;
  for (const TensorSpec& tensor : expected_tensors(model.config())) {
    // Shared because std::function must be copyable; only one tensor is on the host at a time.
    auto values = std::make_shared<std::vector<float>>();
    std::int64_t count = 1;
    for (std::int64_t extent : tensor.shape) count *= extent;
    sources.push_back(
        {prefix + tensor.name, tensor.shape,
         [&runtime, values, count, name = prefix + tensor.name](std::int64_t first, std::span<float> out) {
           if (first == 0) {
             values->resize(static_cast<std::size_t>(count));
             runtime.download(name, *values);
           }
           std::copy_n(values->begin() + first, out.size(), out.begin());
           if (first + static_cast<std::int64_t>(out.size()) == count) std::vector<float>().swap(*values);
         }});
  }
  return sources;
}

}  // namespace fabula::models
