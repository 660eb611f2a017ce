#include "formats/model_tensors.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

TEST(ModelTensors, ALinkThatLeadsNowhereIsNamed) {
  TempDir dir;
  std::filesystem::create_symlink("../objects/abc", dir / "model.safetensors");
  expect_error(ErrorCode::kNotFound, {"model.safetensors is a link to ../objects/abc, which is not there"},
               [&] { ModelTensors::open(dir.path()); });
}

}  // namespace
}  // namespace fabula
