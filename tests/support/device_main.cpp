#include "support/device_main.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <memory>

namespace fabula::test {
namespace {
vk::DeviceOptions& options() {
  static vk::DeviceOptions value;
  return value;
}
bool quick_run = false, thin_run = false;
Kernels checked_kernels = Kernels::kAll;
std::unique_ptr<vk::Device> opened;
}  // namespace

vk::Device& device() {
  if (!opened) opened = vk::Device::open(options());
  return *opened;
}
bool quick() {
  return quick_run;
}
Kernels kernels() {
  return checked_kernels;
}
bool thin() {
  return thin_run || quick_run;
}

/// After the last test: the layer must have stayed silent.
class ValidationSilence : public testing::Environment {
 public:
  void TearDown() override {
    if (!opened) return;
    EXPECT_EQ(opened->validation_messages(), 0u) << "the validation layer reported problems";
    opened.reset();
  }
};

void register_dynamic_tests();

}  // namespace fabula::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  auto& options = fabula::test::options();
  options.cache_dir = "none";
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (!std::strcmp(argv[i], "--validate"))
      options.validate = true;
    else if (!std::strcmp(argv[i], "--quick"))
      fabula::test::quick_run = true;
    else if (!std::strcmp(argv[i], "--best"))
      fabula::test::checked_kernels = fabula::test::Kernels::kBest;
    else if (!std::strcmp(argv[i], "--cover"))
      fabula::test::checked_kernels = fabula::test::Kernels::kCovering;
    else if (!std::strcmp(argv[i], "--thin"))
      fabula::test::thin_run = true;
    else if (!std::strcmp(argv[i], "--device") && more)
      options.device = argv[++i];
    else if (!std::strcmp(argv[i], "--limits") && more)
      options.limits = argv[++i];
    else {
      std::fprintf(stderr,
                   "unknown flag %s (--device NAME, --limits PROFILE, --validate, --quick, --thin, --best, --cover)\n",
                   argv[i]);
      return 2;
    }
  }
  testing::AddGlobalTestEnvironment(new fabula::test::ValidationSilence);
  fabula::test::register_dynamic_tests();
  return RUN_ALL_TESTS();
}
