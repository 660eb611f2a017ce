#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/segments.hpp"
#include "ops/grouped_matmul.hpp"

// Launches of the grouped matrix products, cut into blocks of positions and of weight rows where these are more than a
// device binds at once.
namespace fabula::ops {

/// A product's operands, and a call's kernels for it.
class GroupedProduct {
 public:
  struct Operands {
    graph::Value x;       ///< [N, depth]
    graph::Value weight;  ///< [weight_rows, depth]; absent where only its gradient is computed
    graph::Value rows, plan;
    std::int64_t round = 0;  ///< of a ragged z
  };
  GroupedProduct(graph::LowerCall& call, const GroupedSize& size, Operands operands)
      : call_(call), size_(size), plan_(size.plan()), of_(operands), shuffle_(call.variant() == kMatmulShuffle) {}

  /// z [N, slots] by position, or a round of it. `shift` may be absent.
  void forward(graph::Value shift, graph::Value z) const {
    const auto positions = position_blocks(of_.x, size_.depth, z);
    const auto rows = weight_blocks();
    const bool cut = positions.size() > 1 || rows.size() > 1;
    const std::int64_t groups = chunk_groups(padded_slots());
    for (const graph::RowBlock& block : positions) {
      for (const graph::RowBlock& row_block : rows) {
        ChunkPush push = chunk_push(block, row_block);
        push.has_shift = bool(shift);
        call_.dispatch(launch("grouped_matmul", cut,
                              {of(of_.x, block), of(of_.weight, row_block), of_.rows, shift ? shift : of_.plan,
                               of_.plan, of_z(z, block)},  // an absent shift is not read
                              groups),
                       push);
      }
    }
  }

  /// d_x [N, depth]; blocks of weight rows add to it one after the other. Of a round: the rows of its positions.
  void backward_x(graph::Value d_z, graph::Value d_x) const {
    const auto rows = weight_blocks();
    const std::int64_t groups = chunk_groups(ld());
    for (const graph::RowBlock& block : position_blocks(d_x, 0, d_z)) {
      for (const graph::RowBlock& row_block : rows) {
        call_.dispatch(
            launch("grouped_matmul_backward_x", rows.size() > 1,
                   {of_z(d_z, block), of(of_.weight, row_block), of_.rows, of_.plan, of(d_x, block)}, groups),
            chunk_push(block, row_block));
      }
    }
  }

  /// d_weight [weight_rows, depth], which has been cleared, and d_shift [groups, slots]. Sums of grouped_window_sums
  /// stand in `sums` and `shift_sums`; absent where there are none. Rounds behind the first add.
  void backward_weight(graph::Value d_z, graph::Value d_weight, graph::Value d_shift, graph::Value sums,
                       graph::Value shift_sums) const {
    const auto positions = position_blocks(of_.x, size_.depth, d_z);
    const auto rows = call_.row_blocks({d_weight});
    const bool cut = positions.size() > 1 || rows.size() > 1;
    const GroupedWindows windows = grouped_windows(size_, call_.profile(), call_.variant());
    const std::int64_t tiles = ceil_div(padded_slots(), tile().m) * ceil_div(ld(), tile().n);
    if (windows.count == 0) sums = shift_sums = of_.plan;  // bound unread
    for (const graph::RowBlock& block : positions) {
      ListPush push = list_push(block, windows);
      const graph::Window d_z_rows = of_z(d_z, block), x = of(of_.x, block);
      if (windows.count > 0)
        call_.dispatch(graph::Launch{.shader = "grouped_matmul_backward_weight_windows",
                                     .constants = {cut, size_.ragged},
                                     .bindings = {d_z_rows, x, of_.plan, sums, shift_sums},
                                     .groups = graph::LowerCall::grid(windows.count * tiles)},
                       push);
      for (const graph::RowBlock& row_block : rows) {
        push.first_row = u32(row_block.begin);
        push.end_row = u32(row_block.end);
        std::vector<graph::Window> bindings{d_z_rows, x, of_.plan};
        if (!shuffle_) bindings.insert(bindings.end(), {sums, shift_sums});
        bindings.insert(bindings.end(), {of_.rows, of(d_weight, row_block), d_shift});
        call_.dispatch(launch("grouped_matmul_backward_weight", cut, std::move(bindings), size_.groups * tiles), push);
      }
    }
  }

