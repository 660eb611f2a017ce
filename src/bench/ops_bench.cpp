#include "bench/ops_bench.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>

#include "base/decode_slot.hpp"
#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "base/log.hpp"
#include "base/median.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"

namespace fabula::bench {
namespace {
using namespace graph;

/// One benchmark: an op, its inputs and attributes.
struct OpBench {
  std::string name, op;
  std::vector<OpCase::Input> inputs;
  Attrs attrs;
  std::vector<std::size_t> zero = {};                  ///< inputs that are zero instead of random
  std::vector<std::vector<std::uint32_t>> words = {};  ///< of the word inputs, by input; empty: zero
  std::vector<float> numbers = {};                     ///< of the first input; empty: random
};

/// The products of a layer: in 16 bits the weight gradient, TN, is fp32 all the same.
void add_products(std::vector<OpBench>& list, std::int64_t M, std::int64_t N, std::int64_t K,
                  DType dtype = DType::kF32) {
  const std::string size =
      fmt::format("{}x{}x{}{}", M, N, K, is_half(dtype) ? fmt::format(" {}", to_string(dtype)) : "");
  const auto input = [&](std::int64_t rows, std::int64_t cols) {
    return OpCase::Input{.shape = {rows, cols}, .dtype = dtype};
  };
  list.push_back({"matmul NN " + size, "matmul", {input(M, K), input(K, N)}, {}});
  list.push_back({"matmul NT " + size, "matmul", {input(M, K), input(N, K)}, {{"transpose_b", 1}}});
  list.push_back({"matmul TN " + size, "matmul", {input(K, M), input(K, N)}, {{"transpose_a", 1}, {"out", 0}}});
}

/// The second level of a grouped head over `G` groups of S consecutive ids: tokens follow Zipf's law, so about half of
/// all positions are in the first group, as they are in text.
void add_grouped_products(std::vector<OpBench>& list, std::int64_t N, std::int64_t D, std::int64_t G, std::int64_t S) {
  Philox random(7);
  std::vector<GroupTarget> targets;
  for (std::int64_t n = 0; n < N; ++n) {
    const auto token = static_cast<std::uint32_t>(std::pow(double(G * S), random.uniform())) % std::uint32_t(G * S);
    targets.push_back({token / std::uint32_t(S), token % std::uint32_t(S), std::uint32_t(S)});
  }
  std::vector<std::uint32_t> rows;
  for (std::int64_t row = 0; row < G * S; ++row) rows.push_back(static_cast<std::uint32_t>(row));
  const auto plan = make_group_plan(targets, static_cast<std::uint32_t>(G));
  const OpCase::Input x{.shape = {N, D}}, z{.shape = {N, S}}, weight{.shape = {G * S, D}}, shift{.shape = {G, S}};
  const OpCase::Input row_words{.shape = {1, G * S}, .dtype = DType::kU32};
  const OpCase::Input plan_words{.shape = {1, static_cast<std::int64_t>(plan.size())}, .dtype = DType::kU32};
  const std::string size = fmt::format("{}x{}x{} of {} groups", N, S, D, G);
  const double groups = double(G), weight_rows = double(G * S);
  list.push_back({"grouped_matmul " + size,
                  "grouped_matmul",
                  {x, weight, row_words, shift, plan_words},
                  {{"groups", groups}},
                  {},
                  {{}, {}, rows, {}, plan}});
  list.push_back({"grouped_matmul_backward_x " + size,
                  "grouped_matmul_backward_x",
                  {z, weight, row_words, plan_words},
                  {},
                  {},
                  {{}, {}, rows, plan}});
  list.push_back({"grouped_matmul_backward_weight " + size,
                  "grouped_matmul_backward_weight",
                  {z, x, row_words, plan_words},
                  {{"groups", groups}, {"weight_rows", weight_rows}},
                  {},
                  {{}, {}, rows, plan}});
}

void add_attention(std::vector<OpBench>& list, std::int64_t B, std::int64_t T, std::int64_t D, std::int64_t H,
                   DType dtype) {
  const std::int64_t N = B * T;
  const OpCase::Input absent{.shape = {1, 1}, .present = false}, statistics{.shape = {N, H}};
  const OpCase::Input qkv{.shape = {N, 3 * D}, .dtype = dtype}, out{.shape = {N, D}, .dtype = dtype};
  const std::string size =
      fmt::format("{}x{} D {} H {}{}", B, T, D, H, is_half(dtype) ? fmt::format(" {}", to_string(dtype)) : "");
  const Attrs attrs{{"batch", double(B)}, {"heads", double(H)}, {"window", 0}, {"scaled", 1}};
  list.push_back({"attention " + size, "attention", {qkv}, attrs});
  list.push_back(
      {"attention_backward " + size, "attention_backward", {qkv, absent, absent, out, statistics, out}, attrs});
}

/// Attention over a cache of `capacity` positions a slot: runs of `run` rows, each in a slot of its own, up to position
/// `last`.
void add_cached_attention(std::vector<OpBench>& list, std::int64_t runs, std::int64_t run, std::int64_t last,
                          std::int64_t capacity, std::int64_t D, std::int64_t H, DType cache = DType::kF32) {
  std::vector<std::uint32_t> places;
  for (std::int64_t n = 0; n < runs * run; ++n)
    for (const std::int64_t word : {n / run, last + 1 - run + n % run, std::int64_t{1}, std::int64_t{0}})
      places.push_back(static_cast<std::uint32_t>(word));
  const OpCase::Input absent{.shape = {1, 1}, .present = false};
  list.push_back({fmt::format("cached_attention {}x{} at {} of {} D {} H {}{}", runs, run, last, capacity, D, H,
                              is_half(cache) ? fmt::format(" {}", to_string(cache)) : ""),
                  "cached_attention",
                  {{.shape = {runs * run, 3 * D}},
                   absent,
                   absent,
                   {.shape = {runs * capacity, 2 * D}, .dtype = cache},
                   {.shape = {1, 4 * runs * run}, .dtype = DType::kU32}},
                  {{"batch", double(runs)}, {"heads", double(H)}, {"capacity", double(capacity)}},
                  {},
                  {{}, {}, {}, {}, places}});
}

/// A token drawn for one row, or for each of many, of log-probabilities whose logits are N(0, 3): about 0.1 for the
/// likeliest.
void add_sampling(std::vector<OpBench>& list, std::int64_t R, std::int64_t V) {
  std::vector<float> log_probs;
  Philox random(3);
  for (std::int64_t r = 0; r < R; ++r) {
    double sum = 0;
    for (std::int64_t v = 0; v < V; ++v) {
      log_probs.push_back(static_cast<float>(3 * random.normal()));
      sum += std::exp(log_probs.back());
    }
    for (std::int64_t v = r * V; v < (r + 1) * V; ++v) log_probs[v] -= static_cast<float>(std::log(sum));
  }
  const auto add = [&](std::string_view name, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& settings) {
    std::vector<std::uint32_t> slots(static_cast<std::size_t>(R) * kSlotWords), places;
    for (std::int64_t r = 0; r < R; ++r) {
      std::uint32_t* slot = slots.data() + r * kSlotWords;
      slot[kSlotLive] = 1;
      slot[kSlotEnd] = 1'000'000;
      slot[kSlotTopP] = std::bit_cast<std::uint32_t>(1.0f);
      std::fill_n(slot + kSlotStops, kMostStops, kNoToken);
      for (const auto& [word, value] : settings) slot[word] = value;
      places.insert(places.end(), {static_cast<std::uint32_t>(r), 10, 1, 0});
    }
    const auto of_words = [](std::int64_t rows, std::int64_t cols) {
      return OpCase::Input{.shape = {rows, cols}, .dtype = DType::kU32};
    };
    list.push_back({fmt::format("sample_tokens {}x{} {}", R, V, name),
                    "sample_tokens",
                    {{.shape = {R, V}},
                     of_words(R, kSlotWords),
                     of_words(R, V),
                     {.shape = {R, V}},
                     of_words(1, kPlaceWords * R),
                     of_words(R, kRingWords)},
                    {{"ring", 1}},
                    {},
                    {{}, slots, {}, {}, places, {}},
                    log_probs});
  };
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
  const std::pair<std::uint32_t, std::uint32_t> warm{kSlotTemperature, bits(0.8f)};
  add("greedy", {});
  add("temperature", {warm});
  add("min-p", {warm, {kSlotMinP, bits(0.05f)}});
  add("top-k", {warm, {kSlotTopK, 40}});
  add("top-p", {warm, {kSlotTopP, bits(0.9f)}});
  add("top-k, top-p, counts", {warm, {kSlotTopK, 40}, {kSlotTopP, bits(0.9f)}, {kSlotFlags, kUsesCounts}});
}

/// log p of all tokens by a two-level head of G groups of S: at once, and by three ops.
void add_joint(std::vector<OpBench>& list, std::int64_t R, std::int64_t G, std::int64_t S) {
  const std::int64_t M = G * S;
  const auto flat = [](std::int64_t rows, std::int64_t cols) { return OpCase::Input{.shape = {rows, cols}}; };
  const auto words = [](std::int64_t cols) { return OpCase::Input{.shape = {1, cols}, .dtype = DType::kU32}; };
  const OpCase::Input absent{.shape = {1, 1}, .present = false};
  std::vector<std::uint32_t> starts, entries, places, members;
  for (std::int64_t g = 0; g <= G; ++g) starts.push_back(static_cast<std::uint32_t>(g * S));
  for (std::uint32_t i = 0; i < M; ++i) {
    entries.insert(entries.end(), {i / static_cast<std::uint32_t>(S), i});
    places.insert(places.end(), {i, 0});
    members.insert(members.end(), {i, 0});
  }
  const std::string size = fmt::format("{} rows {} groups of {}", R, G, S);
  list.push_back({"grouped_joint " + size,
                  "grouped_joint",
                  {flat(R, G), flat(R, S), flat(G, S), flat(G, S), absent, words(G + 1), words(2 * M)},
                  {},
                  {},
                  {{}, {}, {}, {}, {}, starts, members}});
  list.push_back({"log_softmax " + size, "log_softmax", {flat(R, G)}, {}});
  list.push_back({"grouped_all_logits " + size,
                  "grouped_all_logits",
                  {flat(R, S), flat(G, S), flat(G, S), absent, words(2 * M)},
                  {},
                  {},
                  {{}, {}, {}, {}, places}});
  list.push_back({"grouped_log_softmax " + size,
                  "grouped_log_softmax",
                  {flat(R, G), flat(R, M), words(G + 1), words(2 * M)},
                  {},
                  {},
                  {{}, {}, starts, entries}});
}

/// Sizes by device class: a software driver would take minutes over what a discrete GPU does in a millisecond.
std::vector<OpBench> benchmarks(bool software) {
  std::vector<OpBench> list;
  const std::int64_t B = software ? 8 : 32, T = software ? 256 : 512, D = software ? 128 : 256, N = B * T, H = 8;
  const auto flat = [](std::int64_t rows, std::int64_t cols) { return OpCase::Input{.shape = {rows, cols}}; };
  add_products(list, 4096, 512, 256);  // M x N x K
  if (!software) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      add_products(list, 4096, 4096, 4096, dtype);
      add_products(list, 16384, 1024, 256, dtype);
      add_products(list, 16384, 256, 1024, dtype);
    }
  }
  add_products(list, N, 3 * D, D);
  add_products(list, N, 225, D);
  list.push_back({fmt::format("weight gradient TN {}x{}x{}", D, 4 * D, N),
                  "matmul",
                  {flat(N, D), flat(N, 4 * D)},
                  {{"transpose_a", 1}}});
  add_grouped_products(list, N, D, 224, 225);
  add_attention(list, B, T, D, H, DType::kF32);
  if (!software) {
    add_attention(list, B, T, D, H, DType::kF16);
    for (const DType dtype : {DType::kF32, DType::kF16}) add_attention(list, B, T, 2 * D, H, dtype);
  }
  const std::int64_t hidden = software ? 256 : 1024, heads = hidden / (software ? 32 : 64);
  for (const std::int64_t last : {64, 512, 1023}) add_cached_attention(list, 1, 1, last, 1024, hidden, heads);
  add_cached_attention(list, 1, 1, 1023, 1024, hidden, heads, DType::kF16);
  add_cached_attention(list, software ? 8 : 32, 1, 512, 1024, hidden, heads);
  add_attention(list, 1, 128, hidden, heads, DType::kF32);
  for (const std::int64_t last : {127, 1023}) add_cached_attention(list, 1, 128, last, 1024, hidden, heads);
  list.push_back(
      {fmt::format("layer_norm {}x{}", N, D), "layer_norm", {flat(N, D), flat(1, D), flat(1, D)}, {{"eps", 1e-5}}});
  list.push_back({fmt::format("layer_norm_backward {}x{}", N, D),
                  "layer_norm_backward",
                  {flat(N, D), flat(1, D), flat(N, 2), flat(N, D), flat(N, D)},
                  {}});
  for (const std::int64_t columns : {D, 3 * D, 4 * D})
    list.push_back({fmt::format("sum_rows {}x{}", N, columns), "sum_rows", {flat(N, columns)}, {}});
  list.push_back({fmt::format("gelu {}x{}", N, 4 * D), "gelu", {flat(N, 4 * D)}, {}});
  list.push_back({fmt::format("add {}x{}", N, D), "add", {flat(N, D), flat(N, D)}, {}});
  list.push_back({fmt::format("clip_scale 50257x{}", D), "clip_scale", {flat(1, 4), flat(50257, D)}, {}});
  for (const std::int64_t rows : {1, 32}) add_joint(list, rows, 224, 225);
  add_sampling(list, 1, 50257);
  add_sampling(list, 1, 200000);
  add_sampling(list, 32, 50257);
  list.push_back({fmt::format("adamw 50257x{}", D),
                  "adamw",
                  {flat(1, 8), flat(1, 4), flat(50257, D), flat(50257, D), flat(50257, D), flat(50257, D)},
                  {{"decay", 0.1}},
                  {1}});  // clip's non-finite flag is off
  return list;
}

