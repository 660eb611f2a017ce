#pragma once
#include <map>
#include <tuple>

#include "vk/device_impl.hpp"
#include "vk/hazards.hpp"

namespace fabula::vk {

struct CommandList::Impl {
  /// Commands a segment: few enough that even a slow device runs them well within the time budget, enough that cutting
  /// costs nothing that can be measured.
  static constexpr std::uint32_t kSegmentCommands = 16;

  Impl(Device::Impl& device, const Device::ListOptions& options);
  ~Impl();

  Device::Impl& device;
  Device::ListOptions options;
  CommandPoolHandle pool;
  std::vector<Segment> segments;
  std::vector<DescriptorPoolHandle> descriptor_pools;
  std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, BindingKind>, BufferViewHandle>
      views;  ///< by buffer id, offset, size and what a texel holds
  HazardTracker hazards;
  std::vector<std::string> labels;  ///< by command
  std::size_t barriers = 0;         ///< recorded between commands
  bool ended = false, open = false;

  VkCommandBuffer begin_command(const std::vector<HazardTracker::Use>& uses, const std::string& label);
  void end_command();
  void check_range(const BufferRange& range, const std::string& what) const;
  void check_dispatch(const DispatchCall& call) const;
  VkBufferView view(const BufferRange& range, BindingKind kind);
  VkDescriptorSet descriptor_set(const Pipeline& pipeline, const DispatchCall& call);
  void close_segment();
  std::uint64_t tick_mask() const;  ///< of the bits that timestamps count in
  /// Timestamps of a timed segment's last run; empty before its first.
  std::vector<std::uint64_t> ticks(const Segment& segment) const;

 private:
  void open_segment();
  void add_descriptor_pool();
  void full_barrier();
};

}  // namespace fabula::vk
