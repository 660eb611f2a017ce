#include "base/environment.hpp"

#include <cstdlib>

#include "base/windows/system.hpp"

#include <shellapi.h>  // wants windows.h before it

namespace fabula {

std::string environment(const char* name) {
  const wchar_t* value = ::_wgetenv(to_wide(name).c_str());
  return value != nullptr ? to_utf8(value) : "";
}

// Both that of the C library and that of the system, which drivers ask.
void set_environment(const char* name, const std::string& value) {
  ::_wputenv((to_wide(name) + L"=" + to_wide(value)).c_str());
}

void unset_environment(const char* name) {
  ::_wputenv((to_wide(name) + L"=").c_str());
}

std::filesystem::path user_cache_folder() {
  return environment("LOCALAPPDATA");
}

// main()'s are in the system's code page, with what it has no letter for as "?".
std::vector<std::string> program_arguments(int argc, char** argv) {
  int count = 0;
  wchar_t** const words = ::CommandLineToArgvW(::GetCommandLineW(), &count);
  if (words == nullptr) return {argv, argv + argc};
  std::vector<std::string> arguments;
  for (int i = 0; i < count; ++i) arguments.push_back(to_utf8(words[i]));
  ::LocalFree(words);
  return arguments;
}

}  // namespace fabula