std::string input_name(std::size_t i) {
  return fmt::format("in{}", i);
}

/// The benchmark's inputs: floats as states of a graph, words as inputs; absent ones stay absent.
std::vector<Value> declare_inputs(Graph& graph, const OpBench& bench) {
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < bench.inputs.size(); ++i) {
    const OpCase::Input& input = bench.inputs[i];
    inputs.push_back(!input.present               ? Value{}
                     : input.dtype == DType::kU32 ? graph.input(input_name(i), input.shape, input.dtype)
                                                  : graph.state(input_name(i), input.typed()));
  }
  return inputs;
}

struct Timing {
  double seconds;  ///< of one op, the median
  Cost cost;
};

Timing time_op(vk::Device& device, const OpBench& bench, const std::string& variant, double budget) {
  using Clock = std::chrono::steady_clock;
  const double warm_up = std::min(budget, 0.1);
  const auto seconds_of = [&](int copies, int rounds) {
    Graph graph(ops::op_table());
    const std::vector<Value> inputs = declare_inputs(graph, bench);
    for (int copy = 0; copy < copies; ++copy) graph.op(bench.op, std::span<const Value>(inputs), bench.attrs);
    const Cost cost = cost_of(graph, graph.nodes().front());
    Workload workload(device.profile(), variant);
    workload.add(bench.name, std::move(graph));
    Runtime runtime(device, std::move(workload));
    Philox random(1);
    for (std::size_t i = 0; i < bench.inputs.size(); ++i) {
      if (!bench.inputs[i].present) continue;
      if (bench.inputs[i].dtype == DType::kU32) {
        std::vector<std::uint32_t> words(static_cast<std::size_t>(bench.inputs[i].shape.count()));
        if (i < bench.words.size() && !bench.words[i].empty()) words = bench.words[i];
        runtime.set_input(0, input_name(i), words);
        continue;
      }
      std::vector<float> data(static_cast<std::size_t>(bench.inputs[i].shape.count()));
      if (i == 0 && !bench.numbers.empty())
        data = bench.numbers;
      else if (std::find(bench.zero.begin(), bench.zero.end(), i) == bench.zero.end())
        for (float& v : data) v = static_cast<float>(random.uniform() - 0.5);
      runtime.upload(input_name(i), data);
    }
    const auto seconds_once = [&] {
      const auto start = Clock::now();
      runtime.submit({0});
      runtime.wait();
      return std::chrono::duration<double>(Clock::now() - start).count() / copies;
    };
    // A GPU that has waited for the data runs at half its clock for the first tens of milliseconds.
    const auto begin = Clock::now();
    do seconds_once();
    while (std::chrono::duration<double>(Clock::now() - begin).count() < warm_up);
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) times.push_back(seconds_once());
    return Timing{median(times), cost};
  };
  const Timing estimate = seconds_of(1, 3);
  constexpr int kRounds = 7;
  const int copies = static_cast<int>(std::clamp(budget / kRounds / std::max(estimate.seconds, 1e-7), 1.0, 1000.0));
  return seconds_of(copies, kRounds);
}

}  // namespace

