#pragma once
#include <memory>
#include <string>

#include "cluster/launch.hpp"
#include "train/reducer.hpp"

namespace fabula::cluster {

/// This process among those that a launcher started together, from joining them to leaving. One a program.
class Processes {
 public:
  virtual ~Processes() = default;

  virtual train::Reducer& reducer() = 0;
  /// "rank 2 (host b)"
  virtual std::string name_of(int rank) const = 0;

  /// Something went wrong, here or elsewhere: whether it is this rank that tells the user, once for all of them. The
  /// lowest rank that still lives is; takes up to a second. Later calls say no.
  virtual bool tells() = 0;

  /// Waits until every rank leaves. Throws kPeer where one of them has ended the work of all instead. The reducer is
  /// gone afterwards.
  virtual void leave() = 0;
  /// Waits some seconds for the others to do the same, and ends those that don't, and then this process too. `status`:
  /// of a process that is ended.
  virtual void give_up(int status) noexcept = 0;
};

/// Joins the others by the MPI library that this program was built with. Throws kUnsupported where it was built without
/// one; kInvalidArgument where the library sees other processes than the launcher says: they belong to different MPIs.
std::unique_ptr<Processes> join_processes(const Launch& launch);

/// "Open MPI v4.1.4", or empty in a program that was built without.
std::string mpi_library_name();

}  // namespace fabula::cluster
