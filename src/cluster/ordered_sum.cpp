#include "cluster/ordered_sum.hpp"

#include <algorithm>

#include "base/half.hpp"
#include "cluster/tree_sum.hpp"

namespace fabula::cluster {
namespace {
using train::WireType;

void narrow(std::span<const float> from, std::span<std::uint16_t> to) {
  std::transform(from.begin(), from.end(), to.begin(), float_to_bf16);
}

void widen(std::span<const std::uint16_t> from, std::span<float> to) {
  std::transform(from.begin(), from.end(), to.begin(), bf16_to_float);
}

}  // namespace

Slice slice_of(std::size_t count, int rank, int size) {
  const auto r = static_cast<std::size_t>(rank), n = static_cast<std::size_t>(size);
  const std::size_t each = count / n, more = count % n;  // the first `more` ranks have one more
  const std::size_t begin = r * each + std::min(r, more);
  return {begin, begin + each + (r < more ? 1 : 0)};
}

std::span<float> OrderedSum::slice(std::span<float> values, int rank) const {
  const Slice slice = slice_of(values.size(), rank, transport_.size());
  return values.subspan(slice.begin, slice.count());
}

train::SumTimes OrderedSum::operator()(std::span<float> values, WireType wire, bool flush,
                                       Transport::Clock::time_point deadline) {
  const int size = transport_.size(), rank = transport_.rank();
  train::SumTimes times{
      .bytes = values.size_bytes(), .begin = Transport::Clock::now(), .sent = {}, .added = {}, .end = {}};
  times.sent = times.added = times.end = times.begin;
  if (size == 1) return times;
  const std::span<float> own = slice(values, rank);
  parts_.resize(own.size() * static_cast<std::size_t>(size));
  exchange_parts(values, wire, deadline);
  times.sent = Transport::Clock::now();
  std::vector<std::span<float>> parts;
  for (int r = 0; r < size; ++r)
    parts.push_back(r == rank ? own : std::span(parts_).subspan(static_cast<std::size_t>(r) * own.size(), own.size()));
  add_in_tree(parts, flush);
  if (rank != 0) std::copy(parts.front().begin(), parts.front().end(), own.begin());
  times.added = Transport::Clock::now();
  exchange_sums(values, wire, deadline);
  times.end = Transport::Clock::now();
  return times;
}

// What a rank keeps to itself is rounded like what it sends, so that a sum does not depend on who adds it.
void OrderedSum::exchange_parts(std::span<float> values, WireType wire, Transport::Clock::time_point deadline) {
  const int size = transport_.size(), rank = transport_.rank();
  const std::size_t own_count = slice(values, rank).size();
  const bool narrowed = wire == WireType::kBf16;
  if (narrowed) {
    outgoing_.resize(values.size());
    incoming_.resize(parts_.size());
    narrow(values, outgoing_);
  }
  std::vector<Outgoing> outgoing;
  std::vector<Incoming> incoming;
  for (int r = 0; r < size; ++r) {
    if (r == rank) continue;
    const Slice theirs = slice_of(values.size(), r, size);
    const std::size_t place = static_cast<std::size_t>(r) * own_count;
    outgoing.push_back({r, narrowed ? std::as_bytes(std::span(outgoing_).subspan(theirs.begin, theirs.count()))
                                    : std::as_bytes(slice(values, r))});
    incoming.push_back({r, narrowed ? std::as_writable_bytes(std::span(incoming_).subspan(place, own_count))
                                    : std::as_writable_bytes(std::span(parts_).subspan(place, own_count))});
  }
  transport_.exchange(outgoing, incoming, deadline);
  if (!narrowed) return;
  widen(incoming_, parts_);
  const Slice own = slice_of(values.size(), rank, size);
  widen(std::span(outgoing_).subspan(own.begin, own.count()), slice(values, rank));
}

void OrderedSum::exchange_sums(std::span<float> values, WireType wire, Transport::Clock::time_point deadline) {
  const int size = transport_.size(), rank = transport_.rank();
  const Slice own = slice_of(values.size(), rank, size);
  const bool narrowed = wire == WireType::kBf16;
  if (narrowed) narrow(slice(values, rank), std::span(outgoing_).subspan(own.begin, own.count()));
  const auto bytes_of = [&](int r) {
    const Slice part = slice_of(values.size(), r, size);
    return narrowed ? std::as_writable_bytes(std::span(outgoing_).subspan(part.begin, part.count()))
                    : std::as_writable_bytes(slice(values, r));
  };
  std::vector<Outgoing> outgoing;
  std::vector<Incoming> incoming;
  for (int r = 0; r < size; ++r) {
    if (r == rank) continue;
    outgoing.push_back({r, bytes_of(rank)});
    incoming.push_back({r, bytes_of(r)});
  }
  transport_.exchange(outgoing, incoming, deadline);
  if (narrowed) widen(outgoing_, values);
}

}  // namespace fabula::cluster
