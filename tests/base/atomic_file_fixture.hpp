#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "temp_dir.hpp"

namespace fabula::test {

/// A folder of its own, and what is in it.
class AtomicFileFixture : public testing::Test {
 protected:
  static std::string read(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

 private:
  TempDir dir_;

 protected:
  std::filesystem::path folder_ = dir_.path();
};

}  // namespace fabula::test
