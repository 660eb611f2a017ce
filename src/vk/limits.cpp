#include "vk/limits.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/json_text.hpp"
#include "base/nearest.hpp"

namespace fabula::vk {
namespace {

using nlohmann::json;

/// The profile that every baseline kernel must fit. The storage buffer count is 8, twice the specification's minimum:
/// every driver of the last ten years that offers compute has it.
Limits vulkan_minimum() {
  Limits limits;  // the defaults are the profile
  limits.max_allocation = 1ull << 30;
  return limits;
}

/// Lowers a limit of which zero means that there is none.
template <class T>
void cap(T& limit, std::uint64_t bound) {
  if (bound != 0) limit = static_cast<T>(limit == 0 ? bound : std::min<std::uint64_t>(limit, bound));
}

void lower(Limits& limits, const Limits& to) {
  const auto at_most = [](auto& value, auto bound) { value = std::min(value, bound); };
  at_most(limits.max_invocations, to.max_invocations);
  for (std::size_t i = 0; i < 3; ++i) {
    at_most(limits.max_workgroup_size[i], to.max_workgroup_size[i]);
    at_most(limits.max_workgroup_count[i], to.max_workgroup_count[i]);
  }
  cap(limits.max_workgroup_subgroups, to.max_workgroup_subgroups);
  at_most(limits.max_shared_memory, to.max_shared_memory);
  at_most(limits.max_push_constants, to.max_push_constants);
  at_most(limits.max_storage_buffers, to.max_storage_buffers);
  at_most(limits.max_storage_range, to.max_storage_range);
  limits.storage_alignment = std::max(limits.storage_alignment, to.storage_alignment);
  at_most(limits.max_texel_elements, to.max_texel_elements);
  at_most(limits.max_allocation, to.max_allocation);
  cap(limits.heap_cap, to.heap_cap);
}

void drop_features(Features& features) {
  // RGBA32F uniform texel buffers are no option (the specification requires the format), timestamps are not the
  // kernels' concern, and the subgroup size is a fact that cannot be lowered.
  Features bare;
  bare.subgroup_size = features.subgroup_size;
  bare.texel_float4 = features.texel_float4;
  bare.timestamps = features.timestamps;
  features = bare;
}

/// One key of a limits file: checks the value and lowers the field.
using Setter = std::function<void(const json& value)>;

class LimitsFile {
 public:
  LimitsFile(DeviceProfile& profile, std::string path) : profile_(profile), path_(std::move(path)) { fill_table(); }

  void apply(const json& file) {
    if (!file.is_object())
      fail(ErrorCode::kInvalidArgument, "{}: a limits file is one JSON object of limits and features", path_);
    for (const auto& [key, value] : file.items()) {
      const auto found = table_.find(key);
      if (found == table_.end()) {
        fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is no limit or feature{}", path_, key, did_you_mean(key, keys()));
      }
      found->second(value);
    }
  }

