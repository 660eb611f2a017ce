#pragma once
#include <string>
#include <string_view>

#include "fabula/error.hpp"

namespace fabula::serve {

/// A request that cannot be answered, as the client is to hear it.
class RequestError : public Error {
 public:
  /// `param` is the field at fault, `short_name` what programs tell errors by; empty: none.
  RequestError(int status, const std::string& message, std::string param = {}, std::string short_name = {})
      : Error(ErrorCode::kInvalidArgument, message),
        status_(status),
        param_(std::move(param)),
        short_name_(std::move(short_name)) {}
  int status() const { return status_; }
  const std::string& param() const { return param_; }
  const std::string& short_name() const { return short_name_; }

 private:
  int status_;
  std::string param_, short_name_;
};

/// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
std::string error_json(int status, std::string_view message, std::string_view param = {},
                       std::string_view short_name = {});
/// What a client hears of any Error: its own words where it is the client's mistake, no inner workings otherwise.
std::string error_json(const Error& error);
int error_status(const Error& error);

}  // namespace fabula::serve
