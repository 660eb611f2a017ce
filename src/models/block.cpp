#include "models/block.hpp"

#include "base/fail.hpp"
#include "ops/storage.hpp"

namespace fabula::models {
using namespace graph;

Value BodyCall::parameter(std::string_view name) const {
  return parameters.in(graph, std::string(family.prefix) + std::string(name));
}

Value BodyCall::layer_norm(Value x, std::string_view name) const {
  return graph.op1("layer_norm",
                   {x, parameter(fmt::format("{}.weight", name)), parameter(fmt::format("{}.bias", name))},
                   {{"eps", config.layer_norm_epsilon}});
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

Value BlockCall::weight(std::string_view name) const {
  return ops::cast_to(graph(), parameter(name), body.shape.dtype);
}

Rows BlockCall::norm(Value x, std::string_view name) const {
  return {body.layer_norm(x, full(name))};
}

Value BlockCall::linear(const Rows& x, const Linear& of) const {
  const Attrs layout{{"transpose_b", of.transposed ? 1.0 : 0.0}};
  const Value w = weight(of.weight), bias = of.bias.empty() ? Value{} : parameter(of.bias);
  const Value read = x.gelu ? graph().op1("gelu", {x.x}) : x.x;
  const bool drops = of.residual && body.shape.training && config().resid_dropout > 0;
  const Value y = graph().op1("matmul", {read, w, bias, drops ? Value{} : of.residual}, layout);
  if (!drops) return y;
  return body.dropout(y, of.residual, config().resid_dropout, 1 + 2 * static_cast<int>(layer) + of.site);
}

Rows BlockCall::linear_gelu(const Rows& x, const Linear& of) const {
  return {.x = linear(x, of), .gelu = true};
}

Value BlockCall::attend(std::initializer_list<Value> qkv, const Attention& attention) const {
  return graph().op1("attention", qkv,
                     {{"batch", double(body.shape.batch)},
                      {"heads", double(config().heads)},
                      {"window", double(attention.window)},
                      {"scaled", attention.scaled ? 1.0 : 0.0}});
}

void learned_tables(SpecList& specs) {
  specs.table("wte.weight", specs.config.vocab_size, RowsOf::kTokens);
  specs.table("wpe.weight", specs.config.n_positions, RowsOf::kPositions);
}

Value learned_positions(const BodyCall& call, Value x) {
  return call.graph.op1("add_position", {x, call.parameter("wpe.weight")}, {{"sequence", double(call.shape.sequence)}});
}

void last_norm_parameters(SpecList& specs) {
  specs.layer_norm("ln_f");
}

Value last_norm(const BodyCall& call, Value x) {
  return call.layer_norm(x, "ln_f");
}

}  // namespace fabula::models
