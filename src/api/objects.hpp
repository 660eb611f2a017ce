#pragma once
#include <memory>
#include <string>

#include "api/fair_mutex.hpp"
#include "infer/model_folder.hpp"
#include "tuning/tuned_device.hpp"

// What stands behind the handles of devices and models.
namespace fabula::api {

/// An open device. Vulkan wants calls for one device one after the other: whoever uses it holds `mutex`.
struct DeviceObject {
  explicit DeviceObject(const vk::DeviceOptions& options) : opened(tuning::open_tuned_device(options)) {}

  FairMutex mutex;
  tuning::OpenedDevice opened;
};

/// A model's files as they were read. Never changes, so any thread may look at it.
struct ModelObject {
  ModelObject(std::unique_ptr<const ModelSource> source, const std::string& end_token,
              const infer::ModelStorage& storage)
      : folder(std::move(source), end_token, storage) {}

  infer::ModelFolder folder;
};

}  // namespace fabula::api
