#include "train/remap.hpp"

#include <string>

#include "base/fail.hpp"
#include "heads/grouped.hpp"
#include "models/weights.hpp"
#include "train/number_check.hpp"

namespace fabula::train {
namespace {

/// What of the head and the token embedding the map says the meaning of.
struct Parts {
  explicit Parts(const models::LanguageModel& model)
      : head(dynamic_cast<const heads::GroupedHead&>(model.head())),
        rows(model.body().token_embedding()),
        vectors(head.of_map().vectors),
        bias(head.of_map().bias),
        shift(head.of_map().shift) {}

  const heads::GroupedHead& head;
  const graph::ParameterSpec rows, vectors, bias, shift;
};

std::vector<float> download(graph::Runtime& runtime, const std::string& prefix, const graph::ParameterSpec& spec) {
  std::vector<float> values(static_cast<std::size_t>(spec.shape.count()));
  runtime.download(prefix + spec.name, values);
  if (const std::string wrong = wrong_number(values, Numbers::kFinite); !wrong.empty())
    fail(ErrorCode::kNumeric, "{}{}: {}", prefix, spec.name, wrong);
  return values;
}

GroupNumbers numbers_of(graph::Runtime& runtime, const Parts& parts, const std::string& prefix) {
  GroupNumbers numbers{.hidden = parts.rows.shape.cols,
                       .slots = parts.shift.shape.cols,
                       .class_input = parts.head.input_classes() != nullptr,
                       .rows = {},
                       .vectors = download(runtime, prefix, parts.vectors),
                       .bias = download(runtime, prefix, parts.bias),
                       .shift = download(runtime, prefix, parts.shift)};
  if (prefix.empty()) numbers.rows = download(runtime, prefix, parts.rows);
  return numbers;
}

void upload(graph::Runtime& runtime, const Parts& parts, const std::string& prefix, const GroupNumbers& numbers) {
  if (prefix.empty() && numbers.class_input) runtime.upload(parts.rows.name, numbers.rows);
  runtime.upload(prefix + parts.vectors.name, numbers.vectors);
  runtime.upload(prefix + parts.bias.name, numbers.bias);
  runtime.upload(prefix + parts.shift.name, numbers.shift);
}

}  // namespace

Moved remap(graph::Runtime& runtime, models::LanguageModel& model, std::span<const std::uint64_t> counts,
            std::uint64_t seed, std::int64_t step) {
  const Parts parts(model);
  const std::string m = std::string(graph::kOptimizerPrefix) + "m.", v = std::string(graph::kOptimizerPrefix) + "v.";
  GroupNumbers weights = numbers_of(runtime, parts, ""), first = numbers_of(runtime, parts, m),
               second = numbers_of(runtime, parts, v);
  const TokenMap from = *parts.head.token_map();
  TokenMap to = regroup(from, input_rows(weights, from), counts,
                        {.hidden = weights.hidden, .slots = weights.slots, .seed = seed});
  to.step = step;
  move_weights(from, to, counts, weights);
  move_moments(from, to, counts, first);
  move_moments(from, to, counts, second);
  const Moved result = moved(from, to, counts);
  upload(runtime, parts, "", weights);
  upload(runtime, parts, m, first);
  upload(runtime, parts, v, second);
  model.change_map(std::move(to));
  models::upload_constants(runtime, model);
  return result;
}

}  // namespace fabula::train
