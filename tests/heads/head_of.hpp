#pragma once
#include "heads/head.hpp"

namespace fabula::heads {

/// A head alone, beside a token embedding of the body that it would stand on.
inline std::unique_ptr<Head> head_of(const ModelConfig& config, const HeadData& data = {}) {
  return make_head(config, data, {.name = "transformer.wte.weight", .shape = {config.vocab_size, config.hidden}});
}

}  // namespace fabula::heads
