#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "cluster/transport.hpp"
#include "train/reducer.hpp"

namespace fabula::cluster {

/// The part of `count` numbers that rank `rank` of `size` adds for all: [begin, end).
struct Slice {
  std::size_t begin = 0, end = 0;
  std::size_t count() const { return end - begin; }
};
Slice slice_of(std::size_t count, int rank, int size);

/// Adds the ranks' numbers: every rank sends each other one its slice, adds its own slice of all ranks by add_in_tree
/// over the ranks, and hands the sum out.
class OrderedSum {
 public:
  explicit OrderedSum(Transport& transport) : transport_(transport) {}
  train::SumTimes operator()(std::span<float> values, train::WireType wire, bool flush,
                             Transport::Clock::time_point deadline);

 private:
  void exchange_parts(std::span<float> values, train::WireType wire, Transport::Clock::time_point deadline);
  void exchange_sums(std::span<float> values, train::WireType wire, Transport::Clock::time_point deadline);
  std::span<float> slice(std::span<float> values, int rank) const;

  Transport& transport_;
  std::vector<float> parts_;                        ///< the own slice of the other ranks, one after the other
  std::vector<std::uint16_t> outgoing_, incoming_;  ///< 16-bit numbers on the wire
};

}  // namespace fabula::cluster
