#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "formats/tune_file.hpp"
#include "vk/device.hpp"

namespace fabula::tuning {

/// What a tune file must have been measured on to hold for a device.
TunedDevice tuned_device(const vk::DeviceInfo& info);
/// Where a device's tune file lies: beside its pipeline cache; empty where no cache is kept on disk.
std::filesystem::path tune_path(const vk::Device& device);
/// A digest of an embedded shader's code; empty for a shader that this build lacks.
std::string shader_digest(const std::string& name);

/// Those choices of a file that hold on a device with this build's shaders. `note` is empty, or says what was left out
/// and why.
KernelChoices usable_choices(const TuneFile& file, const TunedDevice& device, std::string& note);

/// Writes measured choices into a tune file; those of other shapes that still hold stay.
void add_to_tune_file(const std::filesystem::path& path, TuneFile measured);

/// A device, and the kernels that `fabula tune` found fastest there.
struct OpenedDevice {
  std::unique_ptr<vk::Device> device;
  KernelChoices choices;
};
/// What a device's tune file says. One that is missing, damaged, of
/// another device or driver, or of other kernels costs speed and nothing else; all but the first is said in one line.
KernelChoices device_choices(const vk::Device& device);
/// Device::open and device_choices.
OpenedDevice open_tuned_device(const vk::DeviceOptions& options);

}  // namespace fabula::tuning
