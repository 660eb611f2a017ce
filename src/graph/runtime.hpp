#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/workload.hpp"
#include "vk/device.hpp"

namespace fabula::graph {

/// A workload on a device: its memory, and its graphs recorded once and replayed.
class Runtime {
 public:
  /// Allocates everything and records every graph. Throws kOutOfMemory with the sizes before anything runs.
  Runtime(vk::Device& device, Workload workload, bool timed = false);

  const Workload& workload() const { return workload_; }
  vk::Device& device() { return device_; }

  /// Parameters and states by name; data is dense [rows, cols] without padding. They wait for work in flight.
  void upload(std::string_view name, std::span<const float> data);
  void download(std::string_view name, std::span<float> data);

  /// An input of one graph, dense: its words (of floats, their bits) or its numbers. Waits for work in flight, whose
  /// inputs must not change under it.
  void set_input(std::size_t graph, std::string_view name, std::span<const std::uint32_t> words);
  void set_input(std::size_t graph, std::string_view name, std::span<const float> data);

  /// Runs graphs in order; returns at once.
  void submit(std::initializer_list<std::size_t> graphs);
  void wait();

  /// A kept value of the graph's last run, dense. Waits.
  std::vector<float> read(std::size_t graph, Value value);
  std::vector<std::uint32_t> read_words(std::size_t graph, Value value);

  /// Fills the arena with a bit pattern: checks poison it, so that a read of what nobody wrote shows.
  void fill_arena(std::uint32_t word);
  /// Device words of a value's padding and everything, row stride ld: for checks.
  std::vector<std::uint32_t> read_padded(std::size_t graph, Value value);

  std::vector<vk::CommandList::Timing> timings(std::size_t graph) const { return recorded_.at(graph).list->timings(); }

 private:
  struct Recorded {
    std::vector<vk::Buffer> inputs, staging;  ///< staging only where inputs cannot be mapped
    vk::Buffer readback;
    std::optional<vk::CommandList> list;
  };
  vk::BufferRange resolve(const Recorded& recorded, const Range& range) const;
  void fill(const vk::Buffer& block, std::uint32_t word);
  void record(const PlannedGraph& planned, Recorded& recorded, bool timed);
  /// Rows of a stored tensor that lie together: where they are on the device.
  using ChunkVisitor = std::function<void(const Shape&, RowBlock, const vk::Buffer&, std::uint64_t offset)>;
  /// Visits a parameter or state in chunks of bounded size, after work in flight; `count` numbers are on the host's
  /// side.
  void for_each_chunk(std::string_view name, std::size_t count, const ChunkVisitor& visit);
  const std::uint32_t* readback(std::size_t graph, Value value);

  vk::Device& device_;
  Workload workload_;
  std::vector<vk::Buffer> store_, arena_;
  std::vector<Recorded> recorded_;
  bool in_flight_ = false;
};

}  // namespace fabula::graph
