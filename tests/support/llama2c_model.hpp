#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

// A llama2.c checkpoint and what it computes, by its definition alone: plain loops in fp32 over the file, with
// positions that turn neighbouring numbers. Nothing here is shared with src.
namespace fabula::test {

struct Llama2cSizes {
  int dim, hidden, layers, heads, kv_heads, vocab, positions;
  bool tied = true;
};

class Llama2cModel {
 public:
  explicit Llama2cModel(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    if (bytes.size() < 28) return;
    int32_t header[7];
    std::memcpy(header, bytes.data(), 28);
    sizes_ = {header[0], header[1], header[2], header[3], header[4], std::abs(header[5]), header[6], header[5] > 0};
    numbers_.resize((bytes.size() - 28) / 4);
    std::memcpy(numbers_.data(), bytes.data() + 28, numbers_.size() * 4);
    const size_t D = size(sizes_.dim), F = size(sizes_.hidden), L = size(sizes_.layers), V = size(sizes_.vocab);
    const size_t K = D / size(sizes_.heads) * size(sizes_.kv_heads);
    size_t next = 0;
    const auto place = [&](size_t count) { return std::exchange(next, next + count); };
    table_ = place(V * D), norm1_ = place(L * D), wq_ = place(L * D * D), wk_ = place(L * K * D),
    wv_ = place(L * K * D), wo_ = place(L * D * D), norm2_ = place(L * D), gate_ = place(L * F * D),
    down_ = place(L * D * F), up_ = place(L * F * D), last_norm_ = place(D);
    place(size(sizes_.positions) * (D / size(sizes_.heads)));
    classifier_ = sizes_.tied ? table_ : place(V * D);
    whole_ = next == numbers_.size();
    keys_.assign(L, {}), values_.assign(L, {});
  }

  bool ok() const { return whole_; }
  const Llama2cSizes& sizes() const { return sizes_; }

  void restart() {
    for (auto& cache : keys_) cache.clear();
    for (auto& cache : values_) cache.clear();
    position_ = 0;
  }

  /// The logits behind the next token. [V]
  std::vector<float> step(uint32_t token) {
    const size_t D = size(sizes_.dim), F = size(sizes_.hidden), H = size(sizes_.heads), hd = D / H;
    const size_t K = hd * size(sizes_.kv_heads);
    std::vector<float> x(at(table_ + token * D), at(table_ + token * D) + D);
    for (size_t layer = 0; layer < size(sizes_.layers); ++layer) {
      const std::vector<float> a = norm(x, norm1_ + layer * D);
      std::vector<float> q = product(wq_ + layer * D * D, D, a), k = product(wk_ + layer * K * D, K, a);
      const std::vector<float> v = product(wv_ + layer * K * D, K, a);
      turn(q, hd), turn(k, hd);
      keys_[layer].push_back(k), values_[layer].push_back(v);
      const std::vector<float> mixed = attend(q, keys_[layer], values_[layer], hd);
      add(x, product(wo_ + layer * D * D, D, mixed));
      const std::vector<float> b = norm(x, norm2_ + layer * D);
      std::vector<float> gate = product(gate_ + layer * F * D, F, b);
      const std::vector<float> up = product(up_ + layer * F * D, F, b);
      for (size_t i = 0; i < F; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
      add(x, product(down_ + layer * D * F, D, gate));
    }
    ++position_;
    return product(classifier_, size(sizes_.vocab), norm(x, last_norm_));
  }

  struct Step {
    uint32_t token;  ///< the likeliest, the lowest id among equals
    float margin;    ///< by how much its logit is above the next one's
  };
  /// Feeds `ids` and then, `count` times, the likeliest token.
  std::vector<Step> greedy(const std::vector<uint32_t>& ids, size_t count) {
    restart();
    std::vector<float> logits;
    for (const uint32_t id : ids) logits = step(id);
    std::vector<Step> steps;
    while (true) {
      const auto best = std::max_element(logits.begin(), logits.end());
      float second = -INFINITY;
      for (auto it = logits.begin(); it != logits.end(); ++it)
        if (it != best) second = std::max(second, *it);
      steps.push_back({static_cast<uint32_t>(best - logits.begin()), *best - second});
      if (steps.size() == count) return steps;
      logits = step(steps.back().token);
    }
  }

 private:
  static size_t size(int n) { return static_cast<size_t>(n); }
  const float* at(size_t place) const { return numbers_.data() + place; }

  std::vector<float> norm(const std::vector<float>& x, size_t weight) const {
    float squares = 0;
    for (const float value : x) squares += value * value;
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(x.size()) + 1e-5f);
    std::vector<float> y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = at(weight)[i] * (scale * x[i]);
    return y;
  }

