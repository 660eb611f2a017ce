#pragma once
#include <stdexcept>
#include <string>

namespace fabula {

/// What kind of thing went wrong; the program's exit status follows from it.
enum class ErrorCode {
  kInvalidArgument,  ///< a flag, config value or call that cannot be honoured
  kNotFound,         ///< a file, tensor or device that is not there
  kIo,               ///< reading or writing failed (a full disk, say)
  kFormat,           ///< a file that is not what it says it is
  kUnsupported,      ///< valid, but not implemented or not possible on this device
  kDevice,           ///< no loader, no device, or the driver refused
  kDeviceLost,       ///< the device stopped answering
  kOutOfMemory,      ///< host or device memory
  kNumeric,          ///< a non-finite loss or gradient
  kInterrupted,      ///< stopped by the user
  kPeer,             ///< another process of the same run did not answer, or ended the run
  kInternal,         ///< a bug in fabula
};

/// The one exception type that fabula throws. what() says what, where, expected and actual, and the next step.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace fabula
