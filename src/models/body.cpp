#include "models/body.hpp"

#include "base/fail.hpp"
#include "formats/config_keys.hpp"
#include "models/block.hpp"
#include "ops/attention.hpp"
#include "ops/storage.hpp"
#include "weights/matrix.hpp"

namespace fabula::models {
using namespace graph;

static_assert(ops::kMaxHeadSize == fabula::kMaxHeadSize, "a config is refused for what its attention cannot do");

void check_supported(const ModelConfig& config, std::int64_t sequence, bool training) {
  const auto key = [&](std::string_view spelling) { return model_key(config.family, spelling); };
  if (sequence > config.n_positions)
    fail(ErrorCode::kInvalidArgument, "a sequence of {} positions exceeds the model's {} ({})", sequence,
         config.n_positions, key("n_positions"));
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const bool local = config.attention(layer) == AttentionKind::kLocal;
    const std::int64_t span = local ? std::min(config.window_size, sequence) : sequence;
    if (span > ops::kMaxAttentionSpan)
      fail(ErrorCode::kUnsupported, "layer {} attends to {} positions at a time, at most {} are supported; use a {}",
           layer, span, ops::kMaxAttentionSpan, local ? "smaller window_size" : "shorter sequence");
  }
  if (training && config.attn_dropout > 0)
    fail(ErrorCode::kUnsupported,
         "dropout of attention weights is not implemented ({0} is {1}); train with --set {0}=0", key("attn_pdrop"),
         config.attn_dropout);
}

Body::Body(const ModelConfig& config, const Family& family, const weights::Storage& weights)
    : config_(config), family_(&family) {
  SpecList specs(config_, parameters_);
  specs.prefix = family.prefix;
  family.first_parameters(specs);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    specs.prefix = fmt::format("{}{}{}.", family.prefix, family.blocks, layer);
    family.block_parameters(specs);
  }
  specs.prefix = family.prefix;
  family.last_parameters(specs);
  parameters_.change([&](ParameterSpec& spec) { weights::store_as(spec, weights); });
  ensure(token_embedding().name == std::string(family.prefix) + std::string(family.token_embedding),
         "the first parameter of {} is \"{}\"", family.name, token_embedding().name);
}

std::vector<heads::NamedWords> Body::constants() const {
  if (family_->constants == nullptr) return {};
  return family_->constants(config_);
}

weights::Hidden Body::hidden(Graph& graph, const BodyShape& shape, const BodyInputs& inputs) const {
  check_supported(config_, shape.sequence, shape.training);
  BodyInputs read = inputs;
  const BodyCall call{graph, config_, *family_, parameters_, shape, read};
  Value x = inputs.cached && inputs.cached->slots ? step_embedding(call, *read.cached) : embedding(call);
  if (inputs.classes) x = with_class(call, x);
  if (shape.training && config_.embd_dropout > 0) x = call.dropout(x, {}, config_.embd_dropout, 0);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    const Graph::Scope scope(graph, fmt::format("h.{}", layer));
    const Graph::Segment segment(graph);
    x = family_->block(BlockCall{call, layer}, x);
  }
  if (shape.few_rows) return call.pending_norm(x, family_->final_norm);
  return call.norm(x, family_->final_norm);
}

Value Body::first_states(Graph& graph, const BodyShape& shape, const BodyInputs& inputs) const {
  check_supported(config_, shape.sequence, shape.training);
  ensure(!inputs.cached && !shape.training, "the parts of a body are those of whole sequences");
  const BodyCall call{graph, config_, *family_, parameters_, shape, inputs};
  const Value x = embedding(call);
  return inputs.classes ? with_class(call, x) : x;
}

Value Body::layer(Graph& graph, const BodyShape& shape, std::int64_t layer, Value x) const {
  const Graph::Scope scope(graph, fmt::format("h.{}", layer));
  const BodyInputs none;
  return family_->block(BlockCall{BodyCall{graph, config_, *family_, parameters_, shape, none}, layer}, x);
}

Value Body::last_norm(Graph& graph, const BodyShape& shape, Value x) const {
  const BodyInputs none;
  return BodyCall{graph, config_, *family_, parameters_, shape, none}.norm(x, family_->final_norm);
}

Value Body::embedding(const BodyCall& call) const {
  const BodyInputs& inputs = call.inputs;
  Attrs stored;
  if (is_half(call.shape.dtype)) stored.set("out", double(storage_code(call.shape.dtype)));
  const Value x = weights::matrix_of(token_embedding())
                      ->rows(call.graph, {inputs.ids, inputs.order, inputs.segments}, call.shape.dtype);
  if (family_->position_table.empty()) return x;
  const Value positions = call.parameter(family_->position_table);
  if (!inputs.cached)
    return call.graph.op1("add_position", {x, positions}, {{"sequence", double(call.shape.sequence)}});
  return call.graph.op1("add", {x, call.graph.op1("embedding", {inputs.cached->positions, positions}, stored)});
}

Value Body::with_class(const BodyCall& call, Value x) const {
  const ClassInputs& classes = *call.inputs.classes;
  const auto vectors = weights::matrix_of(classes.vectors);
  if (!classes.row_of)
    return call.graph.op1(
        "add", {x, vectors->rows(call.graph, {classes.rows, classes.order, classes.segments}, call.shape.dtype)});
  const weights::Operand table = vectors->as_stored(call.graph);
  return call.graph.op1("add_class_vectors",
                        {x, call.inputs.cached->places, classes.row_of, table.values, table.scales});
}

Value Body::step_embedding(const BodyCall& call, CachedInputs& cached) const {
  const weights::Operand table = weights::matrix_of(token_embedding())->as_stored(call.graph);
  const Value positions = family_->position_table.empty() ? Value{} : call.parameter(family_->position_table);
  const std::vector<Value> made =
      call.graph.op("embed_tokens", {cached.slots, cached.rows, table.values, table.scales, positions});
  cached.places = made[1];
  return made[0];
}

}  // namespace fabula::models
