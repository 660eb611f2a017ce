#include "all_commands.hpp"
#include "common_flags.hpp"

namespace fabula::app {

void declare_device_commands(CommandLine& line, AllArgs& args) {
  CLI::App* sub =
      line.command(line.app(), "devices", "list Vulkan devices, their limits and features", args.devices, devices);
  sub->add_flag("--json", args.devices.json, "as JSON");
  sub->add_option("--limits", args.devices.device.limits, "lower the limits: native, vulkan-minimum, or a JSON file")
      ->capture_default_str();

  sub = line.command(line.app(), "check", "every shader against the CPU reference on this device", args.check, check);
  sub->add_option("--filter", args.check.filter, "only ops whose name contains this; =NAME: that op alone");
  sub->add_option("--repeats", args.check.repeats, "runs that must agree bit by bit")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_flag("--quick", args.check.quick, "leave the large cases out; with --compile, all but default kernels");
  add_compile_flags(sub, args.check.compile,
                    "compile every kernel of every variant instead, and run none; a device without memory will do");
  sub->add_flag("--json", args.check.json, "as JSON");
  add_device_flags(sub, args.check.device);

  sub = line.command(line.app(), "tune",
                     "measure the kernels for a config's shapes; train and others then use the fastest", args.tune,
                     tune, kTrainingMemory);
  add_config_flags(sub, args.tune.config, args.tune.overrides);
  sub->add_option("--steps", args.tune.steps, "measured steps with each variant, after two to warm up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_format_flag(sub, args.tune.format);
  add_device_flags(sub, args.tune.device);
}

}  // namespace fabula::app
