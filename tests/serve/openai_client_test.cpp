#include <gtest/gtest.h>

#include <cstdlib>

#include "served_model.hpp"

namespace fabula::serve {
namespace {

TEST(OpenaiClient, IsContent) {
  const char* modules = std::getenv("FABULA_OPENAI_MODULES");
  if (modules == nullptr) GTEST_SKIP() << "FABULA_OPENAI_MODULES names no node_modules folder with the package openai";
  SmallServer small;
  const std::string command =
      fmt::format("node '{}/tests/serve/openai_client.mjs' {} '{}'", FABULA_SOURCE_DIR, small.port(), modules);
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_TRUE(small.falls_idle()) << "what the client aborted still has a slot";
}

}  // namespace
}  // namespace fabula::serve
