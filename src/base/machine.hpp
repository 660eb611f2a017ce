#pragma once
#include <cstdint>
#include <string>

namespace fabula {

/// The number that the system knows this process by.
std::int64_t process_id();

/// As the system gives it; empty where it does not say.
std::string processor_name();

/// "AMD EPYC, 2 threads": the processor's name as the system gives it and the threads that may run; for benchmark
/// tables.
std::string processor_text();

}  // namespace fabula
