#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "vk/open_device.hpp"

namespace fabula::vk {

DeviceOptions& base_options() {
  static DeviceOptions options;
  return options;
}

}  // namespace fabula::vk

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  auto& options = fabula::vk::base_options();
  options.cache_dir = "none";
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (std::strcmp(argv[i], "--device") == 0 && more) {
      options.device = argv[++i];
    } else if (std::strcmp(argv[i], "--limits") == 0 && more) {
      options.limits = argv[++i];
    } else if (std::strcmp(argv[i], "--quick") == 0) {
      // Nothing here is large.
    } else {
      std::fprintf(stderr, "unknown flag %s (--device NAME, --limits PROFILE, --quick)\n", argv[i]);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
