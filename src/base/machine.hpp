#pragma once
#include <string>

namespace fabula {

/// "AMD EPYC, 2 threads": the processor's name as the system gives it and the threads that may run; for benchmark
/// tables.
std::string processor_text();

}  // namespace fabula
