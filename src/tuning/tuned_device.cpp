#include "tuning/tuned_device.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "vk/shader_table.hpp"

namespace fabula::tuning {

TunedDevice tuned_device(const vk::DeviceInfo& info) {
  return {info.profile.name, info.device_uuid, info.driver_uuid, info.driver};
}

std::filesystem::path tune_path(const vk::Device& device) {
  return device.cache_file("tune", "json");
}

std::string shader_digest(const std::string& name) {
  const std::optional<std::uint64_t> digest = vk::shader_digest(name);
  return digest ? fmt::format("{:016x}", *digest) : std::string();
}

KernelChoices usable_choices(const TuneFile& file, const TunedDevice& device, std::string& note) {
  note.clear();
  if (file.device != device) {
    const bool same_device = file.device.name == device.name && file.device.device_uuid == device.device_uuid;
    const auto measured = [&](std::string_view where, const std::string& then, const std::string& now) {
      note = then == now ? fmt::format("it was measured {} another {}", where, now)
                         : fmt::format("it was measured {} {}, this is {}", where, then, now);
    };
    if (same_device)
      measured("with", file.device.driver, device.driver);
    else
      measured("on", file.device.name, device.name);
    return {};
  }
  std::set<std::string> unchanged;  // once a shader, not once a node
  for (const auto& [shader, digest] : file.shaders)
    if (digest == shader_digest(shader)) unchanged.insert(shader);
  KernelChoices choices;
  std::size_t stale = 0;
  for (const auto& [signature, node] : file.nodes) {
    if (std::all_of(node.shaders.begin(), node.shaders.end(), [&](const auto& s) { return unchanged.contains(s); }))
      choices[signature] = node.variant;
    else
      ++stale;
  }
  if (stale > 0)
    note = fmt::format("{} of its {} choices were measured with other kernels than this fabula's", stale,
                       file.nodes.size());
  return choices;
}

void add_to_tune_file(const std::filesystem::path& path, TuneFile measured) {
  std::error_code code;
  if (std::filesystem::exists(path, code)) {
    try {
      const TuneFile old = read_tune_file(path);
      std::string ignored;
      for (const auto& [signature, variant] : usable_choices(old, measured.device, ignored)) {
        const TunedNode& node = old.nodes.at(signature);
        if (measured.nodes.emplace(signature, node).second)
          for (const std::string& shader : node.shaders) measured.shaders[shader] = shader_digest(shader);
      }
    } catch (const Error& error) {
      info("a damaged tune file is replaced: {}", error.what());
    }
  }
  write_tune_file(path, measured);
}

KernelChoices device_choices(const vk::Device& device) {
  const std::filesystem::path path = tune_path(device);
  std::error_code code;
  if (path.empty() || !std::filesystem::exists(path, code)) return {};
  try {
    std::string note;
    KernelChoices choices = usable_choices(read_tune_file(path), tuned_device(device.info()), note);
    if (!note.empty())
      info("tune file {} ignored{}: {}; fabula tune measures anew", path.string(), choices.empty() ? "" : " in part",
           note);
    return choices;
  } catch (const Error& error) {
    warn("tune file ignored: {}; fabula tune measures anew", error.what());
    return {};
  }
}

OpenedDevice open_tuned_device(const vk::DeviceOptions& options) {
  OpenedDevice opened{vk::Device::open(options), {}};
  opened.choices = device_choices(*opened.device);
  return opened;
}

}  // namespace fabula::tuning
