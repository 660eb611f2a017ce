#pragma once
#include "serve/server.hpp"

namespace fabula::serve {

/// GET /v1/models, GET /v1/models/{id}, POST /tokenize, POST /detokenize.
HttpAnswer list_models(const Call& call);
HttpAnswer one_model(const Call& call);
HttpAnswer tokenize(const Call& call);
HttpAnswer detokenize(const Call& call);

}  // namespace fabula::serve
