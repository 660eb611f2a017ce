#pragma once
#include <memory>
#include <string>
#include <vector>

#include "commands.hpp"
#include "vk/device.hpp"

namespace fabula::app {

struct KernelToCompile {
  vk::KernelKey key;
  std::string where;        ///< which case or which node it belongs to
  bool is_default = false;  ///< taken where nothing was measured
};

/// A device to compile kernels for, which need not be able to run any.
std::unique_ptr<vk::Device> open_to_compile(vk::DeviceOptions options, const CompileArgs& args);

/// Compiles the kernels one by one, each named before it is made, so that a driver's crash has a name; notes what the
/// driver says of them beside its pipeline cache and prints a table. Exit status: 1 when one could not be compiled or,
/// with args.no_spills, a default one spills.
int compile_report(vk::Device& device, const std::vector<KernelToCompile>& kernels, const CompileArgs& args, bool json);

}  // namespace fabula::app
