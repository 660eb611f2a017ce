#include "api/call.hpp"
#include "fabula/fabula.h"

namespace fabula::api {
namespace {

constexpr std::uint32_t kMajor = 10000;

std::string version_text(std::uint32_t version) {
  return fmt::format("{}.{}.{}", version / kMajor, version / 100 % 100, version % 100);
}

}  // namespace
}  // namespace fabula::api

using namespace fabula;

std::uint32_t fabula_version(void) {
  return FABULA_VERSION;
}

const char* fabula_version_text(void) {
  return FABULA_VERSION_TEXT;
}

fabula_status fabula_check_version(std::uint32_t header) {
  return api::call([&] {
    constexpr std::uint32_t own = FABULA_VERSION;
    if (header / api::kMajor != own / api::kMajor || header > own)
      fail(ErrorCode::kUnsupported,
           "the program was compiled for fabula {}, and the library that was loaded is {}; install the one that "
           "belongs to the program, or compile it again",
           api::version_text(header), api::version_text(own));
  });
}
