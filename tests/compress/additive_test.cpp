#include "compress/additive.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/half.hpp"
#include "compress/additive_target.hpp"
#include "compress/plain_search.hpp"
#include "compress/random_linear.hpp"
#include "expect_error.hpp"

namespace fabula::compress {
namespace {

using test::expect_error;

// Weights of which none are whole, so that no two codes have the same loss.
struct Scene {
  RandomLinear of;
  AdditiveTarget target;
  Codebooks codebooks;

  Scene(std::int64_t outputs, std::int64_t inputs, const AdditiveFormat& format, std::uint64_t seed)
      : of(outputs, inputs, 64, seed), target(additive_target(of.linear(), format, {})), codebooks{format, {}} {
    Philox random(seed + 100);
    for (std::int64_t i = 0; i < format.codebooks * format.entries() * format.group; ++i)
      codebooks.numbers.push_back(static_cast<float>(random.normal()));
    for (std::uint16_t& code : target.codes)
      code = static_cast<std::uint16_t>(random.below(static_cast<std::uint32_t>(format.entries())));
  }
};

std::vector<AdditiveFormat> formats() {
  return {{1, 3, 8}, {2, 3, 4}, {3, 2, 4}, {2, 4, 3}};
}

// The loss by which codes are chosen is that of the whole matrix: the same codes are found by computing E anew for
// each.
TEST(Additive, SearchIsThatWithDirectLosses) {
  for (const AdditiveFormat& format : formats())
    for (const int beam : {1, 2, 5}) {
      Scene scene(3, 22, format, 41);
      const SearchOrder order = SearchOrder::drawn(scene.target.groups, format.codebooks, 5, 0);
      const std::vector<std::uint16_t> expected =
          plain_search(scene.target, scene.codebooks, order, static_cast<std::size_t>(beam));
      search_codes(scene.target, scene.codebooks, order, beam, {});
      EXPECT_EQ(scene.target.codes, expected) << format.codebooks << "x" << format.bits << ", beam " << beam;
    }
}

// More inputs than are kept up to date at once.
TEST(Additive, SearchOfManyInputs) {
  Scene scene(2, 200, {2, 2, 8}, 42);
  const SearchOrder order = SearchOrder::drawn(scene.target.groups, 2, 6, 0);
  const std::vector<std::uint16_t> expected = plain_search(scene.target, scene.codebooks, order, 3);
  search_codes(scene.target, scene.codebooks, order, 3, {});
  EXPECT_EQ(scene.target.codes, expected);
}

TEST(Additive, OfEqualCodewordsTheFirstIsTaken) {
  Scene scene(4, 16, {2, 3, 4}, 43);
  for (std::size_t m = 0; m < 2; ++m)  // the second half of a codebook repeats the first
    for (std::size_t i = 0; i < 16; ++i) scene.codebooks.numbers[m * 32 + 16 + i] = scene.codebooks.numbers[m * 32 + i];
  for (const int beam : {1, 3}) {
    AdditiveTarget target = scene.target;
    search_codes(target, scene.codebooks, SearchOrder::drawn(target.groups, 2, 7, 0), beam, {});
    for (const std::uint16_t code : target.codes) EXPECT_LT(code, 4) << "beam " << beam;
  }
}

TEST(Additive, SweepsNeverRaiseTheError) {
  Scene scene(20, 48, {2, 4, 8}, 44);
  double before = relative_error(scene.target, scene.codebooks, {});
  for (std::uint64_t round = 0; round < 4; ++round) {
    search_codes(scene.target, scene.codebooks, SearchOrder::drawn(scene.target.groups, 2, 8, round), 2, {});
    const double now = relative_error(scene.target, scene.codebooks, {});
    EXPECT_LE(now, before);
    before = now;
  }
}

// Enough steps of conjugate gradients give codebooks from which no small change leads further down.
TEST(Additive, CodebooksOfLeastError) {
  std::vector<AdditiveTarget> targets;
  Codebooks codebooks;
  for (std::uint64_t t = 0; t < 2; ++t) {
    Scene scene(12, 16, {2, 2, 4}, 45 + t);
    targets.push_back(scene.target);
    codebooks = scene.codebooks;
  }
  const auto error = [&](const Codebooks& of) {
    return relative_error(targets[0], of, {}) + relative_error(targets[1], of, {});
  };
  improve_codebooks(targets, codebooks, 200, {});
  const double least = error(codebooks);
  for (std::size_t i = 0; i < codebooks.numbers.size(); ++i)
    for (const float change : {-0.05f, 0.05f}) {
      Codebooks other = codebooks;
      other.numbers[i] += change;
      EXPECT_GT(error(other), least) << i;
    }
}

TEST(Additive, ScalesOfLeastError) {
  Scene scene(6, 16, {2, 3, 4}, 47);
  search_codes(scene.target, scene.codebooks, SearchOrder::drawn(4, 2, 1, 0), 1, {});
  improve_scales(scene.target, scene.codebooks, {});
  const double least = relative_error(scene.target, scene.codebooks, {});
  for (std::size_t row = 0; row < 6; ++row)
    for (const float factor : {0.98f, 1.02f}) {
      AdditiveTarget other = scene.target;
      other.scales[row] *= factor;
      EXPECT_GT(relative_error(other, scene.codebooks, {}), least) << row;
    }
}

// What is stored is what was fitted: sums of codewords times a scale, all of them numbers of fp16.
TEST(Additive, FitIsWhatItsCodesStandFor) {
  const RandomLinear a(24, 20, 64, 48), b(12, 36, 64, 49);  // 20 and 36 are no multiples of 8
  const std::vector<Linear> linears = {a.linear(), b.linear()};
  const AdditiveOptions options{.format = {2, 4, 8}, .seed = 3, .beam = 2};
  const AdditiveFit fit = fit_additive(linears, options);
  for (const float number : fit.codebooks.numbers) EXPECT_EQ(half_to_float(float_to_half(number)), number);
  for (std::size_t t = 0; t < 2; ++t) {
    const AdditiveCodes& codes = fit.matrices[t];
    ASSERT_EQ(codes.groups, (linears[t].inputs + 7) / 8);
    const std::vector<float> numbers = expand(fit.codebooks, codes);
    for (std::int64_t r = 0; r < codes.outputs; ++r)
      for (std::int64_t c = 0; c < codes.inputs; ++c) {
        float sum = 0;
        for (std::int64_t m = 0; m < 2; ++m) {
          const std::uint16_t code = codes.codes[static_cast<std::size_t>((r * codes.groups + c / 8) * 2 + m)];
          ASSERT_LT(code, 16);
          sum += fit.codebooks.numbers[static_cast<std::size_t>((m * 16 + code) * 8 + c % 8)];
        }
        const float scale = codes.scales[static_cast<std::size_t>(r)];
        EXPECT_EQ(half_to_float(float_to_half(scale)), scale);
        EXPECT_EQ(numbers[static_cast<std::size_t>(r * codes.inputs + c)], scale * sum);
      }
    EXPECT_EQ(fit.errors[t].squared, fit_error(linears[t], numbers).squared);
  }
  EXPECT_LT(fit.rounds[fit.rounds.size() - 2], fit.rounds[0]);
}

TEST(Additive, SeedDecidesAndThreadsDoNot) {
  const RandomLinear of(70, 40, 64, 50);
  const std::vector<Linear> linears = {of.linear()};
  AdditiveOptions options{.format = {2, 4, 8}, .seed = 3, .beam = 2};
  const AdditiveFit one = fit_additive(linears, options, {.threads = 1}),
                    three = fit_additive(linears, options, {.threads = 3});
  EXPECT_EQ(one.codebooks.numbers, three.codebooks.numbers);
  EXPECT_EQ(one.matrices[0].codes, three.matrices[0].codes);
  EXPECT_EQ(one.matrices[0].scales, three.matrices[0].scales);
  options.seed = 4;
  EXPECT_NE(one.matrices[0].codes, fit_additive(linears, options).matrices[0].codes);
}

TEST(Additive, CodebooksThatStay) {
  const RandomLinear a(24, 32, 64, 51), b(16, 32, 64, 52);
  const std::vector<Linear> first = {a.linear()}, second = {b.linear()};
  const AdditiveOptions options{.format = {2, 4, 8}};
  const AdditiveFit shared = fit_additive(first, options);
  const AdditiveFit fit = encode_additive(second, shared.codebooks, options);
  EXPECT_EQ(fit.codebooks.numbers, shared.codebooks.numbers);
  EXPECT_LT(fit.errors[0].relative(), 1);
  EXPECT_LE(fit.rounds[1], fit.rounds[0]);
}

TEST(Additive, NothingToKeep) {
  RandomLinear of(3, 16, 64, 53);
  std::fill(of.weights.begin(), of.weights.end(), 0.0f);
  const std::vector<Linear> linears = {of.linear()};
  const AdditiveFit fit = fit_additive(linears, {.format = {2, 4, 8}});
  for (const float number : expand(fit.codebooks, fit.matrices[0])) EXPECT_EQ(number, 0);
  EXPECT_EQ(fit.errors[0].relative(), 0);
}

TEST(Additive, BadInput) {
  const RandomLinear of(2, 16, 64, 54);
  const std::vector<Linear> linears = {of.linear()};
  expect_error(ErrorCode::kInvalidArgument, {"17 bits"}, [&] { fit_additive(linears, {.format = {1, 17, 8}}); });
  expect_error(ErrorCode::kInvalidArgument, {"0 codebooks"}, [&] { fit_additive(linears, {.format = {0, 8, 8}}); });
  expect_error(ErrorCode::kInvalidArgument, {"beam of 0"}, [&] { fit_additive(linears, {.beam = 0}); });
  expect_error(ErrorCode::kInvalidArgument, {"no matrix"}, [&] { fit_additive({}, {}); });
  expect_error(ErrorCode::kInterrupted, {"stopped"},
               [&] { fit_additive(linears, {}, {.go_on = [](double) { return false; }}); });
}

}  // namespace
}  // namespace fabula::compress
