#include "base/environment.hpp"

#include <cstdlib>

namespace fabula {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void set_environment(const char* name, const std::string& value) {
  ::setenv(name, value.c_str(), 1);
}

void unset_environment(const char* name) {
  ::unsetenv(name);
}

std::filesystem::path user_cache_folder() {
  if (const std::string xdg = environment("XDG_CACHE_HOME"); !xdg.empty()) return xdg;
  if (const std::string home = environment("HOME"); !home.empty()) return std::filesystem::path(home) / ".cache";
  return {};
}

std::vector<std::string> program_arguments(int argc, char** argv) {
  return {argv, argv + argc};
}

}  // namespace fabula
