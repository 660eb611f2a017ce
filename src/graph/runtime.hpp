#pragma once
#include <array>
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

struct RuntimeOptions {
  bool timed = false;  ///< a timestamp around every command, for timings(): each then runs alone
  bool spans = false;  ///< timestamps around each graph's kernels, for kernel_span()
  /// Kernels are checked before anything rests on them, where the device's options say so (graph/self_test.hpp).
  bool self_test = true;
};

/// A workload on a device: its memory, and its graphs recorded when they are first needed and replayed. Inputs and
/// results are doubled on the host's side: a graph's next run can be prepared and submitted while the last one is under
/// way, and its results read until the run after the next is submitted.
class Runtime {
 public:
  /// Allocates everything, for all graphs. Parameters and states start as zeros; constants and inputs must be given
  /// before a graph that reads them is submitted. Throws kOutOfMemory with the sizes before anything runs; and as
  /// self_tested(), by which the workload may have other kernels afterwards.
  Runtime(vk::Device& device, Workload workload, const RuntimeOptions& options = {});

  const Workload& workload() const { return workload_; }
  vk::Device& device() { return device_; }
  /// A block of the store, for copies to and from it (graph/host_mirror.hpp).
  const vk::Buffer& store_block(std::size_t block) const { return store_.at(block); }

  /// What the store holds, by name, dense [rows, cols] without padding; waits for work in flight. Numbers are rounded
  /// to the stored type of floats, words are DType::kU32, and elements of any type are moved as they are stored; `type`
  /// is what the caller takes them for.
  void upload(std::string_view name, std::span<const float> numbers);
  void upload(std::string_view name, std::span<const std::uint32_t> words);
  void upload(std::string_view name, DType type, std::span<const std::byte> elements);
  /// Words or numbers of one row of it alone. Does not wait: they go ahead of what is submitted next, in the same
  /// submission.
  void upload_row(std::string_view name, std::int64_t row, std::span<const std::uint32_t> words);
  void upload_row(std::string_view name, std::int64_t row, std::span<const float> numbers);
  void download(std::string_view name, std::span<float> numbers);
  void download(std::string_view name, std::span<std::uint32_t> words);
  void download(std::string_view name, DType type, std::span<std::byte> elements);

  /// An input of one graph, dense: its words (of floats, their bits) or its numbers, for the runs submitted from now
  /// on. Does not wait: runs under way have their own copy.
  void set_input(std::size_t graph, std::string_view name, std::span<const std::uint32_t> words);
  void set_input(std::size_t graph, std::string_view name, std::span<const float> numbers);

  /// Makes the pipelines of these graphs, all at once on the machine's threads, and records the graphs. A graph's first
  /// submission does so where this has not: together and ahead of it, graphs are ready sooner than one by one.
  void prepare(std::span<const std::size_t> graphs);
  /// The first half of it: makes the graphs' pipelines that are missing, side by side on all of the machine's threads.
  /// Many at once take less time than a few now and a few then.
  void make_pipelines(std::span<const std::size_t> graphs);

  /// Runs graphs in order, each at most once; returns as soon as each one's run before the last is over. Throws
  /// kInternal, naming graph and value, for an input or a constant that is read and was never given.
  void submit(std::initializer_list<std::size_t> graphs);
  void submit(std::span<const std::size_t> graphs);
  /// Runs one graph `times` times in one go: its inputs are copied once, its kernels run so often, its results are
  /// copied once. What changes from one time to the next is a state that the graph itself writes. Counts as one run.
  void replay(std::size_t graph, std::int64_t times);
  void wait();

  /// A graph's runs are counted from 1; 0: it has not run.
  std::uint64_t last_run(std::size_t graph) const { return recorded_.at(graph).runs; }

  /// Whether a run (the last one, or the one before it) is over; does not wait.
  bool is_over(std::size_t graph, std::uint64_t run) const;

  /// A kept value of a run, dense: of the last one, or of the one before it. Waits for that run alone.
  std::vector<float> read(std::size_t graph, Value value, std::optional<std::uint64_t> run = {});
  std::vector<std::uint32_t> read_words(std::size_t graph, Value value, std::optional<std::uint64_t> run = {});

  /// Fills the arena with a bit pattern: checks poison it, so that a read of what nobody wrote shows.
  void fill_arena(std::uint32_t word);
  /// Device words of a value's padding and everything, row stride ld: for checks.
  std::vector<std::uint32_t> read_padded(std::size_t graph, Value value);

