#include "serve/errors.hpp"

#include <nlohmann/json.hpp>

#include "formats/json_access.hpp"

namespace fabula::serve {
namespace {

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
    case 405:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 500:
      return "server_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return "invalid_request_error";
  }
}

nlohmann::ordered_json text_or_null(std::string_view text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(std::string(text));
}

}  // namespace

std::string error_json(int status, std::string_view message, std::string_view param, std::string_view short_name) {
  nlohmann::ordered_json error{{"message", std::string(message)},
                               {"type", std::string(error_type(status))},
                               {"param", text_or_null(param)},
                               {"code", text_or_null(short_name)}};
  return dump_json(nlohmann::ordered_json{{"error", std::move(error)}});
}

int error_status(const Error& error) {
  if (const auto* own = dynamic_cast<const RequestError*>(&error)) return own->status();
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFormat:
      return 400;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kDeviceLost:
    case ErrorCode::kInterrupted:
      return 503;
    default:
      return 500;
  }
}

std::string error_json(const Error& error) {
  const int status = error_status(error);
  if (const auto* own = dynamic_cast<const RequestError*>(&error))
    return error_json(status, own->what(), own->param(), own->short_name());
  switch (error.code()) {
    case ErrorCode::kDeviceLost:
      return error_json(status, "the device stopped answering; the server has to be started again", {}, "device_lost");
    case ErrorCode::kInterrupted:
      return error_json(status, "the server is stopping; ask again when it is back", {}, "stopping");
    case ErrorCode::kNumeric:
      return error_json(status, "the model gave no finite probability for any token; its weights may be damaged", {},
                        "numeric");
    default:
      return error_json(status, status == 500 ? "something went wrong in the server; its log says more" : error.what());
  }
}

}  // namespace fabula::serve
