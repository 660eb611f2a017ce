#include <algorithm>

#include "api/handles.hpp"
#include "api/objects.hpp"
#include "api/structs.hpp"
#include "graph/check.hpp"
#include "ops/op_table.hpp"

namespace fabula::api {
namespace {

fabula_device_class class_of(vk::DeviceClass device_class) {
  switch (device_class) {
    case vk::DeviceClass::kDiscrete:
      return FABULA_DEVICE_DISCRETE;
    case vk::DeviceClass::kIntegrated:
      return FABULA_DEVICE_INTEGRATED;
    case vk::DeviceClass::kVirtual:
      return FABULA_DEVICE_VIRTUAL;
    case vk::DeviceClass::kSoftware:
      return FABULA_DEVICE_SOFTWARE;
    case vk::DeviceClass::kOther:
      return FABULA_DEVICE_OTHER;
  }
  return FABULA_DEVICE_OTHER;
}

/// Its texts are the info's own.
fabula_device_info info_of(const vk::DeviceInfo& info) {
  return {.size = sizeof(fabula_device_info),
          .name = info.name.c_str(),
          .driver = info.driver.c_str(),
          .api_version = info.api_version.c_str(),
          .why_not = info.why_not.c_str(),
          .memory = info.device_memory,
          .index = info.index,
          .device_class = class_of(info.profile.device_class)};
}

/// Checks every op whose name has the filter, until the callback says that it is enough.
void check_ops(DeviceObject& device, const fabula_check_options& options, fabula_check_callback callback, void* user,
               std::uint64_t& checks, std::uint64_t& misses) {
  const std::string filter = options.filter == nullptr ? "" : options.filter;
  const graph::CheckOptions how{.repeats = options.repeats == 0 ? 3 : options.repeats, .large = options.large != 0};
  if (how.repeats < 1)
    refuse(FABULA_INVALID_ARGUMENT, "a check of {} runs is asked for; ask for 1 or more", how.repeats);
  bool any = false;
  for (const graph::OpEntry& op : ops::op_table().entries()) {
    if (op.def->name.find(filter) == std::string_view::npos) continue;
    any = true;
    std::vector<graph::CheckResult> results;
    {
      const std::lock_guard lock(device.mutex);
      results = graph::check_op(*device.opened.device, ops::op_table(), op, how);
    }
    for (const graph::CheckResult& result : results) {
      ++checks, misses += !result.ok;
      const fabula_check_result told{.size = sizeof told,
                                     .op = result.op.c_str(),
                                     .case_name = result.case_name.c_str(),
                                     .variant = result.variant.c_str(),
                                     .detail = result.detail.c_str(),
                                     .worst = result.worst,
                                     .ok = result.ok};
      if (callback != nullptr && tell([&] { return callback(user, &told); }) != 0) return;
    }
  }
  if (!any) refuse(FABULA_INVALID_ARGUMENT, "no op has \"{}\" in its name", filter);
}

}  // namespace
}  // namespace fabula::api

using namespace fabula;

fabula_status fabula_list_devices(fabula_device_callback callback, void* user) {
  return api::call([&] {
    if (callback == nullptr) api::refuse(FABULA_INVALID_ARGUMENT, "there is no callback to tell of devices");
    for (const vk::DeviceInfo& device : vk::Device::enumerate()) {
      const fabula_device_info info = api::info_of(device);
      if (api::tell([&] { return callback(user, &info); }) != 0) return;
    }
  });
}

fabula_status fabula_device_open(const fabula_device_options* options, fabula_device** device) {
  return api::call([&] {
    api::required(device, "where the device is to go");
    const fabula_device_options given =
        api::options_or(options, fabula_device_options_default(), "fabula_device_options");
    api::unused(given.reserved, "fabula_device_options");
    vk::DeviceOptions how;
    if (given.device != nullptr) how.device = given.device;
    if (given.cache_dir != nullptr) how.cache_dir = given.cache_dir;
    how.memory = given.memory;
    if (!(given.wait_limit >= 0))
      api::refuse(FABULA_INVALID_ARGUMENT, "wait_limit is {}; 0 or more seconds are expected", given.wait_limit);
    how.wait_limit = given.wait_limit;
    how.self_test = given.no_self_test == 0;
    *device = api::new_handle<fabula_device>(std::make_shared<api::DeviceObject>(how));
  });
}

fabula_status fabula_device_describe(fabula_device* device, fabula_device_info* info) {
  return api::call(
      [&] { api::fill(info, api::info_of(api::object_of(device)->opened.device->info()), "fabula_device_info"); });
}

fabula_status fabula_device_close(fabula_device* device) {
  return api::call([&] { api::close_handle(device); });
}

fabula_status fabula_device_check(fabula_device* device, const fabula_check_options* options,
                                  fabula_check_callback callback, void* user, std::uint64_t* checks,
                                  std::uint64_t* misses) {
  return api::call([&] {
    const std::shared_ptr<api::DeviceObject> object = api::object_of(device);
    std::uint64_t all = 0, missed = 0;
    api::check_ops(*object, api::options_or(options, fabula_check_options_default(), "fabula_check_options"), callback,
                   user, all, missed);
    if (checks != nullptr) *checks = all;
    if (misses != nullptr) *misses = missed;
  });
}
