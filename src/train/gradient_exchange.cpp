#include "train/gradient_exchange.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/fail.hpp"
#include "ops/op_table.hpp"

namespace fabula::train {
namespace {

/// What a step leaves for the update: gradients, and the loss that says whether they are numbers.
bool is_summed(std::string_view name) {
  return name.starts_with(graph::kGradientPrefix) || name == models::kLossState;
}

/// States that the graph writes and the update reads, by the number of the last node that writes them.
std::multimap<std::size_t, graph::Value> last_writers(const graph::Graph& graph) {
  std::map<graph::Value, std::size_t> last;
  const auto note = [&](graph::Value value, std::size_t node) {
    if (graph.info(value).role == graph::Role::kState && is_summed(graph.info(value).name)) last[value] = node;
  };
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const graph::Node& node = graph.nodes()[n];
    for (const graph::Value output : node.outputs) note(output, n);
    for (const std::size_t i : graph::mutated_inputs(graph, node))
      if (i < node.inputs.size() && node.inputs[i]) note(node.inputs[i], n);
  }
  std::multimap<std::size_t, graph::Value> result;
  for (const auto& [value, node] : last) result.emplace(node, value);
  return result;
}

/// Whether the device's sums of subnormal numbers are zero.
bool flushes_subnormals(vk::Device& device) {
  graph::Graph graph(ops::op_table());
  graph.op("add_into", {graph.state("a", {1, 4}), graph.state("b", {1, 4})});
  graph::Workload workload{graph::Target(device.profile())};
  const std::size_t index = workload.add("subnormal numbers", std::move(graph));
  graph::Runtime runtime(device, std::move(workload), {.self_test = false});
  std::vector<float> numbers(4, 0x1p-130f);
  runtime.upload("a", numbers);
  runtime.upload("b", numbers);
  runtime.submit({index});
  runtime.download("a", numbers);
  return numbers.front() == 0;
}

}  // namespace

std::vector<GradientBucket> gradient_buckets(const graph::Graph& gradients) {
  std::vector<GradientBucket> buckets(1);
  std::int64_t room = kFirstBucketBytes;
  for (const auto& [node, value] : last_writers(gradients)) {
    const graph::ValueInfo& info = gradients.info(value);
    for (std::int64_t row = 0; row < info.shape.rows;) {
      if (room < info.shape.row_bytes() && !buckets.back().rows.empty()) {
        buckets.emplace_back();
        room = kBucketBytes;
      }
      const std::int64_t rows = std::clamp<std::int64_t>(room / info.shape.row_bytes(), 1, info.shape.rows - row);
      buckets.back().rows.push_back({info.name, row, row + rows});
      buckets.back().last_writer = static_cast<std::int32_t>(node);
      row += rows;
      room -= rows * info.shape.row_bytes();
    }
  }
  return buckets;
}

GradientExchange::GradientExchange(Reducer& reducer, graph::Runtime& runtime, const TrainingGraphs& graphs)
    : reducer_(reducer), runtime_(runtime), gradients_(graphs.accumulate.index) {
  std::vector<std::int32_t> cuts;
  for (const GradientBucket& bucket : gradient_buckets(runtime.workload().graphs().at(gradients_).graph)) {
    if (cuts.empty() || cuts.back() != bucket.last_writer) cuts.push_back(bucket.last_writer);
    buckets_.push_back({std::make_unique<graph::HostMirror>(runtime, bucket.rows), cuts.size() - 1, 0});
  }
  if (graphs.held.empty()) runtime.cut(gradients_, std::move(cuts));
  reducer.flush_subnormals(reducer.broadcast_text(flushes_subnormals(runtime.device()) ? "zeros" : "kept") == "zeros");
}

void GradientExchange::submit(std::span<const std::size_t> graphs) {
  fetched_ = started_ = 0;
  const bool in_parts = graphs.back() == gradients_;
  runtime_.submit(graphs, [&](std::size_t part) {
    if (in_parts) fetch_behind(part);
  });
  fetch_behind(buckets_.back().part);  // where sums that are held came behind the gradients, all of them
}

// One bucket is copied while the one before it is handed over.
void GradientExchange::fetch_behind(std::size_t part) {
  for (; fetched_ < buckets_.size() && buckets_[fetched_].part <= part; ++fetched_) {
    buckets_[fetched_].mirror->fetch();
    start_until(fetched_);
  }
}

void GradientExchange::start_until(std::size_t end) {
  for (; started_ < end; ++started_) {
    Bucket& bucket = buckets_[started_];
    bucket.mirror->wait();
    bucket.sum = reducer_.start_sum(bucket.mirror->numbers(), WireType::kFp32, kPeerPatience);
  }
}

void GradientExchange::finish(std::span<float> more) {
  more_.assign(more.begin(), more.end());
  more_sum_ = reducer_.start_sum(more_, WireType::kFp32, kPeerPatience);
  for (Bucket& bucket : buckets_) {
    finish_sum(bucket.sum);
    bucket.mirror->put_back();
  }
  finish_sum(more_sum_);
  std::copy(more_.begin(), more_.end(), more.begin());
}

void GradientExchange::finish_sum(std::uint64_t& sum) {
  if (const std::uint64_t started = std::exchange(sum, 0); started != 0) reducer_.finish_sum(started);
}

GradientExchange::~GradientExchange() {
  const auto wait = [this](std::uint64_t& sum) {
    try {
      finish_sum(sum);
    } catch (const std::exception&) {  // it has ended, which is all that is asked for here
    }
  };
  for (Bucket& bucket : buckets_) wait(bucket.sum);
  wait(more_sum_);
}

}  // namespace fabula::train
