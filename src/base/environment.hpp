#pragma once
#include <string>

namespace fabula {

/// The value of an environment variable; empty when it is not set.
std::string environment(const char* name);
/// Sets a variable of this process, for libraries that take a setting in no other way. Not for use beside other
/// threads.
void set_environment(const char* name, const std::string& value);
void unset_environment(const char* name);

}  // namespace fabula
