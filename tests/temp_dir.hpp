#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file_io.hpp"

namespace fabula::test {

/// A fresh folder that is removed at the end of the test.
class TempDir {
 public:
  TempDir() : path_(make_private_folder(std::filesystem::temp_directory_path(), "fabula_test")) {}
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace fabula::test