  std::vector<float> product(size_t weight, size_t rows, const std::vector<float>& x) const {
    std::vector<float> y(rows, 0.0f);
    for (size_t row = 0; row < rows; ++row)
      for (size_t i = 0; i < x.size(); ++i) y[row] += at(weight)[row * x.size() + i] * x[i];
    return y;
  }

  static void add(std::vector<float>& x, const std::vector<float>& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  void turn(std::vector<float>& x, size_t hd) const {
    for (size_t i = 0; i < x.size(); i += 2) {
      const float angle = static_cast<float>(position_) *
                          (1.0f / std::pow(10000.0f, static_cast<float>(i % hd) / static_cast<float>(hd)));
      const float c = std::cos(angle), s = std::sin(angle), even = x[i], odd = x[i + 1];
      x[i] = even * c - odd * s;
      x[i + 1] = even * s + odd * c;
    }
  }

  std::vector<float> attend(const std::vector<float>& q, const std::vector<std::vector<float>>& keys,
                            const std::vector<std::vector<float>>& values, size_t hd) const {
    std::vector<float> out(q.size(), 0.0f), weights(keys.size());
    const size_t share = size(sizes_.heads) / size(sizes_.kv_heads);
    for (size_t head = 0; head < size(sizes_.heads); ++head) {
      const size_t of_keys = head / share * hd;
      for (size_t t = 0; t < keys.size(); ++t) {
        float score = 0;
        for (size_t i = 0; i < hd; ++i) score += q[head * hd + i] * keys[t][of_keys + i];
        weights[t] = score / std::sqrt(static_cast<float>(hd));
      }
      const float largest = *std::max_element(weights.begin(), weights.end());
      float total = 0;
      for (float& weight : weights) total += weight = std::exp(weight - largest);
      for (size_t t = 0; t < keys.size(); ++t)
        for (size_t i = 0; i < hd; ++i) out[head * hd + i] += weights[t] / total * values[t][of_keys + i];
    }
    return out;
  }

  Llama2cSizes sizes_{};
  std::vector<float> numbers_;
  size_t table_ = 0, norm1_ = 0, wq_ = 0, wk_ = 0, wv_ = 0, wo_ = 0, norm2_ = 0, gate_ = 0, down_ = 0, up_ = 0,
         last_norm_ = 0, classifier_ = 0;
  bool whole_ = false;
  std::vector<std::vector<std::vector<float>>> keys_, values_;  // [layers][positions][K]
  size_t position_ = 0;
};

/// log p of every token.
inline std::vector<double> log_softmax(const std::vector<float>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp(logit - largest);
  std::vector<double> result;
  for (const float logit : logits) result.push_back(logit - largest - std::log(total));
  return result;
}

/// A checkpoint file of random weights.
inline std::string random_llama2c(const Llama2cSizes& sizes, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::string file;
  const int32_t header[7] = {sizes.dim,      sizes.hidden,   sizes.layers,
                             sizes.heads,    sizes.kv_heads, sizes.tied ? sizes.vocab : -sizes.vocab,
                             sizes.positions};
  file.append(reinterpret_cast<const char*>(header), sizeof header);
  const auto add = [&](int count, float mean, float deviation) {
    for (int i = 0; i < count; ++i) {
      const float value = mean + deviation * normal(random);
      file.append(reinterpret_cast<const char*>(&value), 4);
    }
  };
  const int D = sizes.dim, F = sizes.hidden, L = sizes.layers, keys = D / sizes.heads * sizes.kv_heads;
  const float deviation = 1 / std::sqrt(static_cast<float>(D));
  add(sizes.vocab * D, 0, 1);
  add(L * D, 1, 0.2f);
  for (const int rows : {D, keys, keys, D}) add(L * rows * D, 0, deviation);
  add(L * D, 1, 0.2f);
  add(L * 3 * F * D, 0, deviation);
  add(D, 1, 0.2f);
  add(sizes.positions * D / sizes.heads, 0, 0);
  if (!sizes.tied) add(sizes.vocab * D, 0, deviation);
  return file;
}

}  // namespace fabula::test
