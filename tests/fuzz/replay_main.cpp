// fuzz_corpora FOLDER: runs every target over the files of FOLDER/<target>, some of which must be such files, and over
// damaged copies of each; any compiler builds it.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "formats/mutate.hpp"
#include "fuzz/targets.hpp"

namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fabula::fuzz::give_up("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kDamagedCopies = 40;
  if (argc != 2) fabula::fuzz::give_up("usage: fuzz_corpora FOLDER");
  for (const fabula::fuzz::NamedTarget& target : fabula::fuzz::kTargets) {
    const std::vector<std::filesystem::path> files = files_of(std::filesystem::path(argv[1]) / target.name);
    if (files.empty()) fabula::fuzz::give_up(fmt::format("{}/{} holds no files", argv[1], target.name));
    std::size_t taken = 0, copies_taken = 0;
    std::mt19937 random(1);
    for (const std::filesystem::path& path : files) {
      const std::string bytes = bytes_of(path);
      taken += target.run(bytes);
      for (int copy = 0; copy < kDamagedCopies; ++copy) copies_taken += target.run(fabula::test::mutate(bytes, random));
    }
    fmt::print("{}: {} of {} files are read, and {} of {} damaged copies\n", target.name, taken, files.size(),
               copies_taken, kDamagedCopies * files.size());
    std::fflush(stdout);
    fabula::fuzz::require(taken > 0 && taken < files.size(), "of each kind some files are read and some refused");
  }
  return 0;
}
