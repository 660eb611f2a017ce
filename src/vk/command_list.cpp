#include <algorithm>

#include "base/fail.hpp"
#include "vk/command_list_impl.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

constexpr VkPipelineStageFlags kWork = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
constexpr VkAccessFlags kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
constexpr VkAccessFlags kReads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
constexpr std::uint64_t kTexelBytes = 16;  // RGBA32F

HazardTracker::Use use_of(const BufferRange& range, bool write) {
  return {range.buffer->impl()->id, range.offset, range.offset + range.size, write};
}

}  // namespace

CommandList::CommandList(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CommandList::CommandList(CommandList&&) noexcept = default;
CommandList& CommandList::operator=(CommandList&&) noexcept = default;
CommandList::~CommandList() = default;

CommandList::Impl::Impl(Device::Impl& of, const Device::ListOptions& wanted) : device(of), options(wanted) {
  if (!device.profile().features.timestamps) options.timed = false;
  const VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr, 0,
                                     device.physical.queue_family};
  VkCommandPool made = VK_NULL_HANDLE;
  check(device.table.vkCreateCommandPool(device.logical.device, &info, nullptr, &made), "creating a command pool");
  pool = CommandPoolHandle(device.ref(), made);
}

CommandList::Impl::~Impl() {
  device.submissions->settle();
}

void CommandList::Impl::full_barrier() {
  const VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, kWrites, kReads | kWrites};
  device.table.vkCmdPipelineBarrier(segments.back().commands, kWork, kWork, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void CommandList::Impl::open_segment() {
  Segment segment;
  if (options.brief) segment.seconds = 0.0;
  VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = pool.get();
  allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  allocate.commandBufferCount = 1;
  check(device.table.vkAllocateCommandBuffers(device.logical.device, &allocate, &segment.commands),
        "allocating a command buffer");
  if (options.timed) {
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = kSegmentCommands + 1;
    VkQueryPool queries = VK_NULL_HANDLE;
    check(device.table.vkCreateQueryPool(device.logical.device, &info, nullptr, &queries), "creating a query pool");
    segment.queries = QueryPoolHandle(device.ref(), queries);
  }
  VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags =
      VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;  // a list may be submitted again before its last run is over
  check(device.table.vkBeginCommandBuffer(segment.commands, &begin), "recording a command buffer");
  const bool first = segments.empty();
  segments.push_back(std::move(segment));
  open = true;
  // Whatever ran before this list, its own last run included, comes first.
  if (first || options.timed) full_barrier();
  if (options.timed) {
    const Segment& s = segments.back();
    device.table.vkCmdResetQueryPool(s.commands, s.queries.get(), 0, kSegmentCommands + 1);
    device.table.vkCmdWriteTimestamp(s.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, s.queries.get(), 0);
  }
}

void CommandList::Impl::close_segment() {
  if (!open) return;
  check(device.table.vkEndCommandBuffer(segments.back().commands), "recording \"" + options.label + "\"");
  open = false;
}

VkCommandBuffer CommandList::Impl::begin_command(const std::vector<HazardTracker::Use>& uses,
                                                 const std::string& label) {
  ensure(!ended, "command \"{}\" is recorded after end() of \"{}\"", label, options.label);
  // A full segment is closed only when another command comes: end() adds to the last one.
  if (open && segments.back().count == kSegmentCommands) close_segment();
  const bool fresh = !open;
  if (fresh) open_segment();
  const bool hazard = hazards.add(uses);
  // In timed lists every command runs alone, or its time would be its neighbours' too.
  if (hazard || (options.timed && !fresh)) {
    full_barrier();
    ++barriers;
  }
  labels.push_back(label);
  return segments.back().commands;
}

void CommandList::Impl::end_command() {
  Segment& segment = segments.back();
  ++segment.count;
  if (options.timed) {
    device.table.vkCmdWriteTimestamp(segment.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, segment.queries.get(),
                                     segment.count);
  }
}

void CommandList::Impl::check_range(const BufferRange& range, const std::string& what) const {
  ensure(range.buffer != nullptr && *range.buffer, "{}: no buffer", what);
  const std::uint64_t size = range.buffer->size();
  ensure(range.size != 0 && range.offset <= size && range.size <= size - range.offset,
         "{}: bytes {} to {} of buffer \"{}\", which has {}", what, range.offset, range.offset + range.size,
         range.buffer->impl()->what, size);
}

void CommandList::Impl::check_dispatch(const DispatchCall& call) const {
  const Limits& limits = device.profile().limits;
  ensure(call.pipeline != nullptr, "dispatch \"{}\" has no pipeline", call.label);
  const std::string& shader = call.pipeline->key.shader;
  const ShaderInterface& interface = call.pipeline->interface();
  ensure(call.bindings.size() == interface.slots.size(), "dispatch \"{}\" ({}) has {} bindings, the shader takes {}",
         call.label, shader, call.bindings.size(), interface.slots.size());
  ensure(call.push.size() == interface.push_constant_bytes,
         "dispatch \"{}\" ({}) has {} bytes of push constants, the shader takes {}", call.label, shader,
         call.push.size(), interface.push_constant_bytes);
  for (std::size_t i = 0; i < 3; ++i) {
    ensure(call.groups[i] != 0 && call.groups[i] <= limits.max_workgroup_count[i],
           "dispatch \"{}\" ({}) has {} x {} x {} workgroups, the device takes 1 to {} x {} x {}", call.label, shader,
           call.groups[0], call.groups[1], call.groups[2], limits.max_workgroup_count[0], limits.max_workgroup_count[1],
           limits.max_workgroup_count[2]);
  }
  for (std::size_t i = 0; i < call.bindings.size(); ++i) {
    const BufferRange& range = call.bindings[i];
    const bool texel = interface.slots[i].kind != BindingKind::kStorage;
    const std::string what = fmt::format("dispatch \"{}\" ({}) binding {}", call.label, shader, i);
    check_range(range, what);
    ensure(range.offset % limits.storage_alignment == 0, "{}: offset {} is no multiple of {}", what, range.offset,
           limits.storage_alignment);
    const std::uint64_t most = texel ? limits.max_texel_elements * kTexelBytes : limits.max_storage_range;
    ensure(range.size <= most, "{}: {} bytes bound, the device takes {}", what, range.size, most);
    ensure(!texel || range.size % kTexelBytes == 0, "{}: {} bytes are no whole number of RGBA32F texels", what,
           range.size);
    ensure(range.size % 4 == 0, "{}: {} bytes are no whole number of words", what, range.size);
  }
}

VkBufferView CommandList::Impl::view(const BufferRange& range, BindingKind kind) {
  auto& slot = views[{range.buffer->impl()->id, range.offset, range.size, kind}];
  if (!slot) {
    VkBufferViewCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO};
    info.buffer = range.buffer->impl()->buffer.get();
    info.format = kind == BindingKind::kTexelWords ? VK_FORMAT_R32G32B32A32_UINT : VK_FORMAT_R32G32B32A32_SFLOAT;
    info.offset = range.offset;
    info.range = range.size;
    VkBufferView made = VK_NULL_HANDLE;
    check(device.table.vkCreateBufferView(device.logical.device, &info, nullptr, &made), "creating a texel view");
    slot = BufferViewHandle(device.ref(), made);
  }
  return slot.get();
}

