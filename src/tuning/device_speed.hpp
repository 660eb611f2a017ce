#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/kernel_choices.hpp"
#include "vk/device_info.hpp"

namespace fabula::tuning {

/// A number and where it comes from: a measurement, a data sheet.
struct Figure {
  double value = 0;
  std::string source;
};

/// What a copy reaches that moves so many bytes in one launch, again and again: small ones stay in caches.
struct CopyRate {
  double bytes = 0;       ///< read and written
  double per_second = 0;  ///< the same, a second
};

/// How near the roof a kernel came with some work: what the roof allows for it over what it took, its launches' fixed
/// cost aside. Above 1 where caches or matrix units serve it.
struct Efficiency {
  double roof_seconds = 0;  ///< the work, as the time that the roof allows for it
  double share = 0;
};

/// What a device takes for its work, as far as predictions go by it: a roof, fixed costs, and how near the roof
/// kernels come. Plain data: no device is needed to have one.
struct DeviceSpeed {
  std::string name, note;  ///< what of it is of the whole: program and driver, or how far it can be trusted
  vk::DeviceProfile profile;
  std::string limits_source;     ///< of the profile
  KernelChoices choices;         ///< of `fabula tune`, where the kernels were those
  Figure memory;                 ///< bytes that a job may plan with
  Figure flops;                  ///< fp32 operations a second, by multiply-adds from registers
  std::vector<CopyRate> copies;  ///< by rising size
  std::string copies_source;
  Figure launch;            ///< seconds of a launch that does nothing and waits for the one before it
  Figure submission;        ///< seconds from a submission until the host knows that it is over
  Figure upload, download;  ///< bytes a second between host and device; 0: as good as nothing (shared memory)
  /// By kernel_key (predict/work.hpp), or by an op's name for all its kernels; rising work.
  std::map<std::string, std::vector<Efficiency>, std::less<>> kernels;
  std::string kernels_source;
};

/// A device speed as `fabula bench roof --save` writes it.
std::string device_speed_json(const DeviceSpeed& speed);

/// Throws kFormat for what is no JSON, kInvalidArgument for a field that is missing, unknown or out of range; both name
/// `source` and the field.
DeviceSpeed parse_device_speed(std::string_view json_text, const std::string& source);

/// Devices by name, from public data: no figure of theirs was measured here. In the order of named_devices.json.
const std::vector<DeviceSpeed>& named_devices();

/// One of those, without regard to case, or a file. Throws kInvalidArgument for what is neither, listing the names; of
/// a file as parse_device_speed.
DeviceSpeed find_device_speed(const std::string& name_or_file);

/// The device as planning sees it.
vk::DeviceInfo device_info(const DeviceSpeed& speed);

}  // namespace fabula::tuning
