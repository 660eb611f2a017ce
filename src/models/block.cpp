#include "models/block.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "graph/workload.hpp"
#include "ops/storage.hpp"

namespace fabula::models {
using namespace graph;

const ParameterSpec& BodyCall::spec(std::string_view name) const {
  return parameters.find(std::string(family.prefix) + std::string(name));
}

namespace {
/// row_product's attribute norm.
std::int64_t norm_code(NormKind kind) {
  switch (kind) {
    case NormKind::kLayer:
      return 1;
    case NormKind::kRms:
      return 2;
  }
  fail(ErrorCode::kInternal, "there is no norm {}", static_cast<int>(kind));
}
}  // namespace

Value BodyCall::norm(Value x, std::string_view name) const {
  const Value weight = parameter(fmt::format("{}.weight", name));
  const Attrs attrs{{"eps", config.layer_norm_epsilon}};
  switch (family.norm) {
    case NormKind::kLayer:
      return graph.op1("layer_norm", {x, weight, parameter(fmt::format("{}.bias", name))}, attrs);
    case NormKind::kRms:
      return graph.op1("rms_norm", {x, weight}, attrs);
  }
  fail(ErrorCode::kInternal, "there is no norm {}", static_cast<int>(family.norm));
}

weights::Hidden BodyCall::pending_norm(Value x, std::string_view name) const {
  weights::Hidden hidden(x);
  hidden.places = inputs.cached.value().places;
  hidden.norm = norm_code(family.norm);
  hidden.eps = config.layer_norm_epsilon;
  hidden.norm_weight = parameter(fmt::format("{}.weight", name));
  if (family.norm == NormKind::kLayer) hidden.norm_bias = parameter(fmt::format("{}.bias", name));
  return hidden;
}

Value BodyCall::dropout(Value x, Value residual, double p, int site) const {
  ensure(bool(inputs.seed), "dropout needs the seed input");
  return graph.op1("dropout", {x, inputs.seed, residual}, {{"p", p}, {"stream", site}});
}

std::string BlockCall::full(std::string_view name) const {
  return fmt::format("{}{}.{}", body.family.blocks, layer, name);
}

Value BlockCall::parameter(std::string_view name) const {
  return body.parameter(full(name));
}

std::unique_ptr<const weights::Matrix> BlockCall::matrix(std::string_view name) const {
  return weights::matrix_of(body.spec(full(name)));
}

Rows BlockCall::norm(Value x, std::string_view name) const {
  if (body.shape.few_rows) return {.x = x, .norm = name};
  return {body.norm(x, full(name))};
}

Value BlockCall::few_rows_linear(const Rows& x, const Linear& of, bool gelu) const {
  weights::Hidden read = x.norm.empty() ? weights::Hidden(x.x) : body.pending_norm(x.x, full(x.norm));
  read.places = body.inputs.cached->places;
  const Value bias = of.bias.empty() ? Value{} : parameter(of.bias);
  return matrix(of.weight)->product(graph(), read, {.bias = bias, .residual = of.residual, .gelu = gelu});
}

Value BlockCall::linear(const Rows& x, const Linear& of) const {
  if (body.shape.few_rows) return few_rows_linear(x, of, false);
  // First, so that a copy in another type stands where it always did among the nodes.
  const weights::Operand w = matrix(of.weight)->as_dense(graph(), body.shape.dtype);
  const Value bias = of.bias.empty() ? Value{} : parameter(of.bias);
  const Value read = x.up ? graph().op1("gated_activation", {x.x, x.up}) : x.gelu ? graph().op1("gelu", {x.x}) : x.x;
  const bool drops = of.residual && body.shape.training && config().resid_dropout > 0;
  const Value y = weights::product(graph(), read, w, {.bias = bias, .residual = drops ? Value{} : of.residual});
  if (!drops) return y;
  return body.dropout(y, of.residual, config().resid_dropout, 1 + 2 * static_cast<int>(layer) + of.site);
}

Rows BlockCall::linear_gelu(const Rows& x, const Linear& of) const {
  if (body.shape.few_rows) return {few_rows_linear(x, of, true)};
  return {.x = linear(x, of), .gelu = true};
}

Rows BlockCall::linear_gated(const Rows& x, const Linear& gate, const Linear& up) const {
  const Value gated = linear(x, gate), other = linear(x, up);
  if (body.shape.few_rows) return {graph().op1("gated_activation", {gated, other})};
  return {.x = gated, .up = other};
}

Value BlockCall::angles() const {
  return graph().constant(kRotaryAngles, {config().n_positions, config().head_dim()});
}

namespace {
/// A layer's cache: a row a position of a slot, keys and values side by side.
struct CacheShape {
  std::int64_t capacity = 0;  ///< positions of a slot
  Shape shape = {};
};
CacheShape cache_shape(const ModelConfig& config, std::int64_t window, const CachedInputs& cached) {
  CacheShape cache{.capacity = cached.context};
  // A ring: no row of the longest prompt writes over what another one still reads.
  if (window > 0) cache.capacity = std::min(cache.capacity, window + cached.longest_prompt);
  cache.shape = {cached.slot_count * cache.capacity, 2 * config.key_value_heads() * config.head_dim(), cached.dtype};
  return cache;
}
}  // namespace

Value BlockCall::cached_attend(std::span<const Value> qkv, const Attention& attention) const {
  const CachedInputs& cached = *body.inputs.cached;
  const CacheShape cache = cache_shape(config(), attention.window, cached);
  std::vector<Value> inputs(qkv.begin(), qkv.end());
  inputs.resize(3);
  inputs.push_back(graph().state(fmt::format("{}{}", graph::kCachePrefix, layer), cache.shape, cache.capacity));
  inputs.push_back(cached.places);
  if (attention.rotary) inputs.push_back(angles());
  return graph()
      .op("cached_attention", std::span<const Value>(inputs),
          {{"batch", double(body.shape.batch)},
           {"heads", double(config().heads)},
           {"kv_heads", double(config().key_value_heads())},
           {"capacity", double(cache.capacity)},
           {"window", double(attention.window)},
           {"scaled", attention.scaled ? 1.0 : 0.0}})
      .front();
}

Value BlockCall::attend(std::initializer_list<Value> qkv, const Attention& attention) const {
  if (body.inputs.cached) return cached_attend({qkv.begin(), qkv.size()}, attention);
  std::vector<Value> parts = qkv;
  const std::int64_t heads = config().heads, kv_heads = config().key_value_heads();
  if (attention.rotary)
    for (std::size_t i = 0; i < 2; ++i)
      parts.at(i) =
          graph().op1("rotary", {parts[i], angles()},
                      {{"heads", double(i == 0 ? heads : kv_heads)}, {"sequence", double(body.shape.sequence)}});
  if (kv_heads < heads)
    for (std::size_t i = 1; i < 3; ++i)
      parts.at(i) = graph().op1("repeat_heads", {parts.at(i)},
                                {{"heads", double(kv_heads)}, {"repeats", double(heads / kv_heads)}});
  return graph()
      .op("attention", std::span<const Value>(parts),
          {{"batch", double(body.shape.batch)},
           {"heads", double(heads)},
           {"window", double(attention.window)},
           {"scaled", attention.scaled ? 1.0 : 0.0}})
      .front();
}

std::vector<float> rotary_angles(const ModelConfig& config) {
  const std::int64_t size = config.head_dim(), half = size / 2;
  std::vector<float> angles(static_cast<std::size_t>(config.n_positions * size));
  for (std::int64_t i = 0; i < half; ++i) {
    const double speed = std::pow(config.rope_theta, -2.0 * double(i) / double(size));
    for (std::int64_t position = 0; position < config.n_positions; ++position) {
      const auto at = static_cast<std::size_t>(position * size + i);
      angles[at] = static_cast<float>(std::cos(double(position) * speed));
      angles[at + static_cast<std::size_t>(half)] = static_cast<float>(std::sin(double(position) * speed));
    }
  }
  return angles;
}

void learned_tables(SpecList& specs) {
  specs.table("wte.weight", specs.config.vocab_size, RowsOf::kTokens);
  specs.table("wpe.weight", specs.config.n_positions, RowsOf::kPositions);
}

void last_norm_parameters(SpecList& specs) {
  specs.layer_norm("ln_f");
}

}  // namespace fabula::models