void CommandList::Impl::add_descriptor_pool() {
  constexpr std::uint32_t kSets = 128, kStorageEach = 8, kTexelEach = 2;
  const std::array sizes{VkDescriptorPoolSize{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kSets * kStorageEach},
                         VkDescriptorPoolSize{VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, kSets * kTexelEach}};
  VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  info.maxSets = kSets;
  info.poolSizeCount = static_cast<std::uint32_t>(sizes.size());
  info.pPoolSizes = sizes.data();
  VkDescriptorPool made = VK_NULL_HANDLE;
  check(device.table.vkCreateDescriptorPool(device.logical.device, &info, nullptr, &made),
        "creating a descriptor pool");
  descriptor_pools.emplace_back(device.ref(), made);
}

VkDescriptorSet CommandList::Impl::descriptor_set(const Pipeline& pipeline, const DispatchCall& call) {
  VkDescriptorSet set = VK_NULL_HANDLE;
  const VkDescriptorSetLayout layout = pipeline.set_layout.get();
  const bool had_pool = !descriptor_pools.empty();
  if (!had_pool) add_descriptor_pool();
  const auto allocate = [&] {
    const VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, nullptr,
                                           descriptor_pools.back().get(), 1, &layout};
    return device.table.vkAllocateDescriptorSets(device.logical.device, &info, &set);
  };
  VkResult result = allocate();
  if (result != VK_SUCCESS && had_pool) {  // full: any of three codes, by driver and version
    add_descriptor_pool();
    result = allocate();
  }
  check(result, "allocating a descriptor set for " + call.label);

  const std::size_t count = call.bindings.size();
  std::vector<VkDescriptorBufferInfo> buffers(count);
  std::vector<VkBufferView> texels(count);
  std::vector<VkWriteDescriptorSet> writes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const BufferRange& range = call.bindings[i];
    VkWriteDescriptorSet& write = writes[i];
    write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = set;
    write.dstBinding = static_cast<std::uint32_t>(i);
    write.descriptorCount = 1;
    if (const BindingKind kind = pipeline.interface().slots[i].kind; kind != BindingKind::kStorage) {
      texels[i] = view(range, kind);
      write.descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
      write.pTexelBufferView = &texels[i];
    } else {
      buffers[i] = {range.buffer->impl()->buffer.get(), range.offset, range.size};
      write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      write.pBufferInfo = &buffers[i];
    }
  }
  device.table.vkUpdateDescriptorSets(device.logical.device, static_cast<std::uint32_t>(count), writes.data(), 0,
                                      nullptr);
  return set;
}

