#include "models/token_inputs.hpp"

#include "base/fail.hpp"
#include "base/segments.hpp"

namespace fabula::models {
using namespace graph;

namespace {

/// Of rows of a table: what they are called, and how many there are.
struct Keyed {
  const char *rows, *order, *segments;
  std::int64_t count;
};
Keyed of_tokens(const LanguageModel& model) {
  return {"ids", "order", "segments", model.config().vocab_size};
}
Keyed of_classes(const heads::InputClasses& classes) {
  return {"class_rows", "class_order", "class_segments", classes.vectors->shape.rows};
}
constexpr const char* kRowOf = "class_row_of";  // constant [1, V]

void add_words(std::vector<heads::NamedWords>& words, const Keyed& keyed, std::vector<std::uint32_t> rows,
               heads::LossUse use) {
  if (use == heads::LossUse::kGradient) {
    SegmentPlan plan = plan_segments(rows, keyed.count);
    words.push_back({keyed.order, std::move(plan.order)});
    words.push_back({keyed.segments, std::move(plan.segments)});
  }
  words.push_back({keyed.rows, std::move(rows)});
}

}  // namespace

BodyInputs token_inputs(Graph& graph, const LanguageModel& model, std::int64_t N, heads::LossUse use) {
  const bool gradient = use == heads::LossUse::kGradient;
  const auto declare = [&](const Keyed& keyed, Value& rows, Value& order, Value& segments) {
    rows = graph.input(keyed.rows, {1, N}, DType::kU32);
    if (!gradient) return;
    order = graph.input(keyed.order, {1, N}, DType::kU32);
    segments = graph.input(keyed.segments, {1, SegmentCapacity{N, keyed.count}.words()}, DType::kU32);
  };
  BodyInputs inputs;
  declare(of_tokens(model), inputs.ids, inputs.order, inputs.segments);
  if (gradient && (model.config().embd_dropout > 0 || model.config().resid_dropout > 0))
    inputs.seed = graph.input("seed", {1, 4}, DType::kU32);
  if (const heads::InputClasses* classes = model.head().input_classes()) {
    ClassInputs& read = inputs.classes.emplace(ClassInputs{.vectors = *classes->vectors});
    declare(of_classes(*classes), read.rows, read.order, read.segments);
  }
  return inputs;
}

std::vector<heads::NamedWords> token_words(const LanguageModel& model, std::span<const std::uint32_t> ids,
                                           heads::LossUse use) {
  for (std::size_t n = 0; n < ids.size(); ++n)
    if (ids[n] >= model.config().vocab_size)
      fail(ErrorCode::kInvalidArgument, "token id {} at position {} of the batch, the model has {} tokens", ids[n], n,
           model.config().vocab_size);
  std::vector<heads::NamedWords> words;
  add_words(words, of_tokens(model), {ids.begin(), ids.end()}, use);
  if (const heads::InputClasses* classes = model.head().input_classes()) {
    std::vector<std::uint32_t> rows;
    rows.reserve(ids.size());
    for (const std::uint32_t id : ids) rows.push_back(classes->rows.at(id));
    add_words(words, of_classes(*classes), std::move(rows), use);
  }
  return words;
}

std::optional<ClassInputs> step_classes(Graph& graph, const LanguageModel& model) {
  const heads::InputClasses* classes = model.head().input_classes();
  if (classes == nullptr) return std::nullopt;
  return ClassInputs{.vectors = *classes->vectors,
                     .row_of = graph.constant(kRowOf, {1, model.head().vocabulary(), DType::kU32})};
}

std::vector<heads::NamedWords> step_constants(const heads::Head& head) {
  if (const heads::InputClasses* classes = head.input_classes()) return {{kRowOf, classes->rows}};
  return {};
}

void set_inputs(Runtime& runtime, std::size_t graph, std::span<const heads::NamedWords> inputs) {
  for (const heads::NamedWords& input : inputs)
    runtime.set_input(graph, input.name, std::span<const std::uint32_t>(input.words));
}

}  // namespace fabula::models
