#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;
using graph::RefTensor;

namespace {

/// Inputs 0..5 are q, k, v, cache, places and angles, as in src/ops/cached_attention.cpp.
template <class T>
struct CachedAttention {
  const RefCall<T>& call;
  std::int64_t rows, run, capacity, heads, kv_heads, head_size, window;
  double scale;

  explicit CachedAttention(const RefCall<T>& call_) : call(call_) {
    const graph::Attrs& attrs = call.attrs;
    rows = call.in[0]->shape.rows;
    run = rows / attrs.integer("batch");
    capacity = attrs.integer("capacity");
    heads = attrs.integer("heads");
    kv_heads = attrs.integer_or("kv_heads", heads);
    head_size = call.in[3]->shape.cols / (2 * kv_heads);
    window = attrs.integer_or("window", 0);
    scale = attrs.integer_or("scaled", 1) ? 1 / std::sqrt(static_cast<double>(head_size)) : 1;
  }
  std::int64_t word(std::int64_t n, std::int64_t i) const { return call.in[4]->u[static_cast<std::size_t>(4 * n + i)]; }
  std::int64_t position(std::int64_t n) const { return word(n, 1); }
  bool ring() const { return window > 0 && capacity >= window + run; }
  bool live(std::int64_t n) const {
    return word(n, 2) != 0 && word(n, 0) < call.in[3]->shape.rows / capacity && (ring() || position(n) < capacity);
  }
  /// Column i of a head that begins at column `first`, turned by the angles of the row's position.
  double rotated(const RefTensor<T>& x, std::int64_t n, std::int64_t first, std::int64_t i) const {
    const RefTensor<T>* angles = call.in[5];
    if (!angles) return x.at(n, first + i);
    const std::int64_t half = head_size / 2, pair = i % half;
    const double a = x.at(n, first + pair), b = x.at(n, first + half + pair);
    const double c = angles->at(position(n), pair), s = angles->at(position(n), half + pair);
    return i < half ? a * c - b * s : a * s + b * c;
  }
  double query(std::int64_t n, std::int64_t head, std::int64_t i) const {
    return rotated(*call.in[0], n, head * head_size, i);
  }
  /// What the cache holds of row n: the keys of all heads, then the values.
  T stored(std::int64_t n, std::int64_t column) const {
    const std::int64_t width = kv_heads * head_size, i = column % width;
    const bool fused = !call.in[1], is_key = column < width;
    const RefTensor<T>& from = fused ? *call.in[0] : *call.in[is_key ? 1 : 2];
    const std::int64_t first = fused ? (is_key ? width : 2 * width) : 0;
    const auto x = static_cast<T>(is_key ? rotated(from, n, first + i / head_size * head_size, i % head_size)
                                         : static_cast<double>(from.at(n, first + i)));
    const graph::DType dtype = call.in[3]->shape.dtype;
    return is_half(dtype) ? static_cast<T>(half_value(dtype, half_bits(dtype, static_cast<float>(x)))) : x;
  }
  std::int64_t cache_row(std::int64_t n, std::int64_t position_) const {
    return word(n, 0) * capacity + position_ % capacity;
  }
};

}  // namespace

template <class T>
void cached_attention(RefCall<T>& call) {
  const CachedAttention<T> view(call);
  RefTensor<T>& cache = *call.in[3];
  const RefTensor<T> before = cache;  // every row reads the cache as it was, and what its own run adds
  for (std::int64_t n = 0; n < view.rows; ++n) {
    if (!view.live(n)) continue;
    for (std::int64_t c = 0; c < cache.shape.cols; ++c)
      cache.at(view.cache_row(n, view.position(n)), c) = view.stored(n, c);
  }
  for (std::int64_t n = 0; n < view.rows; ++n) {
    if (!view.live(n)) continue;
    const std::int64_t p = view.position(n), run_begin = p - n % view.run;
    const std::int64_t begin = view.window > 0 ? std::max<std::int64_t>(0, p - view.window + 1) : 0;
    const auto kept = [&](std::int64_t j, std::int64_t column) {
      return static_cast<double>(j < run_begin ? before.at(view.cache_row(n, j), column)
                                               : view.stored(n - (p - j), column));
    };
    for (std::int64_t head = 0; head < view.heads; ++head) {
      const std::int64_t first = head * view.kv_heads / view.heads * view.head_size;  // of the key; then of the value
      std::vector<double> weights;
      for (std::int64_t j = begin; j <= p; ++j) {
        double score = 0;
        for (std::int64_t i = 0; i < view.head_size; ++i) score += view.query(n, head, i) * kept(j, first + i);
        weights.push_back(view.scale * score);
      }
      const double top = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - top);
      for (std::int64_t i = 0; i < view.head_size; ++i) {
        double value = 0;
        for (std::int64_t j = begin; j <= p; ++j)
          value += weights[static_cast<std::size_t>(j - begin)] * kept(j, view.kv_heads * view.head_size + first + i);
        call.out[0]->at(n, head * view.head_size + i) = static_cast<T>(value / sum);
      }
    }
  }
}
template void cached_attention<float>(RefCall<float>&);
template void cached_attention<double>(RefCall<double>&);