void CommandList::dispatch(const DispatchCall& call) {
  Impl& list = *impl_;
  list.check_dispatch(call);
  const Pipeline& pipeline = *call.pipeline;
  std::vector<HazardTracker::Use> uses;
  for (std::size_t i = 0; i < call.bindings.size(); ++i) {
    uses.push_back(use_of(call.bindings[i], pipeline.interface().slots[i].access != Access::kRead));
  }
  const VkDescriptorSet set = call.bindings.empty() ? VK_NULL_HANDLE : list.descriptor_set(pipeline, call);
  const VkCommandBuffer commands = list.begin_command(uses, call.label);
  const VolkDeviceTable& vk = list.device.table;
  vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline.get());
  const VkPipelineLayout layout = pipeline.layout.get();
  if (set != VK_NULL_HANDLE) {
    vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, nullptr);
  }
  if (!call.push.empty()) {
    vk.vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                          static_cast<std::uint32_t>(call.push.size()), call.push.data());
  }
  vk.vkCmdDispatch(commands, call.groups[0], call.groups[1], call.groups[2]);
  list.end_command();
}

void CommandList::fill(const BufferRange& range, std::uint32_t word) {
  impl_->check_range(range, "fill");
  ensure(range.offset % 4 == 0 && range.size % 4 == 0, "fill of {} bytes at {}: not whole words", range.size,
         range.offset);
  const VkCommandBuffer commands = impl_->begin_command({use_of(range, true)}, "fill");
  impl_->device.table.vkCmdFillBuffer(commands, range.buffer->impl()->buffer.get(), range.offset, range.size, word);
  impl_->end_command();
}

void CommandList::copy(const BufferRange& from, const BufferRange& to) {
  impl_->check_range(from, "copy from");
  impl_->check_range(to, "copy to");
  ensure(from.size == to.size, "copy of {} bytes into {}", from.size, to.size);
  const bool overlap =
      from.buffer == to.buffer && from.offset < to.offset + to.size && to.offset < from.offset + from.size;
  ensure(!overlap, "copy within buffer \"{}\": bytes {} and {}, {} each, overlap", from.buffer->impl()->what,
         from.offset, to.offset, from.size);
  const VkCommandBuffer commands = impl_->begin_command({use_of(from, false), use_of(to, true)}, "copy");
  const VkBufferCopy region{from.offset, to.offset, from.size};
  impl_->device.table.vkCmdCopyBuffer(commands, from.buffer->impl()->buffer.get(), to.buffer->impl()->buffer.get(), 1,
                                      &region);
  impl_->end_command();
}

void CommandList::end() {
  Impl& list = *impl_;
  ensure(!list.ended, "end() of command list \"{}\" is called twice", list.options.label);
  if (list.open) {
    // What the host maps must see these writes once the fence is signalled.
    const VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, kWrites, VK_ACCESS_HOST_READ_BIT};
    list.device.table.vkCmdPipelineBarrier(list.segments.back().commands, kWork, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                                           &barrier, 0, nullptr, 0, nullptr);
  }
  list.close_segment();
  list.ended = true;
}

std::size_t CommandList::barrier_count() const {
  return impl_->barriers;
}

std::size_t CommandList::command_count() const {
  return impl_->labels.size();
}

std::uint64_t CommandList::Impl::tick_mask() const {
  const std::uint32_t bits = device.physical.timestamp_bits;
  return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

std::vector<std::uint64_t> CommandList::Impl::ticks(const Segment& segment) const {
  std::vector<std::uint64_t> result(segment.count + 1);
  const VkResult read =
      device.table.vkGetQueryPoolResults(device.logical.device, segment.queries.get(), 0, segment.count + 1,
                                         result.size() * 8, result.data(), 8, VK_QUERY_RESULT_64_BIT);
  check(read, "reading timestamps");
  if (read == VK_NOT_READY) return {};
  for (std::uint64_t& tick : result) tick &= tick_mask();
  return result;
}

std::vector<CommandList::Timing> CommandList::timings() const {
  const Impl& list = *impl_;
  std::vector<Timing> result;
  if (!list.options.timed) return result;
  for (const Segment& segment : list.segments) {
    const std::vector<std::uint64_t> ticks = list.ticks(segment);
    if (ticks.empty()) return {};  // not run yet
    for (std::uint32_t i = 0; i < segment.count; ++i) {
      const double nanoseconds =
          static_cast<double>((ticks[i + 1] - ticks[i]) & list.tick_mask()) * list.device.physical.timestamp_period;
      result.push_back({list.labels[result.size()], nanoseconds * 1e-9});
    }
  }
  return result;
}

std::optional<CommandList::Span> CommandList::span() const {
  const Impl& list = *impl_;
  if (!list.options.timed || list.segments.empty()) return std::nullopt;
  const std::vector<std::uint64_t> first = list.ticks(list.segments.front()), last = list.ticks(list.segments.back());
  if (first.empty() || last.empty()) return std::nullopt;
  const double seconds = 1e-9 * list.device.physical.timestamp_period;  // of a tick
  return Span{static_cast<double>(first.front()) * seconds, static_cast<double>(last.back()) * seconds};
}

}  // namespace fabula::vk
