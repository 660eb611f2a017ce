#pragma once
#include <gtest/gtest.h>

#include <map>

#include "graph/memory_plan.hpp"

// Checks a memory plan by running it without data: who wrote each stretch of memory last?
namespace fabula::test {

/// Every value must still be in its memory whenever it is read, and no node may write over what it reads, unless its op
/// declared that pair as in place. `alignment` is the plan's: all offsets are multiples of it.
class OwnershipCheck {
 public:
  OwnershipCheck(const graph::Graph& graph, const graph::ArenaPlan& plan, std::uint64_t alignment)
      : graph_(graph), plan_(plan), alignment_(alignment) {}

  void run() {
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) visit(n);
    for (std::size_t id = 0; id < graph_.values().size(); ++id) {
      const graph::Value value{static_cast<std::int32_t>(id)};
      if (graph_.info(value).keep && in_arena(value)) expect_intact(value, "the host");
    }
  }

 private:
  using Slot = std::pair<std::uint32_t, std::uint64_t>;  // block, offset / alignment

  bool in_arena(graph::Value value) const {
    return value && plan_.interval_of[static_cast<std::size_t>(value.id)] >= 0;
  }

  std::vector<Slot> slots(const graph::Placement& placement, const graph::Shape& shape) const {
    std::vector<Slot> result;
    std::int64_t next = 0;
    for (const graph::Piece& piece : placement.pieces) {
      EXPECT_EQ(piece.row_begin, next) << "pieces leave rows out";
      next = piece.row_end;
      EXPECT_EQ(piece.offset % alignment_, 0u);
      const auto bytes = static_cast<std::uint64_t>((piece.row_end - piece.row_begin) * shape.ld() * 4);
      EXPECT_LE(piece.offset + bytes, plan_.block_sizes.at(piece.block));
      for (std::uint64_t at = piece.offset; at < piece.offset + bytes; at += alignment_)
        result.push_back({piece.block, at / alignment_});
    }
    return result;
  }
  std::vector<Slot> slots(graph::Value value) const {
    const auto interval = static_cast<std::size_t>(plan_.interval_of[static_cast<std::size_t>(value.id)]);
    const std::vector<Slot> result = slots(plan_.intervals[interval].placement, graph_.shape(value));
    EXPECT_FALSE(result.empty()) << graph_.info(value).name << " has no memory";
    return result;
  }

  void expect_intact(graph::Value value, const std::string& reader) {
    for (const Slot& slot : slots(value)) {
      const auto it = owner_.find(slot);
      if (it != owner_.end() && it->second == value.id) continue;
      ADD_FAILURE() << reader << " reads value " << value.id << " " << graph_.info(value).name << " after value "
                    << (it == owner_.end() ? -1 : it->second) << " was written over it";
      return;
    }
  }

  void visit(std::size_t n) {
    const graph::Node& node = graph_.nodes()[n];
    std::map<Slot, std::size_t> read;  // by which input
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!in_arena(node.inputs[i])) continue;
      expect_intact(node.inputs[i], node.label);
      for (const Slot& slot : slots(node.inputs[i])) read.emplace(slot, i);
    }
    std::map<Slot, std::string> written;
    const auto write = [&](const Slot& slot, const std::string& what) {
      EXPECT_TRUE(written.emplace(slot, what).second)
          << node.label << " writes " << what << " and " << written[slot] << " to one place";
    };
    for (std::size_t o = 0; o < node.outputs.size(); ++o) {
      if (!in_arena(node.outputs[o])) continue;
      for (const Slot& slot : slots(node.outputs[o])) {
        write(slot, "output " + std::to_string(o));
        owner_[slot] = node.outputs[o].id;
        const auto it = read.find(slot);
        if (it == read.end()) continue;
        const auto& allowed = node.op->def->in_place;
        EXPECT_NE(std::find(allowed.begin(), allowed.end(), std::pair{o, it->second}), allowed.end())
            << node.label << " writes output " << o << " over its input " << it->second;
      }
    }
    for (const std::int32_t interval : plan_.scratch[n]) {
      const graph::Interval& scratch = plan_.intervals[static_cast<std::size_t>(interval)];
      for (const graph::Piece& piece : scratch.placement.pieces) {
        const std::uint64_t bytes = scratch.placement.pieces.size() == 1 ? scratch.bytes : 1;
        for (std::uint64_t at = piece.offset; at < piece.offset + bytes; at += alignment_) {
          const Slot slot{piece.block, at / alignment_};
          write(slot, "scratch");
          owner_[slot] = -2;
          EXPECT_FALSE(read.contains(slot)) << node.label << " has scratch over its input " << read[slot];
        }
      }
    }
  }

  const graph::Graph& graph_;
  const graph::ArenaPlan& plan_;
  std::uint64_t alignment_;
  std::map<Slot, std::int32_t> owner_;  // the value last written there; -2: scratch
};

inline void expect_values_survive(const graph::Graph& graph, const graph::ArenaPlan& plan,
                                  std::uint64_t alignment = 256) {
  OwnershipCheck(graph, plan, alignment).run();
}

}  // namespace fabula::test