namespace {

/// A row in a case: its slot, its position; no slot: not live.
struct CachedRow {
  std::int64_t slot, position;
};

struct CachedTraits {
  std::int64_t run = 1;     ///< rows of each run
  std::int64_t valid = -1;  ///< of the last one; -1: all
  std::int64_t window = 0;
  bool fused = false, rotated = false, scaled = true;
  bool stale = false;  ///< what no live row sees is NaN
  graph::DType cache = graph::DType::kF32;
  double q_factor = 1;
  bool large = false;
};

struct CachedCase {
  const char* name;
  std::int64_t slots, capacity, heads, kv_heads, head_size;
  std::vector<CachedRow> runs;  ///< the first row of each
  CachedTraits with = {};

  std::int64_t rows() const { return static_cast<std::int64_t>(runs.size()) * with.run; }
  std::int64_t end() const {  // of all positions
    std::int64_t end = 1;
    for (const CachedRow& row : runs) end = std::max(end, row.position + with.run);
    return end;
  }
};

void fill_cached_places(const CachedCase& c, std::vector<std::uint32_t>& places) {
  for (std::int64_t n = 0; n < c.rows(); ++n) {
    const CachedRow& first = c.runs[static_cast<std::size_t>(n / c.with.run)];
    const bool last = n / c.with.run + 1 == static_cast<std::int64_t>(c.runs.size());
    const bool live = first.slot >= 0 && (!last || c.with.valid < 0 || n % c.with.run < c.with.valid);
    const std::int64_t row[] = {live ? first.slot : 0, live ? first.position + n % c.with.run : 0, live, 0};
    for (std::int64_t i = 0; i < 4; ++i)
      places[static_cast<std::size_t>(4 * n + i)] = static_cast<std::uint32_t>(row[i]);
  }
}

/// Rows of the cache that no query may see: stale ones of ended texts, say.
void spoil_unseen(const CachedCase& c, RefTensor<double>& cache) {
  std::vector<bool> seen(static_cast<std::size_t>(cache.shape.rows));
  for (const CachedRow& first : c.runs)
    for (std::int64_t j = c.with.window > 0 ? std::max<std::int64_t>(0, first.position - c.with.window + 1) : 0;
         first.slot >= 0 && j < first.position; ++j)
      seen[static_cast<std::size_t>(first.slot * c.capacity + j % c.capacity)] = true;
  for (std::int64_t row = 0; row < cache.shape.rows; ++row)
    for (std::int64_t col = 0; !seen[static_cast<std::size_t>(row)] && col < cache.shape.cols; ++col)
      cache.at(row, col) = NAN;
}

void spoil_dead(std::vector<RefTensor<double>>& in) {
  for (std::int64_t n = 0; n < in[0].shape.rows; ++n) {
    if (in[4].u[static_cast<std::size_t>(4 * n + 2)] != 0) continue;
    for (std::size_t i = 0; i < 3; ++i)
      for (std::int64_t c = 0; n < in[i].shape.rows && c < in[i].shape.cols; ++c) in[i].at(n, c) = NAN;
  }
}

void fill_cached_angles(const CachedCase& c, RefTensor<double>& angles) {
  const std::int64_t half = c.head_size / 2;
  for (std::int64_t p = 0; p < angles.shape.rows; ++p)
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * std::pow(1e4, -static_cast<double>(i) / static_cast<double>(half));
      angles.at(p, i) = std::cos(angle);
      angles.at(p, half + i) = std::sin(angle);
    }
}

OpCase cached_op_case(const CachedCase& c) {
  const graph::Shape q{c.rows(), c.heads * c.head_size * (c.with.fused ? 3 : 1)},
      kv{c.rows(), c.kv_heads * c.head_size};
  return {.name = c.name,
          .attrs = {{"heads", double(c.heads)},
                    {"kv_heads", double(c.kv_heads)},
                    {"batch", double(c.runs.size())},
                    {"capacity", double(c.capacity)},
                    {"window", double(c.with.window)},
                    {"scaled", c.with.scaled ? 1.0 : 0.0}},
          .inputs = {{.shape = q},
                     {.shape = kv, .present = !c.with.fused},
                     {.shape = kv, .present = !c.with.fused},
                     {.shape = {c.slots * c.capacity, 2 * c.kv_heads * c.head_size}, .dtype = c.with.cache},
                     {.shape = {1, 4 * c.rows()}, .dtype = graph::DType::kU32},
                     {.shape = {c.end(), c.head_size}, .present = c.with.rotated}},
          .fill =
              [c](auto& in, Philox&) {
                for (std::int64_t n = 0; n < c.rows(); ++n)
                  for (std::int64_t i = 0; i < c.heads * c.head_size; ++i) in[0].at(n, i) *= c.with.q_factor;
                fill_cached_places(c, in[4].u);
                if (c.with.stale) spoil_unseen(c, in[3]);
                if (c.with.stale) spoil_dead(in);
                if (c.with.rotated) fill_cached_angles(c, in[5]);
              },
          .relative = c.with.q_factor > 1 ? 2e-4 : 4e-6,
          .gradient = false,
          .large = c.with.large};
}

