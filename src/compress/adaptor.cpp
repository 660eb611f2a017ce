#include "compress/adaptor.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/fail.hpp"
#include "base/half.hpp"
#include "base/philox.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kChunkRows = 128;  // whose gradients are summed by one thread
constexpr double kFirstDecay = 0.9, kSecondDecay = 0.999, kAdamFloor = 1e-12;

double dot(const double* left, const double* right, std::int64_t n) {
  constexpr std::int64_t kSums = 8;
  double sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums <= n; i += kSums)
    for (std::int64_t l = 0; l < kSums; ++l) sums[l] += left[i + l] * right[i + l];
  for (; i < n; ++i) sums[0] += left[i] * right[i];
  return std::accumulate(sums, sums + kSums, 0.0);
}

void add(double factor, const double* from, std::int64_t n, double* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

// The hidden layer and the output of a row.
void evaluate(const Adaptor& of, std::int64_t row, double* hidden, double* out) {
  std::copy(of.first_bias.begin(), of.first_bias.end(), hidden);
  for (std::int64_t w = 0; w < of.width; ++w)
    add(of.table[static_cast<std::size_t>(row * of.width + w)], of.first.data() + w * of.hidden, of.hidden, hidden);
  std::copy(of.second_bias.begin(), of.second_bias.end(), out);
  for (std::int64_t k = 0; k < of.hidden; ++k) {
    hidden[k] = std::max(hidden[k], 0.0);
    if (hidden[k] > 0) add(hidden[k], of.second.data() + k * of.columns, of.columns, out);
  }
}

Adaptor zeros_like(const Adaptor& of) {
  Adaptor result = of;
  for (std::vector<double>* const part : result.parts()) std::fill(part->begin(), part->end(), 0.0);
  return result;
}

double distance(const Adaptor& adaptor, std::span<const float> target, std::span<const float> weights,
                const Work& work) {
  return table_error(target, expand(adaptor, work), adaptor.columns, weights).squared;
}

void round_to_half(Adaptor& adaptor) {
  for (std::vector<double>* const part : adaptor.parts())
    for (double& number : *part) number = half_to_float(float_to_half(static_cast<float>(number)));
}

/// Adam's means of gradients and of their squares, and how many there were.
class Adam {
 public:
  explicit Adam(const Adaptor& of) : mean_(zeros_like(of)), square_(zeros_like(of)) {}

  void step(Adaptor& adaptor, Adaptor& gradient, double rate) {
    ++steps_;
    const double first = 1 - std::pow(kFirstDecay, steps_), second = 1 - std::pow(kSecondDecay, steps_);
    const auto numbers = adaptor.parts(), slopes = gradient.parts(), means = mean_.parts(), squares = square_.parts();
    for (std::size_t p = 0; p < numbers.size(); ++p)
      for (std::size_t i = 0; i < numbers[p]->size(); ++i) {
        const double slope = (*slopes[p])[i];
        double& mean = (*means[p])[i];
        double& square = (*squares[p])[i];
        mean += (1 - kFirstDecay) * (slope - mean);
        square += (1 - kSecondDecay) * (slope * slope - square);
        (*numbers[p])[i] -= rate * (mean / first) / (std::sqrt(square / second) + kAdamFloor);
      }
  }

 private:
  Adaptor mean_, square_;
  int steps_ = 0;
};

/// The gradient of a batch, its chunks on all threads, summed in their order.
class BatchGradient {
 public:
  BatchGradient(const Adaptor& of, std::int64_t batch)
      : sum_(zeros_like(of)), chunks_(static_cast<std::size_t>((batch + kChunkRows - 1) / kChunkRows), sum_) {}

  Adaptor& of(const Adaptor& adaptor, std::span<const float> target, std::span<const float> weights,
              std::span<const std::uint32_t> rows, const Work& work) {
    for_each_block(work, Part::none(), std::ssize(rows), kChunkRows, [&](std::int64_t begin, std::int64_t n) {
      Adaptor& own = chunks_[static_cast<std::size_t>(begin / kChunkRows)];
      for (std::vector<double>* const part : own.parts()) std::fill(part->begin(), part->end(), 0.0);
      adaptor_cost(adaptor, target, weights, rows.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n)),
                   own);
    });
    const auto sums = sum_.parts();
    for (std::vector<double>* const part : sums) std::fill(part->begin(), part->end(), 0.0);
    for (std::int64_t c = 0; c * kChunkRows < std::ssize(rows); ++c) {
      const auto parts = chunks_[static_cast<std::size_t>(c)].parts();
      for (std::size_t p = 0; p < parts.size(); ++p) add(1, parts[p]->data(), std::ssize(*parts[p]), sums[p]->data());
    }
    return sum_;
  }

 private:
  Adaptor sum_;
  std::vector<Adaptor> chunks_;
};

}  // namespace

