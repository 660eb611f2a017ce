#include "cluster/processes.hpp"

#include "base/fail.hpp"
#include "cluster/group.hpp"
#include "cluster/mpi/link.hpp"

namespace fabula::cluster {
namespace {

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(MpiLink& link) : link_(link) {}

  int rank() const override { return link_.rank(); }
  int size() const override { return link_.size(); }
  int local_rank() const override { return link_.local_rank(); }
  int local_size() const override { return link_.local_size(); }
  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming,
                Clock::time_point deadline) override {
    link_.exchange(outgoing, incoming, deadline);
  }
  void abort(const std::string& message) noexcept override { link_.abort(message); }

 private:
  MpiLink& link_;
};

class MpiProcesses final : public Processes {
 public:
  explicit MpiProcesses(const Launch& launch)
      : link_(launch), group_(std::make_unique<Group>(std::make_unique<MpiTransport>(link_))) {}
  ~MpiProcesses() override { group_.reset(); }

  train::Reducer& reducer() override { return *group_; }
  std::string name_of(int rank) const override { return link_.name_of(rank); }
  bool tells() override { return link_.tells(); }
  void leave() override {
    group_.reset();
    link_.leave();
  }
  void give_up(int status) noexcept override {
    group_.reset();
    link_.give_up(status);
  }

 private:
  MpiLink link_;
  std::unique_ptr<Group> group_;
};

}  // namespace

std::unique_ptr<Processes> join_processes(const Launch& launch) {
  return std::make_unique<MpiProcesses>(launch);
}

std::string mpi_library_name() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string_view whole(text, static_cast<std::size_t>(length));
  return std::string(whole.substr(0, whole.find_first_of(",\n")));
}

}  // namespace fabula::cluster
