#include "models/family.hpp"

#include "base/fail.hpp"

namespace fabula::models {
using graph::Init;

void SpecList::add(graph::ParameterSpec spec) {
  spec.name = prefix + spec.name;
  into_.add(std::move(spec));
}

void SpecList::vector(std::string_view name, std::int64_t n, Init init) {
  add({.name = std::string(name), .shape = {1, n}, .is_vector = true, .init = init, .decay = false});
}

void SpecList::linear(std::string_view name, std::int64_t rows, std::int64_t cols, double scale) {
  add({.name = std::string(name),
       .shape = {rows, cols},
       .is_linear = true,
       .is_weight = true,
       .init_std = config.initializer_range * scale});
}

void SpecList::conv1d(std::string_view name, std::int64_t rows, std::int64_t cols, double scale) {
  add({.name = std::string(name),
       .shape = {rows, cols},
       .is_linear = true,
       .is_weight = true,
       .inputs_first = true,
       .init_std = config.initializer_range * scale});
}

void SpecList::table(std::string_view name, std::int64_t rows, graph::RowsOf of) {
  add({.name = std::string(name),
       .shape = {rows, config.hidden},
       .is_weight = of == graph::RowsOf::kTokens,
       .rows = of,
       .init_std = config.initializer_range});
}

void SpecList::layer_norm(std::string_view name) {
  vector(fmt::format("{}.weight", name), config.hidden, Init::kOnes);
  vector(fmt::format("{}.bias", name), config.hidden, Init::kZeros);
}

void SpecList::rms_norm(std::string_view name) {
  vector(fmt::format("{}.weight", name), config.hidden, Init::kOnes);
}

const Family& family_of(ModelFamily family) {
  switch (family) {
    case ModelFamily::kGpt2:
      return kGpt2;
    case ModelFamily::kGptNeo:
      return kGptNeo;
    case ModelFamily::kLlama:
      return kLlama;
  }
  fail(ErrorCode::kInternal, "there is no family {}", static_cast<int>(family));
}

}  // namespace fabula::models
