#include "formats/match_tensors.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "formats/config_keys.hpp"

namespace fabula {
namespace {

constexpr std::size_t kMaxProblems = 8;  // a wrong config makes every tensor wrong

/// What the shape of a tensor, found as `found`, most likely does not fit: "n_inner is 512".
std::string shape_hint(const TensorSpec& spec, const std::vector<std::int64_t>& found, const ModelConfig& model) {
  const auto key = [&](std::string_view spelling, std::int64_t value) {
    return fmt::format("{} is {}", model_key(model.family, spelling), value);
  };
  const std::int64_t rows = spec.shape.front();
  if (!spec.rows_key.empty() && (found.empty() || found.front() != rows)) return key(spec.rows_key, rows);
  if (!spec.head.empty()) return fmt::format("the head is {}", spec.head);
  const bool inner = std::find(spec.shape.begin(), spec.shape.end(), model.feed_forward()) != spec.shape.end() &&
                     std::find(found.begin(), found.end(), model.feed_forward()) == found.end();
  return inner ? key("n_inner", model.feed_forward()) : key("n_embd", model.hidden);
}

// What is wrong with a tensor that stands for `spec`; empty: nothing.
std::string problem_of(const ParameterFinder& finder, const TensorSpec& spec, const ModelConfig& model) {
  const std::string* name = finder.name_of(spec.name);
  if (name == nullptr) return fmt::format("tensor \"{}\" {} is missing", spec.name, shape_text(spec.shape));
  const TensorInfo& info = finder.tensors().info(*name);
  if (!holds_weights(info.dtype))
    return fmt::format("tensor \"{}\" is {}, weights must be F32, F16 or BF16", *name, dtype_name(info.dtype));
  const std::vector<std::int64_t> shape = finder.shape_of(spec.name);  // as the model would have it
  if (shape == spec.shape) return "";
  std::vector<std::int64_t> needed = spec.shape;
  if (shape != info.shape) std::reverse(needed.begin(), needed.end());
  const bool turned = shape.size() == 2 && needed.size() == 2 && shape[0] == needed[1] && shape[1] == needed[0];
  return fmt::format("tensor \"{}\" is {}, config.json needs {}; {}", *name, shape_text(info.shape), shape_text(needed),
                     turned ? "it is transposed, other matrices of the file are not" : shape_hint(spec, shape, model));
}

}  // namespace

bool ExpectedTensors::is_buffer(std::string_view plain) const {
  return std::any_of(buffers.begin(), buffers.end(), [&](std::string_view end) { return plain.ends_with(end); });
}

bool holds_weights(TensorDtype dtype) {
  return dtype == TensorDtype::kF32 || dtype == TensorDtype::kF16 || dtype == TensorDtype::kBf16;
}

ParameterFinder match_tensors(const ModelTensors& tensors, const ExpectedTensors& expected, const ModelConfig& config) {
  ParameterFinder finder(tensors, expected.tensors);
  std::set<std::string> used;  // names in the file
  std::vector<std::string> problems;
  for (const TensorSpec& spec : expected.tensors) {
    if (const std::string* name = finder.name_of(spec.name)) used.insert(*name);
    if (std::string problem = problem_of(finder, spec, config); !problem.empty())
      problems.push_back(std::move(problem));
  }
  for (const std::string& name : tensors.names()) {
    const std::string plain = without_wrappers(name);
    if (used.contains(name) || expected.is_buffer(plain)) continue;
    if (finder.repeats(plain)) continue;
    const TensorSpec* original =
        config.tie_word_embeddings && !config.head.has_map() ? finder.repeated(plain) : nullptr;
    problems.push_back(original ? fmt::format("tensor \"{}\" differs from \"{}\", the token embedding, and config.json "
                                              "ties them; set tie_word_embeddings to false",
                                              name, original->name)
                                : fmt::format("tensor \"{}\" {} is not part of the model in config.json", name,
                                              shape_text(tensors.info(name).shape)));
  }
  if (problems.empty()) return finder;
  const std::size_t shown = std::min(problems.size(), kMaxProblems);
  std::string text =
      fmt::format("{}", fmt::join(problems.begin(), problems.begin() + static_cast<std::ptrdiff_t>(shown), "\n  "));
  if (shown < problems.size()) text += fmt::format("\n  and {} more", problems.size() - shown);
  fail(ErrorCode::kFormat, "{}: {}", tensors.path().string(), text);
}

}  // namespace fabula