std::int64_t Adaptor::bits() const {
  return 16 * (std::ssize(table) + std::ssize(first) + std::ssize(first_bias) + std::ssize(second) +
               std::ssize(second_bias));
}

Adaptor new_adaptor(std::int64_t rows, std::int64_t columns, std::int64_t width, std::int64_t hidden,
                    std::uint64_t seed) {
  if (rows < 1 || columns < 1 || width < 1 || hidden < 1)
    fail(ErrorCode::kInvalidArgument, "an adaptor of {} numbers a token and a hidden layer of {} for a table [{}, {}]",
         width, hidden, rows, columns);
  Adaptor result{.rows = rows, .columns = columns, .width = width, .hidden = hidden};
  Philox random(seed);
  result.table.resize(static_cast<std::size_t>(rows * width));
  for (double& number : result.table) number = random.normal();
  result.first.resize(static_cast<std::size_t>(width * hidden));
  for (double& number : result.first) number = random.normal() / std::sqrt(static_cast<double>(width));
  result.first_bias.resize(static_cast<std::size_t>(hidden));
  result.second.resize(static_cast<std::size_t>(hidden * columns));
  result.second_bias.resize(static_cast<std::size_t>(columns));
  return result;
}

std::vector<float> expand(const Adaptor& of, const Work& work) {
  std::vector<float> numbers(static_cast<std::size_t>(of.rows * of.columns));
  for_each_block(work, Part::none(), of.rows, kChunkRows, [&](std::int64_t first, std::int64_t n) {
    std::vector<double> hidden(static_cast<std::size_t>(of.hidden)), out(static_cast<std::size_t>(of.columns));
    for (std::int64_t row = first; row < first + n; ++row) {
      evaluate(of, row, hidden.data(), out.data());
      std::copy(out.begin(), out.end(), numbers.begin() + row * of.columns);
    }
  });
  return numbers;
}

double adaptor_cost(const Adaptor& adaptor, std::span<const float> target, std::span<const float> weights,
                    std::span<const std::uint32_t> rows, Adaptor& gradient) {
  const std::int64_t columns = adaptor.columns, hidden = adaptor.hidden, width = adaptor.width;
  std::vector<double> h(static_cast<std::size_t>(hidden)), out(static_cast<std::size_t>(columns)), d_h(h.size());
  double cost = 0;
  for (const std::uint32_t row : rows) {
    evaluate(adaptor, row, h.data(), out.data());
    const float* const wanted = target.data() + row * static_cast<std::size_t>(columns);
    for (std::int64_t c = 0; c < columns; ++c) {
      double& value = out[static_cast<std::size_t>(c)];
      value -= wanted[c];
      cost += weights[row] * value * value / 2;
      value *= weights[row];
    }
    add(1, out.data(), columns, gradient.second_bias.data());
    for (std::int64_t k = 0; k < hidden; ++k) {
      const auto at = static_cast<std::size_t>(k);
      d_h[at] = h[at] > 0 ? dot(out.data(), adaptor.second.data() + k * columns, columns) : 0;
      if (h[at] > 0) add(h[at], out.data(), columns, gradient.second.data() + k * columns);
    }
    add(1, d_h.data(), hidden, gradient.first_bias.data());
    for (std::int64_t w = 0; w < width; ++w) {
      const std::size_t at = row * static_cast<std::size_t>(width) + static_cast<std::size_t>(w);
      gradient.table[at] += dot(d_h.data(), adaptor.first.data() + w * hidden, hidden);
      add(adaptor.table[at], d_h.data(), hidden, gradient.first.data() + w * hidden);
    }
  }
  return cost;
}