 private:
  /// The push constants of shaders/include/grouped_chunk.glsl.
  struct ChunkPush {
    std::uint32_t first_position, end_position, first_row, end_row, weight_rows, chunks, entries, groups, slots,
        columns, columns4, slots4, has_shift, round, places, round_chunks;
  };
  /// The push constants of shaders/include/grouped_list.glsl.
  struct ListPush {
    std::uint32_t first_position, end_position, first_row, end_row, windows, window, entries, group_chunks, groups,
        slots, columns, columns4, slots4, add, round, places, round_chunks;
  };
  static std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }
  static graph::Window of(graph::Value value, const graph::RowBlock& block) { return {value, block.begin, block.end}; }
  /// A round is bound whole.
  graph::Window of_z(graph::Value z, const graph::RowBlock& block) const {
    return size_.ragged ? graph::Window(z) : of(z, block);
  }
  std::int64_t ld() const { return round_up(size_.depth, 4); }
  std::int64_t padded_slots() const { return round_up(size_.slots, 4); }
  MatmulTile tile() const { return matmul_tile(call_.profile(), call_.variant()); }

  /// What both kinds of push constants have.
  template <class Push>
  Push push_for(const graph::RowBlock& positions, const graph::RowBlock& rows) const {
    Push push{};
    push.first_position = u32(positions.begin);
    push.end_position = u32(positions.end);
    push.first_row = u32(rows.begin);
    push.end_row = u32(rows.end);
    push.entries = u32(plan_.entries);
    push.groups = u32(size_.groups);
    push.slots = u32(size_.slots);
    push.columns = u32(size_.depth);
    push.columns4 = u32(ld() / 4);
    push.slots4 = u32(padded_slots() / 4);
    push.round = u32(of_.round);
    push.places = u32(plan_.places);
    push.round_chunks = u32(plan_.round_chunks);
    return push;
  }
  ChunkPush chunk_push(const graph::RowBlock& positions, const graph::RowBlock& rows) const {
    ChunkPush push = push_for<ChunkPush>(positions, rows);
    push.weight_rows = u32(size_.weight_rows);
    push.chunks = u32(plan_.chunks);
    return push;
  }
  ListPush list_push(const graph::RowBlock& positions, const GroupedWindows& windows) const {
    ListPush push = push_for<ListPush>(positions, {0, 0});
    push.windows = u32(windows.count);
    push.window = u32(windows.length);
    push.group_chunks = u32(plan_.group_chunks);
    push.add = positions.begin > 0 || of_.round > 0;
    return push;
  }

  /// Rows that one launch can read of an operand with so many columns; -1: any number.
  std::int64_t max_rows(std::int64_t columns) const {
    return shuffle_ && columns > 0 ? texel_rows({size_.positions, columns}, call_.profile()) : -1;
  }
  /// Of `value` [N, ..], and of z where it lies by position; `read`: columns of what is read of the former.
  std::vector<graph::RowBlock> position_blocks(graph::Value value, std::int64_t read, graph::Value z) const {
    const std::int64_t rows = max_rows(read), of_z = max_rows(size_.slots);
    if (size_.ragged) return call_.row_blocks({value}, rows);
    return call_.row_blocks({value, z}, rows < 0 ? of_z : std::min(rows, of_z));
  }
  std::vector<graph::RowBlock> weight_blocks() const {
    return call_.row_blocks({of_.weight},
                            shuffle_ ? texel_rows({size_.weight_rows, size_.depth}, call_.profile()) : -1);
  }
  /// Workgroups over the plan's chunks by `columns` of the output.
  std::int64_t chunk_groups(std::int64_t columns) const {
    return plan_.chunks * ceil_div(kSegmentChunk, tile().m) * ceil_div(columns, tile().n);
  }
  graph::Launch launch(std::string_view op, bool cut, std::vector<graph::Window> bindings, std::int64_t groups) const {
    graph::Launch launch{.shader = std::string(op),
                         .constants = {cut, size_.ragged},
                         .bindings = std::move(bindings),
                         .groups = graph::LowerCall::grid(groups)};
    if (!shuffle_) return launch;
    launch.shader += "_shuffle";
    launch.subgroup_size = matmul_shuffle_lanes(call_.profile());
    launch.constants.push_back(launch.subgroup_size);
    return launch;
  }

  graph::LowerCall& call_;
  GroupedSize size_;
  GroupPlanLayout plan_;
  Operands of_;
  bool shuffle_;
};

}  // namespace fabula::ops
