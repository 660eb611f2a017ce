#include "ranks.hpp"

#include <algorithm>

#include "base/environment.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "cluster/processes.hpp"
#include "vk/device.hpp"

namespace fabula::app {
namespace {

/// Ranks but the first say their warnings alone, with their names.
class RankLog {
 public:
  explicit RankLog(const cluster::Processes& processes, int rank) {
    if (rank == 0) return;
    replaced_ = true;
    former_ = set_log_sink({});
    set_log_sink({.write =
                      [sink = former_, name = processes.name_of(rank)](LogLevel level, std::string_view message) {
                        if (level == LogLevel::kWarning && sink.write)
                          sink.write(level, fmt::format("{}: {}", name, message));
                      },
                  .redraws = false});
  }
  ~RankLog() { restore(); }
  void restore() {
    if (replaced_) set_log_sink(former_);
    replaced_ = false;
  }

 private:
  bool replaced_ = false;
  LogSink former_;
};

int status_of(const Error& error) {
  return error.code() == ErrorCode::kInvalidArgument ? 2 : 1;
}

int run_with(cluster::Processes& processes, const std::function<int(train::Reducer*)>& command) {
  RankLog log(processes, processes.reducer().rank());
  std::string message;
  int status = 1;
  try {
    status = command(&processes.reducer());
    processes.leave();
    return status;
  } catch (const Error& error) {
    status = status_of(error);
    message = error.what();
    const bool shared = dynamic_cast<const train::SharedError*>(&error) != nullptr;
    if (error.code() != ErrorCode::kPeer && !shared) processes.reducer().abort(message);
  } catch (const std::exception& error) {
    message = error.what();
    processes.reducer().abort(message);
  }
  log.restore();
  log_progress({});
  if (processes.tells()) info("fabula: {}", message);
  processes.give_up(status);
  return status;
}

bool is_software(const vk::DeviceInfo& info) {
  return info.profile.device_class == vk::DeviceClass::kSoftware;
}

/// What ranks are given when nothing is said: every device but software ones, or these where there is nothing else.
std::vector<std::string> usable_devices(const vk::DeviceOptions& options) {
  std::vector<vk::DeviceInfo> found = vk::Device::enumerate(options);
  std::erase_if(found, [](const vk::DeviceInfo& info) { return !info.usable; });
  if (std::any_of(found.begin(), found.end(), [](const auto& info) { return !is_software(info); }))
    std::erase_if(found, is_software);
  std::vector<std::string> names;
  for (const vk::DeviceInfo& info : found) names.push_back(std::to_string(info.index));
  return names;
}

}  // namespace

int run_on_ranks(const std::function<int(train::Reducer*)>& command) {
  const auto launch = cluster::launch_of([](const char* name) { return environment(name); });
  if (!launch || launch->size == 1) return command(nullptr);
  const std::unique_ptr<cluster::Processes> processes = cluster::join_processes(*launch);
  return run_with(*processes, command);
}

vk::DeviceOptions device_of_rank(const vk::DeviceOptions& options, const RankDevices& devices,
                                 const train::Reducer& ranks) {
  std::vector<std::string> names = devices.names;
  if (names.empty() && !options.device.empty()) names = {options.device};
  if (names.empty()) names = usable_devices(options);
  const auto local_rank = static_cast<std::size_t>(ranks.local_rank());
  if (names.empty()) return options;  // opening says what is missing
  if (static_cast<std::size_t>(ranks.local_size()) > names.size() && !devices.share)
    fail(ErrorCode::kInvalidArgument,
         "{} ranks were started on this host, which has {} device{} for them; start as many ranks a host as it has "
         "devices, or name others with --devices (fabula devices lists them). --share-device lets ranks share one, for "
         "tests: it makes nothing faster",
         ranks.local_size(), names.size(), names.size() == 1 ? "" : "s");
  vk::DeviceOptions own = options;
  own.device = names[local_rank % names.size()];
  return own;
}

}  // namespace fabula::app