/// Rows at every `step`-th position, in slots in falling order.
std::vector<CachedRow> rows_of_slots(std::int64_t slots, std::int64_t step) {
  std::vector<CachedRow> rows;
  for (std::int64_t slot = slots - 1; slot >= 0; --slot) rows.push_back({slot, (slot * step) % 97});
  return rows;
}

}  // namespace

std::vector<OpCase> cached_attention_cases() {
  using enum graph::DType;
  std::vector<OpCase> cases;
  for (const CachedCase& c : std::vector<CachedCase>{
           {"heads_8_of_32", 2, 300, 8, 8, 32, {{1, 200}}, {.fused = true, .stale = true}},
           {"chunk_of_40", 3, 96, 4, 4, 16, {{1, 33}}, {.run = 40, .valid = 37, .fused = true, .stale = true}},
           {"one_column", 1, 4, 1, 1, 1, {{0, 0}}, {.fused = true}},
           {"odd_heads_of_5", 3, 20, 3, 3, 5, {{2, 7}, {0, 19}, {1, 0}}, {.stale = true}},
           {"mixed_slots",
            5,
            70,
            2,
            2,
            16,
            {{3, 69}, {0, 0}, {-1, 0}, {4, 12}, {1, 33}},
            {.fused = true, .stale = true}},
           {"none_live", 2, 8, 2, 2, 4, {{-1, 0}, {-1, 0}}},
           {"grouped_8_to_4", 2, 140, 8, 4, 32, {{0, 130}, {1, 3}}, {.rotated = true, .stale = true}},
           {"grouped_8_to_1", 2, 140, 8, 1, 64, {{1, 139}}, {.rotated = true}},
           {"grouped_6_to_2_of_7", 2, 30, 6, 2, 7, {{1, 29}, {0, 4}}},
           {"grouped_5_to_1_of_6", 2, 30, 5, 1, 6, {{1, 21}, {0, 4}}, {.rotated = true}},
           {"head_128", 2, 150, 2, 2, 128, {{0, 149}, {1, 64}}, {.fused = true, .large = true}},
           {"unscaled_large_scores", 2, 150, 2, 2, 16, {{0, 149}}, {.fused = true, .scaled = false, .q_factor = 20}},
           {"window_9_ring_of_16", 3, 16, 2, 1, 8, {{0, 100}, {1, 5}, {2, 8}}, {.window = 9, .rotated = true}},
           {"chunk_window_20_ring", 2, 64, 2, 2, 16, {{1, 150}}, {.run = 24, .window = 20, .stale = true}},
           {"fp16_cache", 2, 80, 4, 2, 16, {{1, 71}, {0, 2}}, {.rotated = true, .stale = true, .cache = kF16}},
           {"bf16_cache", 2, 80, 4, 4, 20, {{1, 71}, {0, 2}}, {.fused = true, .stale = true, .cache = kBF16}},
           {"fp16_cache_odd", 2, 80, 3, 3, 5, {{1, 71}, {0, 2}}, {.stale = true, .cache = kF16}},
           {"chunk_fp16_cache",
            2,
            100,
            4,
            2,
            16,
            {{1, 35}},
            {.run = 33, .rotated = true, .stale = true, .cache = kF16}},
           {"chunk_at_0", 1, 130, 2, 2, 32, {{0, 0}}, {.run = 128, .fused = true, .stale = true}},
           {"chunk_rotated_odd_6", 2, 70, 3, 3, 6, {{1, 30}}, {.run = 19, .valid = 18, .rotated = true, .stale = true}},
           {"two_chunks", 3, 60, 2, 2, 8, {{2, 17}, {0, 3}}, {.run = 20, .valid = 11, .fused = true, .stale = true}},
           {"short_chunk", 2, 60, 4, 2, 8, {{1, 17}}, {.run = 3, .rotated = true, .stale = true}},
           {"splits_1000", 4, 1000, 4, 2, 32, {{2, 999}, {0, 255}, {1, 256}, {3, 3}}, {.rotated = true, .stale = true}},
           {"splits_odd", 2, 600, 3, 3, 5, {{1, 599}, {-1, 0}, {0, 300}}, {.fused = true, .stale = true}},
           {"splits_window_300_ring", 2, 640, 2, 2, 16, {{1, 2000}, {0, 511}}, {.window = 300, .stale = true}},
           {"splits_fp16", 2, 600, 2, 2, 64, {{1, 599}, {0, 12}}, {.fused = true, .stale = true, .cache = kF16}},
           {"chunk_of_long", 2, 700, 2, 2, 16, {{1, 600}}, {.run = 64, .valid = 50, .fused = true, .stale = true}},
           {"many_slots", 37, 100, 2, 2, 16, rows_of_slots(37, 31), {.fused = true, .stale = true}},
           {"long_5000", 2, 5000, 1, 1, 4, {{1, 4999}, {0, 4097}}, {.fused = true, .large = true}},
       })
    cases.push_back(cached_op_case(c));
  return cases;
}

}  // namespace fabula::reference