Table bench_ops(vk::Device& device, const OpsBenchOptions& options) {
  Table table{{"op", "variant", "ms", "GFLOP/s", "GB/s"}, {}, {}};
  const bool software = device.profile().device_class == vk::DeviceClass::kSoftware;
  for (const OpBench& bench : benchmarks(software)) {
    if (bench.name.find(options.filter) == std::string::npos) continue;
    Graph probe(ops::op_table());
    const std::vector<Value> inputs = declare_inputs(probe, bench);
    probe.op(bench.op, std::span<const Value>(inputs), bench.attrs);
    std::vector<std::string> variants = variants_of(probe, probe.nodes().front(), device.profile());
    if (!options.all_variants) variants.resize(1);
    for (const std::string& variant : variants) {
      const Timing timing = time_op(device, bench, variant, options.seconds);
      table.rows.push_back({bench.name, variant, fmt::format("{:.4f}", timing.seconds * 1e3),
                            fmt::format("{:.1f}", timing.cost.flops / timing.seconds * 1e-9),
                            fmt::format("{:.2f}", timing.cost.bytes / timing.seconds * 1e-9)});
      info("{}  {}  {} ms", bench.name, variant, table.rows.back()[2]);
    }
  }
  if (table.rows.empty()) fail(ErrorCode::kInvalidArgument, "no benchmark has \"{}\" in its name", options.filter);
  return table;
}

}  // namespace fabula::bench
