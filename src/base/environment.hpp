#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace fabula {

/// The value of an environment variable; in UTF-8; empty when it is not set.
std::string environment(const char* name);
/// Sets a variable of this process, for libraries that take a setting in no other way. Not for use beside other
/// threads.
void set_environment(const char* name, const std::string& value);
void unset_environment(const char* name);

/// Where a program of this user may keep what it can make again; empty where the system names no place.
std::filesystem::path user_cache_folder();

/// What main() was given, in UTF-8, the program's own name first.
std::vector<std::string> program_arguments(int argc, char** argv);

}  // namespace fabula
