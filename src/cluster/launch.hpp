#pragma once
#include <functional>
#include <optional>
#include <string>

namespace fabula::cluster {

/// What a launcher (mpirun, mpiexec, srun) says of the processes that it started together.
struct Launch {
  std::string launcher;  ///< for messages
  int size = 0;
};

/// A variable of the environment; empty: not set.
using Environment = std::function<std::string(const char* name)>;

/// What the environment says; nothing where this process was started alone, for which MPI is never asked. Throws
/// kInvalidArgument for a number of processes that is none.
std::optional<Launch> launch_of(const Environment& environment);

}  // namespace fabula::cluster