Adaptor improved(const Adaptor& start, std::span<const float> target, std::span<const float> weights,
                 const AdaptorOptions& options, const Work& work, const Part& part) {
  ensure(std::ssize(target) == start.rows * start.columns && std::ssize(weights) == start.rows,
         "an adaptor [{}, {}] for {} numbers and {} weights", start.rows, start.columns, target.size(), weights.size());
  if (options.epochs < 1 || options.batch < 1 || !(options.learning_rate > 0))
    fail(ErrorCode::kInvalidArgument, "{} epochs, batches of {}, a learning rate of {}: expected more than 0",
         options.epochs, options.batch, options.learning_rate);
  Adaptor now = start, best = start;
  round_to_half(best);
  double least = distance(best, target, weights, work);
  std::vector<std::uint32_t> order(static_cast<std::size_t>(start.rows));
  std::iota(order.begin(), order.end(), 0u);
  const std::int64_t batches = (start.rows + options.batch - 1) / options.batch, steps = batches * options.epochs;
  Adam adam(start);
  BatchGradient gradient(start, options.batch);
  Philox random(options.seed, 1);
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    for (std::size_t i = order.size(); i-- > 1;)
      std::swap(order[i], order[random.below(static_cast<std::uint32_t>(i + 1))]);
    for (std::int64_t b = 0; b < batches; ++b) {
      const auto first = static_cast<std::size_t>(b * options.batch);
      const auto rows = std::span<const std::uint32_t>(order).subspan(
          first, std::min(order.size() - first, static_cast<std::size_t>(options.batch)));
      const double left = 1 - static_cast<double>(epoch * batches + b) / static_cast<double>(steps);
      adam.step(now, gradient.of(now, target, weights, rows, work), options.learning_rate * left);
    }
    Adaptor rounded = now;
    round_to_half(rounded);
    const double error = distance(rounded, target, weights, work);
    if (error < least) {
      least = error;
      best = std::move(rounded);
    }
    report(work, part.of(epoch, options.epochs).end);
  }
  return best;
}

AdaptedTable fit_adapted(std::span<const float> table, std::int64_t columns, std::span<const float> weights,
                         const TableOptions& options, const AdaptorOptions& adaptor, int rounds, const Work& work) {
  AdaptedTable result;
  const Work quiet{.threads = work.threads};
  result.codes = fit_table(table, columns, weights, options, quiet);
  const std::int64_t rows = result.codes.rows;
  result.adaptor = new_adaptor(rows, columns, adaptor.width, adaptor.hidden, adaptor.seed);
  std::vector<float> left(table.size());
  const auto subtract = [&](const std::vector<float>& part) {
    for (std::size_t i = 0; i < left.size(); ++i) left[i] = table[i] - part[i];
  };
  for (int round = 0; round < rounds; ++round) {
    if (round > 0) {
      subtract(expand(result.adaptor, quiet));
      result.codes = fit_table(left, columns, weights, options, quiet);
    }
    subtract(expand(result.codes));
    result.adaptor = improved(result.adaptor, left, weights, adaptor, work, Part{}.of(round, rounds));
  }
  return result;
}

std::vector<float> expand(const AdaptedTable& of) {
  std::vector<float> numbers = expand(of.codes);
  const std::vector<float> more = expand(of.adaptor);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] += more[i];
  return numbers;
}

}  // namespace fabula::compress
