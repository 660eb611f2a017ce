#include "vk/pipeline_cache.hpp"

#include <cstring>
#include <fstream>
#include <vector>

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
constexpr std::uintmax_t kMaxFile = 1u << 30;

std::filesystem::path cache_folder(const std::string& directory) {
  if (directory == "none") return {};
  if (!directory.empty()) return directory;
  if (const std::string xdg = environment("XDG_CACHE_HOME"); !xdg.empty()) return std::filesystem::path(xdg) / "fabula";
  if (const std::string home = environment("HOME"); !home.empty())
    return std::filesystem::path(home) / ".cache" / "fabula";
  return {};
}

std::string file_name(const PhysicalDevice& device) {
  return fmt::format("pipelines-{}-{:04x}-{:04x}-{}-{}-{:08x}.bin", FABULA_VERSION, device.vendor_id, device.device_id,
                     device.info.device_uuid, device.info.driver_uuid, device.driver_version);
}

/// The driver's bytes of a good file; empty for a missing or damaged one.
std::vector<char> read_cache(const std::filesystem::path& path, const PhysicalDevice& device) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size <= sizeof(FileHeader) || size > kMaxFile) return {};
  std::ifstream stream(path, std::ios::binary);
  FileHeader header{};
  std::vector<char> data(size - sizeof header);
  if (!stream.read(reinterpret_cast<char*>(&header), sizeof header) ||
      !stream.read(data.data(), static_cast<std::streamsize>(data.size()))) {
    return {};
  }
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.size != data.size() ||
      header.checksum != fnv1a(data.data(), data.size())) {
    return {};
  }
  VkPipelineCacheHeaderVersionOne own{};
  if (data.size() < sizeof own) return {};
  std::memcpy(&own, data.data(), sizeof own);
  const bool same = own.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE && own.vendorID == device.vendor_id &&
                    own.deviceID == device.device_id &&
                    std::memcmp(own.pipelineCacheUUID, device.pipeline_cache_uuid.data(), VK_UUID_SIZE) == 0;
  return same ? data : std::vector<char>{};
}

void write_cache(const std::filesystem::path& path, const std::vector<char>& data) {
  ensure_directory(path.parent_path());
  // A name of its own, so that two processes do not write into each other's file; a torn file fails its checksum.
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{:x}", reinterpret_cast<std::uintptr_t>(&data) ^ fnv1a(data.data(), data.size()));
  {
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    FileHeader header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.size = data.size();
    header.checksum = fnv1a(data.data(), data.size());
    stream.write(reinterpret_cast<const char*>(&header), sizeof header);
    stream.write(data.data(), static_cast<std::streamsize>(data.size()));
    stream.close();
    if (!stream) {
      std::error_code ignored;
      std::filesystem::remove(temporary, ignored);
      fail(ErrorCode::kIo, "{}: {} bytes could not be written", temporary.string(), data.size());
    }
  }
  std::filesystem::rename(temporary, path);
}

}  // namespace

PipelineCache::PipelineCache(DeviceRef device, const PhysicalDevice& physical, const std::string& directory)
    : device_(device) {
  const std::filesystem::path folder = cache_folder(directory);
  std::vector<char> data;
  if (!folder.empty()) {
    path_ = folder / file_name(physical);
    data = read_cache(path_, physical);
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

void PipelineCache::save() {
  if (path_.empty() || !changed_) return;
  try {
    std::size_t size = 0;
    check(device_.table->vkGetPipelineCacheData(device_.device, cache_.get(), &size, nullptr),
          "reading the pipeline cache");
    std::vector<char> data(size);
    check(device_.table->vkGetPipelineCacheData(device_.device, cache_.get(), &size, data.data()),
          "reading the pipeline cache");
    data.resize(size);
    write_cache(path_, data);
    changed_ = false;
  } catch (const std::exception& error) {
    warn("the pipeline cache was not saved, the next start compiles shaders again: {}", error.what());
  }
}

}  // namespace fabula::vk
