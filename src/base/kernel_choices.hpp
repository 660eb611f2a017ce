#pragma once
#include <map>
#include <string>

namespace fabula {

/// Kernel variant by the signature of what is computed (graph/program.hpp), as measured on a device; what is not in it
/// takes the first variant that its op lists.
using KernelChoices = std::map<std::string, std::string>;

}  // namespace fabula