  /// Barriers between a prepared graph's commands, as recorded; graph::barrier_count says so beforehand.
  std::size_t barrier_count(std::size_t graph) const { return recorded_.at(graph).list.value().barrier_count(); }

  /// Of every command of a graph, the last time that it ran; with RuntimeOptions::timed.
  std::vector<vk::CommandList::Timing> timings(std::size_t graph) const;
  /// When a run's first kernel could begin and its last was over, in seconds of the device's clock; absent without
  /// RuntimeOptions::spans, without timestamps, and for a graph without inputs or results.
  std::optional<vk::CommandList::Span> kernel_span(std::size_t graph, std::uint64_t run);

 private:
  /// What a run does not share with the next one.
  struct Side {
    std::vector<vk::Buffer> staging;  ///< by input block
    vk::Buffer readback;
    std::optional<vk::CommandList> inputs, results;  ///< the copies before and behind the kernels
    std::uint64_t ticket = 0;                        ///< of its last submission
  };
  struct Recorded {
    std::vector<vk::Buffer> inputs;
    std::vector<std::vector<std::uint32_t>> next_inputs;  ///< what the next run reads, by input block
    std::optional<vk::CommandList> list;                  ///< the kernels; absent until the graph is prepared
    std::array<Side, 2> sides;
    std::vector<std::string> not_given;  ///< inputs and constants that its nodes read, until the host gives them
    std::uint64_t runs = 0;
    Side& side_of(std::uint64_t run) { return sides[run % 2]; }
    const Side& side_of(std::uint64_t run) const { return sides[run % 2]; }
  };
  /// Rows that the host wrote, on their way to the store.
  struct RowCopies {
    vk::Buffer staging;
    std::optional<vk::CommandList> list;
    std::uint64_t ticket = 0;  ///< of its last submission
  };
  struct WrittenRow {
    std::size_t block;  ///< of the store
    std::uint64_t offset;
    std::vector<std::byte> bytes;
  };
  vk::BufferRange resolve(const Recorded& recorded, const Range& range) const;
  void allocate(const PlannedGraph& planned, Recorded& recorded);
  void note_what_is_read(const PlannedGraph& planned, Recorded& recorded);
  void check_given(const PlannedGraph& planned, const Recorded& recorded) const;
  void fill(const vk::Buffer& block, std::uint32_t word);
  void record(const PlannedGraph& planned, Recorded& recorded);
  void record_copies(const PlannedGraph& planned, const Recorded& recorded, Side& side);
  void send(std::span<const std::size_t> graphs, std::int64_t times);
  /// The copies of all rows written since the last call, ready to be submitted; nullptr: there are none.
  RowCopies* take_written_rows();
  /// The side of a run that has not been overwritten yet, when the run is over.
  Side& finished(std::size_t graph, std::optional<std::uint64_t> run);
  /// The stored value of that name, once `bytes` of elements of the host's `type` can be moved up or down.
  const Workload::Stored& find_stored(std::string_view name, DType type, std::size_t bytes) const;
  /// Rows of a stored value that lie together, and where they are on the device.
  using ChunkVisitor = std::function<void(RowBlock, const vk::Buffer&, std::uint64_t offset)>;
  /// Visits a stored value in chunks of bounded size, after work in flight.
  void for_each_chunk(const Workload::Stored& stored, const ChunkVisitor& visit);
  using RowWriter = std::function<void(const Shape&, std::int64_t row, std::byte* to)>;  ///< without its padding
  using RowReader = std::function<void(const Shape&, std::int64_t row, const std::byte* from)>;
  void upload_rows(std::string_view name, DType type, std::size_t bytes, const RowWriter& write);
  void upload_one_row(std::string_view name, std::int64_t row, DType type, std::span<const std::byte> elements);
  void download_rows(std::string_view name, DType type, std::size_t bytes, const RowReader& read);
  const std::byte* kept_rows(std::size_t graph, Value value, std::optional<std::uint64_t> run);

  vk::Device& device_;
  Workload workload_;
  RuntimeOptions options_;
  std::vector<vk::Buffer> store_, arena_;
  std::vector<Recorded> recorded_;
  std::vector<WrittenRow> written_rows_;  ///< since the last submission
  std::array<RowCopies, 2> row_copies_;   ///< by turns: one is filled while the other one is under way
};

}  // namespace fabula::graph
