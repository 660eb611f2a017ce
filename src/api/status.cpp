#include <filesystem>
#include <new>

#include "api/call.hpp"
#include "fabula/error.hpp"

namespace fabula::api {
namespace {

thread_local std::string last_message;

fabula_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return FABULA_INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return FABULA_NOT_FOUND;
    case ErrorCode::kIo:
    case ErrorCode::kPeer:  // of training alone
      return FABULA_IO;
    case ErrorCode::kFormat:
      return FABULA_FORMAT;
    case ErrorCode::kUnsupported:
      return FABULA_UNSUPPORTED;
    case ErrorCode::kDevice:
      return FABULA_DEVICE;
    case ErrorCode::kDeviceLost:
      return FABULA_DEVICE_LOST;
    case ErrorCode::kOutOfMemory:
      return FABULA_OUT_OF_MEMORY;
    case ErrorCode::kNumeric:
      return FABULA_NUMERIC;
    case ErrorCode::kInterrupted:
      return FABULA_INTERRUPTED;
    case ErrorCode::kInternal:
      return FABULA_INTERNAL;
  }
  return FABULA_INTERNAL;
}

fabula_status failed(fabula_status status, const char* message) noexcept {
  try {
    last_message = message;
  } catch (...) {
    last_message.clear();  // no memory for words
  }
  return status;
}

}  // namespace

fabula_status failure() noexcept {
  try {
    throw;
  } catch (const StatusError& error) {
    return failed(error.status(), error.what());
  } catch (const Error& error) {
    return failed(status_of(error.code()), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return failed(FABULA_IO, error.what());
  } catch (const std::bad_alloc&) {
    return failed(FABULA_OUT_OF_MEMORY, "the host's memory is not enough");
  } catch (const std::exception& error) {
    return failed(FABULA_INTERNAL, error.what());
  } catch (...) {
    return failed(FABULA_INTERNAL, "something unknown was thrown");
  }
}

}  // namespace fabula::api

const char* fabula_last_message(void) {
  return fabula::api::last_message.c_str();
}

const char* fabula_status_name(fabula_status status) {
  switch (status) {
    case FABULA_OK:
      return "FABULA_OK";
    case FABULA_INVALID_ARGUMENT:
      return "FABULA_INVALID_ARGUMENT";
    case FABULA_NOT_FOUND:
      return "FABULA_NOT_FOUND";
    case FABULA_IO:
      return "FABULA_IO";
    case FABULA_FORMAT:
      return "FABULA_FORMAT";
    case FABULA_UNSUPPORTED:
      return "FABULA_UNSUPPORTED";
    case FABULA_DEVICE:
      return "FABULA_DEVICE";
    case FABULA_DEVICE_LOST:
      return "FABULA_DEVICE_LOST";
    case FABULA_OUT_OF_MEMORY:
      return "FABULA_OUT_OF_MEMORY";
    case FABULA_NUMERIC:
      return "FABULA_NUMERIC";
    case FABULA_INTERRUPTED:
      return "FABULA_INTERRUPTED";
    case FABULA_INTERNAL:
      return "FABULA_INTERNAL";
    case FABULA_BUSY:
      return "FABULA_BUSY";
    case FABULA_TOO_SMALL:
      return "FABULA_TOO_SMALL";
    case FABULA_CALLBACK_FAILED:
      return "FABULA_CALLBACK_FAILED";
  }
  return "FABULA_UNKNOWN";
}