 private:
  std::uint64_t number(const std::string& key, const json& value, std::uint64_t least) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least) {
      fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is {}, expected a whole number of at least {}", path_, key,
           value.dump(), least);
    }
    return value.get<std::uint64_t>();
  }

  template <class T>
  void limit(const std::string& key, T& field, std::uint64_t least = 1) {
    table_[key] = [this, key, &field, least](const json& value) {
      field = static_cast<T>(std::min<std::uint64_t>(field, number(key, value, least)));
    };
  }

  void triple(const std::string& key, std::array<std::uint32_t, 3>& field) {
    table_[key] = [this, key, &field](const json& value) {
      if (!value.is_array() || value.size() != 3) {
        fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is {}, expected three whole numbers", path_, key, value.dump());
      }
      for (std::size_t i = 0; i < 3; ++i) {
        field[i] = static_cast<std::uint32_t>(std::min<std::uint64_t>(field[i], number(key, value[i], 1)));
      }
    };
  }

  void feature(const std::string& key, bool& field) {
    table_[key] = [this, key, &field](const json& value) {
      if (!value.is_boolean()) {
        fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is {}, expected true or false", path_, key, value.dump());
      }
      field = field && value.get<bool>();
    };
  }

  /// [least, most]: what remains of the device's own range. Where nothing does, no size can be promised.
  void lower_subgroup_sizes(const json& value) {
    if (!value.is_array() || value.size() != 2) {
      fail(ErrorCode::kInvalidArgument, "{}: \"subgroup_sizes\" is {}, expected [least, most]", path_, value.dump());
    }
    const auto least = static_cast<std::uint32_t>(number("subgroup_sizes", value[0], 1)),
               most = static_cast<std::uint32_t>(number("subgroup_sizes", value[1], least));
    Features& f = profile_.features;
    const std::uint32_t from = std::max(f.min_subgroup_size, least), to = std::min(f.max_subgroup_size, most);
    if (from > to) {
      f.full_subgroups = f.subgroup_size_control = false;
      return;
    }
    f.min_subgroup_size = from;
    f.max_subgroup_size = to;
    f.subgroup_size = std::clamp(f.subgroup_size, from, to);
  }

  /// What kernels are chosen for: a software driver can stand in for an integrated GPU.
  void set_device_class(const json& value) {
    static const std::map<std::string, DeviceClass> kClasses{{"discrete", DeviceClass::kDiscrete},
                                                             {"integrated", DeviceClass::kIntegrated},
                                                             {"virtual", DeviceClass::kVirtual},
                                                             {"software", DeviceClass::kSoftware},
                                                             {"other", DeviceClass::kOther}};
    const auto found = value.is_string() ? kClasses.find(value.get<std::string>()) : kClasses.end();
    if (found == kClasses.end()) {
      fail(ErrorCode::kInvalidArgument,
           "{}: \"device_class\" is {}, expected discrete, integrated, virtual, software or other", path_,
           value.dump());
    }
    profile_.device_class = found->second;
  }

  void fill_table() {
    Limits& l = profile_.limits;
    limit("max_invocations", l.max_invocations);
    triple("max_workgroup_size", l.max_workgroup_size);
    triple("max_workgroup_count", l.max_workgroup_count);
    limit("max_shared_memory", l.max_shared_memory);
    limit("max_push_constants", l.max_push_constants);
    limit("max_storage_buffers", l.max_storage_buffers);
    limit("max_storage_range", l.max_storage_range);
    table_["storage_alignment"] = [this, &l](const json& value) {
      const std::uint64_t wanted = number("storage_alignment", value, 1);
      if ((wanted & (wanted - 1)) != 0) {
        fail(ErrorCode::kInvalidArgument, "{}: \"storage_alignment\" is {}, expected a power of two", path_, wanted);
      }
      l.storage_alignment = std::max(l.storage_alignment, wanted);
    };
    limit("max_texel_elements", l.max_texel_elements);
    limit("max_allocation", l.max_allocation);
    table_["max_workgroup_subgroups"] = [this, &l](const json& value) {
      cap(l.max_workgroup_subgroups, number("max_workgroup_subgroups", value, 1));
    };
    table_["heap_cap"] = [this, &l](const json& value) { cap(l.heap_cap, number("heap_cap", value, 1)); };
    Features& f = profile_.features;
    feature("subgroup_shuffle", f.subgroup_shuffle);
    feature("subgroup_arithmetic", f.subgroup_arithmetic);
    feature("subgroup_ballot", f.subgroup_ballot);
    feature("full_subgroups", f.full_subgroups);
    feature("subgroup_size_control", f.subgroup_size_control);
    feature("storage_16bit", f.storage_16bit);
    feature("float16", f.float16);
    feature("texel_float4", f.texel_float4);
    feature("cooperative_matrix_khr", f.cooperative_matrix_khr);
    feature("cooperative_matrix_nv", f.cooperative_matrix_nv);
    feature("cooperative_matrix_bf16", f.cooperative_matrix_bf16);
    feature("timestamps", f.timestamps);
    feature("memory_budget", f.memory_budget);
    feature("unified_memory", profile_.unified_memory);
    table_["subgroup_sizes"] = [this](const json& value) { lower_subgroup_sizes(value); };
    table_["device_class"] = [this](const json& value) { set_device_class(value); };
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> names;
    for (const auto& [name, setter] : table_) names.push_back(name);
    return names;
  }

  DeviceProfile& profile_;
  std::string path_;
  std::map<std::string, Setter> table_;
};

json read_limits(const std::string& path) {
  constexpr std::uint64_t kMaxBytes = 1u << 20;
  try {
    return parse_json(read_file(path, kMaxBytes), path, {.max_bytes = kMaxBytes, .max_depth = 4});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kFormat) fail(ErrorCode::kInvalidArgument, "{}", error.what());
    fail(ErrorCode::kInvalidArgument,
         "\"{}\" is neither a limits profile nor a file that can be read; profiles: native, vulkan-minimum", path);
  }
}

const char* class_text(DeviceClass device_class) {
  switch (device_class) {
    case DeviceClass::kDiscrete:
      return "discrete";
    case DeviceClass::kIntegrated:
      return "integrated";
    case DeviceClass::kVirtual:
      return "virtual";
    case DeviceClass::kSoftware:
      return "software";
    case DeviceClass::kOther:
      break;
  }
  return "other";
}

