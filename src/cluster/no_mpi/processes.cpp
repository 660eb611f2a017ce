// Where there was no MPI library to build with.
#include "cluster/processes.hpp"

#include "base/fail.hpp"

namespace fabula::cluster {

std::unique_ptr<Processes> join_processes(const Launch& launch) {
  fail(ErrorCode::kUnsupported,
       "{} has started {} processes, and this fabula was built without MPI: each would train alone. Install an MPI "
       "(Debian: libopenmpi-dev) and build again, or start one process without a launcher",
       launch.launcher, launch.size);
}

std::string mpi_library_name() {
  return {};
}

}  // namespace fabula::cluster
