#pragma once
#include <filesystem>
#include <string>

#include "vk/device.hpp"
#include "vk/handle.hpp"

namespace fabula::vk {

struct PhysicalDevice;

/// The driver's pipeline cache with its file. The file's name carries vendor, device, device UUID, driver UUID, driver
/// version and fabula's version, so that another driver never sees it; a file that is cut short or altered is ignored
/// and replaced.
class PipelineCache {
 public:
  /// `directory` as in DeviceOptions::cache_dir.
  PipelineCache(DeviceRef device, const PhysicalDevice& physical, const std::string& directory);

  VkPipelineCache get() const { return cache_.get(); }
  bool loaded() const { return loaded_; }                      ///< a good file was found
  const std::filesystem::path& path() const { return path_; }  ///< empty: not kept on disk
  /// A file beside it of the same driver, for what is known of kernels; empty: not kept on disk.
  std::filesystem::path notes_path() const;
  void note_change() { changed_ = true; }
  /// Writes the file when pipelines were added. A cache that cannot be written costs time, not results: a problem is
  /// logged once, and nothing more is tried. False once there was one.
  bool save();

 private:
  DeviceRef device_;
  std::filesystem::path path_;
  PipelineCacheHandle cache_;
  bool loaded_ = false, changed_ = false, failed_ = false;
};

}  // namespace fabula::vk
