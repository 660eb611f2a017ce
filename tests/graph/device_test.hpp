#pragma once
#include <gtest/gtest.h>

#include <memory>

#include "vk/device.hpp"

namespace fabula::test {

/// A test with a device, on which the validation layer must stay silent.
class DeviceTest : public testing::Test {
 protected:
  DeviceTest() : device_(vk::Device::open({.device = {}, .validate = true, .cache_dir = "none"})) {}
  void TearDown() override { EXPECT_EQ(device_->validation_messages(), 0u); }

  std::unique_ptr<vk::Device> device_;
};

}  // namespace fabula::test
