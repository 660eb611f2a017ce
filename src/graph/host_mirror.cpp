#include "graph/host_mirror.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula::graph {
namespace {

struct Copied {
  std::uint32_t block;
  std::uint64_t offset, bytes;
};

/// The bytes of the store that hold these rows, in their order; what lies together is one.
std::vector<Copied> bytes_of(const Workload& workload, std::span<const StoredRows> rows) {
  std::vector<Copied> copied;
  for (const StoredRows& wanted : rows) {
    const auto it = workload.stored().find(wanted.name);
    ensure(it != workload.stored().end(), "the store holds no \"{}\"", wanted.name);
    const Shape& shape = it->second.shape;
    ensure(shape.dtype == DType::kF32, "\"{}\" holds {}, {} is mirrored", wanted.name, to_string(shape.dtype),
           to_string(DType::kF32));
    for (const Piece& piece : it->second.placement.pieces) {
      const std::int64_t begin = std::max(wanted.begin, piece.row_begin), end = std::min(wanted.end, piece.row_end);
      if (begin >= end) continue;
      const Copied next{piece.block,
                        piece.offset + static_cast<std::uint64_t>((begin - piece.row_begin) * shape.row_bytes()),
                        static_cast<std::uint64_t>((end - begin) * shape.row_bytes())};
      if (!copied.empty() && copied.back().block == next.block &&
          copied.back().offset + copied.back().bytes == next.offset)
        copied.back().bytes += next.bytes;
      else
        copied.push_back(next);
    }
  }
  return copied;
}

}  // namespace

HostMirror::HostMirror(Runtime& runtime, std::span<const StoredRows> rows) : runtime_(runtime) {
  const std::vector<Copied> copied = bytes_of(runtime.workload(), rows);
  std::uint64_t bytes = 0;
  for (const Copied& part : copied) bytes += part.bytes;
  count_ = bytes / sizeof(float);
  vk::Device& device = runtime.device();
  buffer_ = device.allocate(bytes, vk::MemoryUse::kReadback, "mirror of the store");
  fetch_.emplace(device.new_list({.label = "fetch", .brief = true}));
  put_back_.emplace(device.new_list({.label = "put back", .brief = true}));
  std::uint64_t place = 0;
  for (const Copied& part : copied) {
    const vk::BufferRange store{&runtime.store_block(part.block), part.offset, part.bytes},
        host{&buffer_, place, part.bytes};
    fetch_->copy(store, host);
    put_back_->copy(host, store);
    place += part.bytes;
  }
  fetch_->end();
  put_back_->end();
}

void HostMirror::fetch() {
  vk::CommandList* const lists[] = {&*fetch_};
  ticket_ = runtime_.device().submit(lists);
}

void HostMirror::wait() {
  runtime_.device().wait(ticket_);
}

std::span<float> HostMirror::numbers() {
  return {static_cast<float*>(buffer_.mapped()), count_};
}

void HostMirror::put_back() {
  vk::CommandList* const lists[] = {&*put_back_};
  runtime_.device().submit(lists);
}

}  // namespace fabula::graph
