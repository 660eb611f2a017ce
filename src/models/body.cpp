#include "models/body.hpp"

#include "base/fail.hpp"
#include "formats/config_keys.hpp"
#include "models/block.hpp"
#include "ops/attention.hpp"
#include "ops/storage.hpp"

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

Body::Body(const ModelConfig& config, const Family& family) : config_(config), family_(&family) {
  SpecList specs(config_, parameters_);
  specs.prefix = family.prefix;
  family.first_parameters(specs);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    specs.prefix = fmt::format("{}{}{}.", family.prefix, family.blocks, layer);
    family.block_parameters(specs);
  }
  specs.prefix = family.prefix;
  family.last_parameters(specs);
  ensure(token_embedding().name == std::string(family.prefix) + std::string(family.token_embedding),
         "the first parameter of {} is \"{}\"", family.name, token_embedding().name);
}

Value Body::hidden(Graph& graph, const BodyShape& shape, const BodyInputs& inputs) const {
  check_supported(config_, shape.sequence, shape.training);
  const BodyCall call{graph, config_, *family_, parameters_, shape, inputs};
  Attrs stored;
  if (is_half(shape.dtype)) stored.set("out", double(storage_code(shape.dtype)));
  const Value table = call.parameter(family_->token_embedding);
  Value x = graph.op1("embedding", {inputs.ids, table, inputs.order, inputs.segments}, stored);
  x = family_->positions(call, x);
  if (shape.training && config_.embd_dropout > 0) x = call.dropout(x, {}, config_.embd_dropout, 0);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    const Graph::Scope scope(graph, fmt::format("h.{}", layer));
    const Graph::Segment segment(graph);
    x = family_->block(BlockCall{call, layer}, x);
  }
  return family_->final_norm(call, x);
}

}  // namespace fabula::models
