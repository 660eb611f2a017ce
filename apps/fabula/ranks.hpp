#pragma once
#include <functional>
#include <string>
#include <vector>

#include "train/reducer.hpp"
#include "vk/device_info.hpp"

// Commands that several processes run together, started by mpirun or srun.
namespace fabula::app {

/// Runs a command; with the other processes where a launcher has started several, else with none (null). Rank 0 says
/// what there is to say, the others their warnings. What fails on one rank ends all of them, with one message. The exit
/// status.
int run_on_ranks(const std::function<int(train::Reducer* ranks)>& command);

/// Devices for ranks of one host.
struct RankDevices {
  std::vector<std::string> names;  ///< as DeviceOptions::device: the first is local rank 0's; empty: all that there are
  bool share = false;              ///< more ranks than devices take turns, for tests
};
/// The options of this rank's own device. Throws kInvalidArgument where its host has more ranks than devices, saying
/// how many of each.
vk::DeviceOptions device_of_rank(const vk::DeviceOptions& options, const RankDevices& devices,
                                 const train::Reducer& ranks);

}  // namespace fabula::app
