#pragma once
// MPI's C interface alone; mpi.h brings its C++ interface of old along unless told not to.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

namespace fabula::cluster {

/// Throws kPeer with the library's own text unless a call of MPI went well.
void check_mpi(int code, const char* what);

}  // namespace fabula::cluster
