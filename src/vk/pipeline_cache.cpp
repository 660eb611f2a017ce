#include "vk/pipeline_cache.hpp"

#include <cstring>
#include <string>

#include "base/atomic_file.hpp"
#include "base/environment.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "vk/physical.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

/// In front of the driver's bytes: not every driver checks what it is given.
struct FileHeader {
  char magic[8];
  std::uint64_t size;      ///< bytes that follow
  std::uint64_t checksum;  ///< FNV-1a of them
};
constexpr char kMagic[8] = {'f', 'a', 'b', 'u', 'l', 'a', 'P', '1'};
constexpr std::uint64_t kMaxFile = 1u << 30;

std::filesystem::path cache_folder(const std::string& directory) {
  if (directory == "none") return {};
  if (!directory.empty()) return directory;
  const std::filesystem::path parent = user_cache_folder();
  return parent.empty() ? parent : parent / "fabula";
}

constexpr std::string_view kStem = "pipelines";

std::string file_name(const PhysicalDevice& device) {
  return fmt::format("{}-{}-{:04x}-{:04x}-{}-{}-{:08x}.bin", kStem, FABULA_VERSION, device.vendor_id, device.device_id,
                     device.info.device_uuid, device.info.driver_uuid, device.driver_version);
}

/// The driver's bytes of a good file; empty for a missing or damaged one. Error kIo for one that cannot be read.
std::string read_cache(const std::filesystem::path& path, const PhysicalDevice& device) {
  std::string data;
  try {
    data = read_file(path, kMaxFile);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo) throw;
    return {};
  }
  FileHeader header{};
  if (data.size() <= sizeof header) return {};
  std::memcpy(&header, data.data(), sizeof header);
  data.erase(0, sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.size != data.size() ||
      header.checksum != fnv1a(data)) {
    return {};
  }
  VkPipelineCacheHeaderVersionOne own{};
  if (data.size() < sizeof own) return {};
  std::memcpy(&own, data.data(), sizeof own);
  const bool same = own.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE && own.vendorID == device.vendor_id &&
                    own.deviceID == device.device_id &&
                    std::memcmp(own.pipelineCacheUUID, device.pipeline_cache_uuid.data(), VK_UUID_SIZE) == 0;
  return same ? data : std::string();
}

void write_cache(const std::filesystem::path& path, std::string_view data) {
  ensure_directory(path.parent_path());
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.size = data.size();
  header.checksum = fnv1a(data);
  AtomicFile file(path);
  file.write(&header, sizeof header);
  file.write(data);
  file.commit();
}

}  // namespace

PipelineCache::PipelineCache(DeviceRef device, const PhysicalDevice& physical, const std::string& directory)
    : device_(device) {
  const std::filesystem::path folder = cache_folder(directory);
  std::string data;
  if (!folder.empty()) {
    try {
      path_ = folder / file_name(physical);
      data = read_cache(path_, physical);
    } catch (const Error& error) {
      path_.clear();
      warn("going on without a cache of pipelines and tuned kernels: {}", error.what());
    }
  }
  VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = data.size();
  info.pInitialData = data.data();
  VkPipelineCache cache = VK_NULL_HANDLE;
  VkResult result = device.table->vkCreatePipelineCache(device.device, &info, nullptr, &cache);
  loaded_ = result == VK_SUCCESS && !data.empty();
  if (result != VK_SUCCESS && !data.empty()) {
    info.initialDataSize = 0;
    result = device.table->vkCreatePipelineCache(device.device, &info, nullptr, &cache);
  }
  check(result, "creating a pipeline cache");
  cache_ = PipelineCacheHandle(device, cache);
}

std::filesystem::path PipelineCache::notes_path() const {
  if (path_.empty()) return {};
  std::string name = path_.stem().string();
  name.replace(0, kStem.size(), "kernels");
  return path_.parent_path() / (name + ".txt");
}

bool PipelineCache::save() {
  if (path_.empty() || !changed_ || failed_) return !failed_;
  changed_ = false;
  try {
    std::size_t size = 0;
    check(device_.table->vkGetPipelineCacheData(device_.device, cache_.get(), &size, nullptr),
          "reading the pipeline cache");
    std::string data(size, '\0');
    check(device_.table->vkGetPipelineCacheData(device_.device, cache_.get(), &size, data.data()),
          "reading the pipeline cache");
    data.resize(size);
    write_cache(path_, data);
  } catch (const std::exception& error) {
    warn("the pipeline cache was not saved, the next start compiles shaders again: {}", error.what());
    failed_ = true;
  }
  return !failed_;
}

}  // namespace fabula::vk
