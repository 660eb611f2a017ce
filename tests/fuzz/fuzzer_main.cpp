// One libFuzzer program: FUZZ_TARGET names the target.
#include <cstddef>
#include <cstdint>

#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fabula::fuzz::FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
