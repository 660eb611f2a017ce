#include "fuzz/targets.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "base/temporary_folder.hpp"

namespace fabula::fuzz {

void give_up(std::string_view what) {
  std::cout << "fuzz: " << what
            << std::endl;  // stderr is closed while a fuzzer runs: notes of every file would fill it
  std::abort();
}

std::filesystem::path file_with(std::string_view bytes, std::string_view name) {
  static const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) give_up("no file can be written to " + path.string());
  return path;
}

}  // namespace fabula::fuzz