/// Every key of a limits file but those of which zero means that there is none.
json keys_of(const DeviceProfile& profile) {
  const Limits& l = profile.limits;
  const Features& f = profile.features;
  json keys{{"device_class", class_text(profile.device_class)},
            {"unified_memory", profile.unified_memory},
            {"max_invocations", l.max_invocations},
            {"max_workgroup_size", l.max_workgroup_size},
            {"max_workgroup_count", l.max_workgroup_count},
            {"max_shared_memory", l.max_shared_memory},
            {"max_push_constants", l.max_push_constants},
            {"max_storage_buffers", l.max_storage_buffers},
            {"max_storage_range", l.max_storage_range},
            {"storage_alignment", l.storage_alignment},
            {"max_texel_elements", l.max_texel_elements},
            {"max_allocation", l.max_allocation},
            {"subgroup_shuffle", f.subgroup_shuffle},
            {"subgroup_arithmetic", f.subgroup_arithmetic},
            {"subgroup_ballot", f.subgroup_ballot},
            {"full_subgroups", f.full_subgroups},
            {"subgroup_size_control", f.subgroup_size_control},
            {"subgroup_sizes", {f.min_subgroup_size, f.max_subgroup_size}},
            {"storage_16bit", f.storage_16bit},
            {"float16", f.float16},
            {"texel_float4", f.texel_float4},
            {"cooperative_matrix_khr", f.cooperative_matrix_khr},
            {"cooperative_matrix_nv", f.cooperative_matrix_nv},
            {"cooperative_matrix_bf16", f.cooperative_matrix_bf16},
            {"timestamps", f.timestamps},
            {"memory_budget", f.memory_budget}};
  if (l.max_workgroup_subgroups > 0) keys["max_workgroup_subgroups"] = l.max_workgroup_subgroups;
  if (l.heap_cap > 0) keys["heap_cap"] = l.heap_cap;
  return keys;
}

}  // namespace

std::uint32_t promised_subgroup_size(const DeviceProfile& profile, std::uint32_t lanes, std::uint32_t local) {
  const Features& f = profile.features;
  if (!f.full_subgroups || (!f.subgroup_size_control && f.min_subgroup_size != f.max_subgroup_size)) return 0;
  const std::uint32_t most = profile.limits.max_workgroup_subgroups;
  for (std::uint32_t size = f.min_subgroup_size; size <= f.max_subgroup_size; size *= 2)
    if (size >= lanes && local % size == 0 && (most == 0 || local / size <= most)) return size;
  return 0;
}

void apply_limits(DeviceProfile& profile, std::string_view name_or_file) {
  if (name_or_file == "native" || name_or_file.empty()) return;
  const std::string name(name_or_file);
  if (name == "vulkan-minimum") {
    lower(profile.limits, vulkan_minimum());
    drop_features(profile.features);
  } else {
    LimitsFile(profile, name).apply(read_limits(name));
  }
  profile.name += fmt::format(" [{}]", name);
}

DeviceProfile boundless_profile() {
  constexpr std::uint32_t kMany = UINT32_MAX;
  constexpr std::uint64_t kAll = UINT64_MAX;
  DeviceProfile profile;
  profile.limits = {.max_invocations = kMany,
                    .max_workgroup_size = {kMany, kMany, kMany},
                    .max_workgroup_count = {65535, 65535, 65535},  // see read_limits of physical.cpp
                    .max_workgroup_subgroups = 0,
                    .max_shared_memory = kMany,
                    .max_push_constants = kMany,
                    .max_storage_buffers = kMany,
                    .max_storage_range = kAll,
                    .storage_alignment = 16,
                    .max_texel_elements = kAll,
                    .max_allocation = kAll,
                    .heap_cap = 0};
  profile.features = {.subgroup_shuffle = true,
                      .subgroup_arithmetic = true,
                      .subgroup_ballot = true,
                      .full_subgroups = true,
                      .subgroup_size_control = true,
                      .subgroup_size = 1,
                      .min_subgroup_size = 1,
                      .max_subgroup_size = 128,
                      .storage_16bit = true,
                      .float16 = true,
                      .texel_float4 = true,
                      .cooperative_matrix_khr = true,
                      .cooperative_matrix_nv = true,
                      .cooperative_matrix_bf16 = true,
                      .timestamps = true,
                      .memory_budget = true};
  profile.unified_memory = true;
  return profile;
}

DeviceProfile parse_profile(std::string_view json_text, const std::string& name, const std::string& source) {
  constexpr std::size_t kMaxBytes = 1u << 20;
  const json given = parse_json(json_text, source, {.max_bytes = kMaxBytes, .max_depth = 4});
  if (!given.is_object())
    fail(ErrorCode::kInvalidArgument, "{}: expected one JSON object of limits and features", source);
  DeviceProfile least;
  least.limits = vulkan_minimum();
  json keys = keys_of(least);
  keys.update(given);
  DeviceProfile profile = boundless_profile();
  LimitsFile(profile, source).apply(keys);
  profile.name = name;
  return profile;
}

std::string profile_json(const DeviceProfile& profile) {
  return keys_of(profile).dump();
}

}  // namespace fabula::vk
