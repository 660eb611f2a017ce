// A trained model whose weights are stored in fewer bits.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

double perplexity(const std::string& run, const std::string& format, const std::string& precision = "fp32") {
  return fabula_ok({"eval", run, "--data", scene().path("valid.tokens"), "--weights", format, "--precision", precision,
                    "--json"})
      .json()["perplexity"];
}

TEST(Weights, InFewerBitsPredictAsWell) {
  const std::string& run = scene().finished_run();
  const double exact = perplexity(run, "fp32");
  const auto off = [&](const std::string& format) { return std::abs(perplexity(run, format) / exact - 1); };
  EXPECT_LE(off("fp16"), 0.0005);
  EXPECT_LE(off("bf16"), 0.005);
  EXPECT_LE(off("int8"), 0.003);
  EXPECT_LE(off("int4"), 0.2);
  EXPECT_EQ(off("stored"), 0);
  const double half = perplexity(run, "fp32", "fp16");
  EXPECT_NE(half, exact);
  EXPECT_LE(std::abs(half / exact - 1), 0.002);
  EXPECT_LE(std::abs(perplexity(run, "int8", "bf16") / exact - 1), 0.02);
}

TEST(Weights, GenerateAndScoreTakeThem) {
  const std::string& run = scene().finished_run();
  const auto log_p = [&](const std::string& format, const std::string& precision = "fp32") {
    return fabula_ok(
               {"score", run, "--text", "Once upon a time", "--weights", format, "--precision", precision, "--json"})
        .json()["log_p"]
        .get<double>();
  };
  EXPECT_NE(log_p("fp32", "fp16"), log_p("fp32"));
  EXPECT_NEAR(log_p("fp32", "fp16"), log_p("fp32"), 0.1);
  for (const std::string format : {"fp16", "bf16", "int8", "int4"}) {
    EXPECT_NEAR(log_p(format), log_p("fp32"), format == "int4" ? 3 : 0.2) << format;
    const Result text =
        fabula_ok({"generate", run, "--prompt", "Once upon a time", "--max-tokens", "20", "--weights", format});
    EXPECT_GT(text.out.size(), 20u);
  }
  expect_refusal(fabula({"eval", run, "--data", scene().path("valid.tokens"), "--weights", "int5"}), 2,
                 {"--weights", "int5", "int8"});
}

}  // namespace
}  // namespace fabula::cli_test
