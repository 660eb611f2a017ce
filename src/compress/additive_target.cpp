#include "compress/additive_target.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/philox.hpp"
#include "compress/group_scale.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kTargetRows = 64;

double row_sums(const std::vector<double>& sums) {
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

double dot(const float* left, const float* right, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += double{left[i]} * right[i];
  return sum;
}

// Sum over rows of <rows Sigma, rows>.
double energy(const AdditiveTarget& target, const Work& work,
              const std::function<void(std::int64_t first, std::int64_t n, float* out)>& fill) {
  std::vector<double> sums(static_cast<std::size_t>(target.outputs));
  for_each_block(work, Part::none(), target.outputs, kTargetRows, [&](std::int64_t first, std::int64_t n) {
    std::vector<float> rows(static_cast<std::size_t>(n * target.columns)), weighed(rows.size());
    fill(first, n, rows.data());
    multiply(view(std::as_const(rows), n, target.columns), target.all_moments(), view(weighed, n, target.columns));
    for (std::int64_t r = 0; r < n; ++r)
      sums[static_cast<std::size_t>(first + r)] =
          dot(rows.data() + r * target.columns, weighed.data() + r * target.columns, target.columns);
  });
  return row_sums(sums);
}

std::vector<float> padded_moments(const Linear& linear, std::int64_t columns) {
  double mean = 0;
  for (std::int64_t i = 0; i < linear.inputs; ++i)
    mean += second_moment(linear, i) / static_cast<double>(linear.inputs);
  const double unit = mean > 0 ? std::exp2(-std::round(std::log2(mean))) : 1;
  std::vector<float> result(static_cast<std::size_t>(columns * columns));
  for (std::int64_t r = 0; r < linear.inputs; ++r)
    for (std::int64_t c = 0; c < linear.inputs; ++c) {
      const double moment =
          linear.moments.empty() ? (r == c ? 1 : 0) : linear.moments[static_cast<std::size_t>(r * linear.inputs + c)];
      result[static_cast<std::size_t>(r * columns + c)] = static_cast<float>(moment * unit);
    }
  return result;
}

template <class T>
void shuffle(T* values, std::int64_t count, Philox& random) {
  for (std::int64_t i = count; i-- > 1;) std::swap(values[i], values[random.below(static_cast<std::uint32_t>(i + 1))]);
}

}  // namespace

AdditiveTarget additive_target(const Linear& linear, const AdditiveFormat& format, const Work& work) {
  AdditiveTarget target{.outputs = linear.outputs, .inputs = linear.inputs};
  target.groups = (linear.inputs + format.group - 1) / format.group;
  target.columns = target.groups * format.group;
  const std::vector<double> live = live_weights(linear);
  target.weights.resize(static_cast<std::size_t>(target.outputs * target.columns));
  target.scales.resize(static_cast<std::size_t>(target.outputs));
  for (std::int64_t r = 0; r < linear.outputs; ++r) {
    double squares = 0;
    for (std::int64_t c = 0; c < linear.inputs; ++c) {
      const double weight = live[static_cast<std::size_t>(r * linear.inputs + c)];
      target.weights[static_cast<std::size_t>(r * target.columns + c)] = static_cast<float>(weight);
      squares += weight * weight;
    }
    target.scales[static_cast<std::size_t>(r)] =
        static_cast<float>(std::sqrt(squares / static_cast<double>(linear.inputs)));
  }
  target.moments = padded_moments(linear, target.columns);
  target.codes.resize(static_cast<std::size_t>(target.outputs * target.groups * format.codebooks));
  const double all = energy(target, work, [&](std::int64_t first, std::int64_t n, float* out) {
    std::copy_n(target.weights.begin() + first * target.columns, n * target.columns, out);
  });
  target.share = all > 0 ? 1 / all : 0;
  return target;
}

void sum_codewords(const AdditiveTarget& target, const AdditiveFormat& format, std::span<const float> numbers,
                   std::int64_t first, std::int64_t n, float* out) {
  const std::int64_t book = format.entries() * format.group;
  const std::uint16_t* code = target.codes.data() + first * target.groups * format.codebooks;
  for (std::int64_t at = 0; at < n * target.groups; ++at, out += format.group) {
    std::fill_n(out, format.group, 0.0f);
    for (int m = 0; m < format.codebooks; ++m, ++code) {
      const float* const word = numbers.data() + m * book + *code * format.group;
      for (std::int64_t d = 0; d < format.group; ++d) out[d] += word[d];
    }
  }
}

void residual(const AdditiveTarget& target, const Codebooks& codebooks, std::int64_t first, std::int64_t n,
              float* out) {
  sum_codewords(target, codebooks.format, codebooks.numbers, first, n, out);
  for (std::int64_t r = 0; r < n; ++r) {
    const float scale = target.scales[static_cast<std::size_t>(first + r)];
    const float* const weights = target.weights.data() + (first + r) * target.columns;
    for (std::int64_t c = 0; c < target.columns; ++c)
      out[r * target.columns + c] = weights[c] - scale * out[r * target.columns + c];
  }
}

double relative_error(const AdditiveTarget& target, const Codebooks& codebooks, const Work& work) {
  const double error = energy(target, work, [&](std::int64_t first, std::int64_t n, float* out) {
    residual(target, codebooks, first, n, out);
  });
  return target.share * std::max(error, 0.0);
}

SearchOrder SearchOrder::drawn(std::int64_t groups, int codebooks, std::uint64_t seed, std::uint64_t round) {
  Philox random(seed, round + 1);
  SearchOrder order;
  order.groups.resize(static_cast<std::size_t>(groups));
  std::iota(order.groups.begin(), order.groups.end(), std::int64_t{0});
  shuffle(order.groups.data(), groups, random);
  order.books.resize(static_cast<std::size_t>(groups * codebooks));
  for (std::int64_t g = 0; g < groups; ++g) {
    int* const books = order.books.data() + g * codebooks;
    std::iota(books, books + codebooks, 0);
    shuffle(books, codebooks, random);
  }
  return order;
}

void improve_scales(AdditiveTarget& target, const Codebooks& codebooks, const Work& work) {
  for_each_block(work, Part::none(), target.outputs, kTargetRows, [&](std::int64_t first, std::int64_t n) {
    const std::int64_t columns = target.columns;
    std::vector<float> sums(static_cast<std::size_t>(n * columns)), weighed(sums.size());
    sum_codewords(target, codebooks.format, codebooks.numbers, first, n, sums.data());
    multiply(view(std::as_const(sums), n, columns), target.all_moments(), view(weighed, n, columns));
    for (std::int64_t r = 0; r < n; ++r) {
      const float* const turned = weighed.data() + r * columns;
      const double with_weights = dot(target.weights.data() + (first + r) * columns, turned, columns);
      const double with_itself = dot(sums.data() + r * columns, turned, columns);
      if (with_weights > 0 && with_itself > 0)
        target.scales[static_cast<std::size_t>(first + r)] = static_cast<float>(with_weights / with_itself);
    }
  });
}

}  // namespace fabula::compress
