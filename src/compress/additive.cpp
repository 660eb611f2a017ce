#include "compress/additive.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/half.hpp"
#include "compress/additive_target.hpp"
#include "compress/candidates.hpp"
#include "compress/clusters.hpp"

namespace fabula::compress {
namespace {

constexpr int kMostBits = 16, kMostCodebooks = 16;
constexpr double kStartPart = 0.2;  // of the work, roughly

void check(const AdditiveFormat& format) {
  if (format.codebooks < 1 || format.codebooks > kMostCodebooks || format.bits < 1 || format.bits > kMostBits ||
      format.group < 1)
    fail(
        ErrorCode::kInvalidArgument,
        "{} codebooks of {} bits for groups of {} inputs: there are 1 to {} codebooks of 1 to {} bits, and groups from "
        "1 on",
        format.codebooks, format.bits, format.group, kMostCodebooks, kMostBits);
}

void check_options(std::span<const Linear> linears, const AdditiveOptions& options) {
  if (linears.empty()) fail(ErrorCode::kInvalidArgument, "codebooks for no matrix");
  for (const Linear& linear : linears) check(linear);
  if (options.beam < 1 || options.most_rounds < 1 || options.cluster_rounds < 1 || options.gradient_steps < 0)
    fail(ErrorCode::kInvalidArgument, "a beam of {}, {} rounds, {} of k-means, {} gradient steps: expected 1 or more",
         options.beam, options.most_rounds, options.cluster_rounds, options.gradient_steps);
}

float as_half(float value) {
  const float rounded = half_to_float(float_to_half(value));
  if (!std::isfinite(rounded)) fail(ErrorCode::kNumeric, "a codeword or a scale of {} is beyond fp16", value);
  return rounded;
}

// Rows over their scales, group by group. [outputs * groups, g]
std::vector<float> group_vectors(const AdditiveTarget& target) {
  std::vector<float> vectors(target.weights);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const float scale = target.scales[i / static_cast<std::size_t>(target.columns)];
    vectors[i] = scale > 0 ? vectors[i] / scale : 0;
  }
  return vectors;
}

Codebooks clustered(std::vector<AdditiveTarget>& targets, const AdditiveOptions& options, const Work& work) {
  std::vector<float> points;
  for (const AdditiveTarget& target : targets) {
    const std::vector<float> own = group_vectors(target);
    points.insert(points.end(), own.begin(), own.end());
  }
  const ResidualStages stages =
      residual_stages(points, options.format.group, {}, options.format.codebooks,
                      {options.format.entries(), options.cluster_rounds, options.seed}, work, {0, kStartPart});
  std::size_t begin = 0;
  for (AdditiveTarget& target : targets) {
    for (std::size_t i = 0; i < target.codes.size(); ++i)
      target.codes[i] = static_cast<std::uint16_t>(stages.codes[begin + i]);
    begin += target.codes.size();
  }
  return {options.format, stages.centres};
}

// The nearest codeword of each codebook in turn.
void encode_nearest(AdditiveTarget& target, const Codebooks& codebooks, const Work& work) {
  const AdditiveFormat& format = codebooks.format;
  std::vector<float> vectors = group_vectors(target);
  for (int m = 0; m < format.codebooks; ++m) {
    const Candidates book(codebooks.book(m), format.group);
    for_each_block(work, Part::none(), target.outputs, 16, [&](std::int64_t first, std::int64_t n) {
      for (std::int64_t at = first * target.groups; at < (first + n) * target.groups; ++at) {
        float* const x = vectors.data() + at * format.group;
        const std::int64_t code = book.best(x, book.half_squares().data(), 1).at;
        target.codes[static_cast<std::size_t>(at * format.codebooks + m)] = static_cast<std::uint16_t>(code);
        for (std::int64_t d = 0; d < format.group; ++d) x[d] -= book.entry(code)[d];
      }
    });
  }
}

double total_error(const std::vector<AdditiveTarget>& targets, const Codebooks& codebooks, const Work& work) {
  double sum = 0;
  for (const AdditiveTarget& target : targets) sum += relative_error(target, codebooks, work);
  return sum;
}

/// Rounds over some matrices: scales and codebooks, then codes.
class Rounds {
 public:
  Rounds(std::vector<AdditiveTarget>& targets, Codebooks& codebooks, const AdditiveOptions& options,
         bool fixed_codebooks, const Work& work)
      : targets_(targets), codebooks_(codebooks), options_(options), fixed_(fixed_codebooks), work_(work) {}

