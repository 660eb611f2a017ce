#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/kernel_choices.hpp"

namespace fabula {

std::string kernel_choices_json(const KernelChoices& choices);
/// Errors: kFormat naming `source`.
KernelChoices parse_kernel_choices(std::string_view json_text, std::string_view source);

/// Where a measurement holds: nothing else may use it.
struct TunedDevice {
  std::string name;  ///< with the limits, where they are lowered
  std::string device_uuid, driver_uuid, driver;
  auto operator<=>(const TunedDevice&) const = default;
};

/// One measured choice.
struct TunedNode {
  std::string variant;
  double seconds = 0, default_seconds = 0;  ///< of the variant, and of the one that is taken without a file
  std::vector<std::string> shaders;         ///< of all variants compared
};

/// What `fabula tune` has found out about a device.
struct TuneFile {
  TunedDevice device;
  std::map<std::string, TunedNode> nodes;      ///< by signature
  std::map<std::string, std::string> shaders;  ///< digest of each shader's code at that time, by name
};

std::string tune_file_json(const TuneFile& file);
/// Errors: kFormat naming `source` and what is wrong; kUnsupported for a file of a later version.
TuneFile parse_tune_file(std::string_view json_text, std::string_view source);
void write_tune_file(const std::filesystem::path& path, const TuneFile& file);
TuneFile read_tune_file(const std::filesystem::path& path);

}  // namespace fabula