  std::vector<double> run() {
    std::vector<double> errors = {total_error(targets_, codebooks_, work_)};
    for (int round = 0; round < options_.most_rounds; ++round) {
      improve(false);
      const Part part = Part{kStartPart, 1}.of(round, options_.most_rounds);
      for (std::size_t t = 0; t < targets_.size(); ++t) {
        const std::uint64_t stream = static_cast<std::uint64_t>(round) * targets_.size() + t;
        search_codes(targets_[t], codebooks_,
                     SearchOrder::drawn(targets_[t].groups, options_.format.codebooks, options_.seed, stream),
                     options_.beam, work_, part.of(static_cast<std::int64_t>(t), std::ssize(targets_)));
      }
      errors.push_back(total_error(targets_, codebooks_, work_));
      const double before = errors[errors.size() - 2];
      if (!(before - errors.back() > options_.tolerance * before)) break;
    }
    improve(true);  // the codes have changed since
    errors.push_back(total_error(targets_, codebooks_, work_));
    return errors;
  }

 private:
  void improve(bool last) {
    if (!fixed_) {
      improve_codebooks(targets_, codebooks_, options_.gradient_steps, work_);
      if (last)
        for (float& number : codebooks_.numbers) number = as_half(number);
    }
    for (AdditiveTarget& target : targets_) {
      improve_scales(target, codebooks_, work_);
      if (last)
        for (float& scale : target.scales) scale = as_half(scale);
    }
  }

  std::vector<AdditiveTarget>& targets_;
  Codebooks& codebooks_;
  const AdditiveOptions& options_;
  bool fixed_;
  const Work& work_;
};

std::vector<AdditiveTarget> targets_for(std::span<const Linear> linears, const AdditiveFormat& format,
                                        const Work& work) {
  std::vector<AdditiveTarget> targets;
  for (const Linear& linear : linears) targets.push_back(additive_target(linear, format, work));
  return targets;
}

AdditiveFit finished(std::span<const Linear> linears, std::vector<AdditiveTarget>& targets, Codebooks codebooks,
                     std::vector<double> rounds, const Work& work) {
  AdditiveFit fit{.codebooks = std::move(codebooks), .matrices = {}, .errors = {}, .rounds = std::move(rounds)};
  for (std::size_t t = 0; t < targets.size(); ++t) {
    AdditiveTarget& target = targets[t];
    fit.matrices.push_back(
        {target.outputs, target.inputs, target.groups, std::move(target.codes), std::move(target.scales)});
    fit.errors.push_back(fit_error(linears[t], expand(fit.codebooks, fit.matrices.back()), work));
  }
  return fit;
}

}  // namespace

std::vector<float> expand(const Codebooks& codebooks, const AdditiveCodes& codes) {
  const AdditiveFormat& format = codebooks.format;
  const AdditiveTarget view{.outputs = codes.outputs,
                            .inputs = codes.inputs,
                            .groups = codes.groups,
                            .columns = codes.groups * format.group,
                            .codes = codes.codes};
  std::vector<float> padded(static_cast<std::size_t>(view.outputs * view.columns));
  sum_codewords(view, format, codebooks.numbers, 0, view.outputs, padded.data());
  std::vector<float> numbers(static_cast<std::size_t>(codes.outputs * codes.inputs));
  for (std::int64_t r = 0; r < codes.outputs; ++r)
    for (std::int64_t c = 0; c < codes.inputs; ++c)
      numbers[static_cast<std::size_t>(r * codes.inputs + c)] =
          codes.scales[static_cast<std::size_t>(r)] * padded[static_cast<std::size_t>(r * view.columns + c)];
  return numbers;
}

AdditiveFit fit_additive(std::span<const Linear> linears, const AdditiveOptions& options, const Work& work) {
  check(options.format);
  check_options(linears, options);
  std::vector<AdditiveTarget> targets = targets_for(linears, options.format, work);
  Codebooks codebooks = clustered(targets, options, work);
  std::vector<double> rounds = Rounds(targets, codebooks, options, false, work).run();
  return finished(linears, targets, std::move(codebooks), std::move(rounds), work);
}

AdditiveFit encode_additive(std::span<const Linear> linears, const Codebooks& codebooks, const AdditiveOptions& options,
                            const Work& work) {
  check(codebooks.format);
  check_options(linears, options);
  AdditiveOptions own = options;
  own.format = codebooks.format;
  std::vector<AdditiveTarget> targets = targets_for(linears, own.format, work);
  for (AdditiveTarget& target : targets) encode_nearest(target, codebooks, work);
  Codebooks kept = codebooks;
  std::vector<double> rounds = Rounds(targets, kept, own, true, work).run();
  return finished(linears, targets, std::move(kept), std::move(rounds), work);
}

}  // namespace fabula::compress
