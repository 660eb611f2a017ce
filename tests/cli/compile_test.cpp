// Kernels compiled and not run: `check --compile` and `plan --compile`.
#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

TEST(Compile, EveryKernelOfAnOpIsNamedAndCompiled) {
  const Result result = fabula_ok({"check", "--compile", "--filter", "layer_norm", "--cache-dir", "none"});
  EXPECT_NE(result.out.find("layer_norm_subgroup"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("0 failures"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("compiling layer_norm("), std::string::npos) << "each is named before it is made";
}

TEST(Compile, AsJson) {
  const nlohmann::json all =
      fabula_ok({"check", "--compile", "--filter", "row_max", "--json", "--cache-dir", "none"}).json();
  const nlohmann::json best =
      fabula_ok({"check", "--compile", "--quick", "--filter", "row_max", "--json", "--cache-dir", "none"}).json();
  EXPECT_EQ(all["failures"], 0);
  EXPECT_GT(all["kernels"].size(), best["kernels"].size()) << "variants that are not taken by default";
  EXPECT_EQ(best["default_kernels"], best["kernels"].size());
  for (const nlohmann::json& kernel : all["kernels"]) {
    EXPECT_EQ(kernel["ok"], true);
    EXPECT_GT(kernel["seconds"].get<double>(), 0);
  }
}

TEST(Compile, OfOneModel) {
  const nlohmann::json kernels = fabula_ok({"plan", scene().path("config.json"), "--set", "vocab_size=300", "--compile",
                                            "--json", "--cache-dir", "none"})
                                     .json()["kernels"];
  bool product = false, optimizer = false;
  for (const nlohmann::json& kernel : kernels) {
    const std::string name = kernel["kernel"];
    product = product || name.starts_with("matmul_");
    optimizer = optimizer || name.starts_with("adamw(");
  }
  EXPECT_TRUE(product && optimizer) << kernels.dump(1);
}

TEST(Compile, WhatCannotBeToldIsSaid) {
  // lavapipe tells no statistics.
  const Result told = fabula_ok({"check", "--compile", "--statistics", "--filter", "fill", "--cache-dir", "none"});
  EXPECT_NE(told.err.find("tells no statistics"), std::string::npos) << told.err;
  const Result spills = fabula({"check", "--compile", "--no-spills", "--filter", "fill", "--cache-dir", "none"});
  EXPECT_NE(spills.status, 0);
  EXPECT_NE(spills.err.find("does not tell whether kernels spill"), std::string::npos) << spills.err;
  const Result alone = fabula({"check", "--statistics"});
  EXPECT_EQ(alone.status, 2);
  EXPECT_NE(alone.err.find("--compile"), std::string::npos) << alone.err;
}

}  // namespace
}  // namespace fabula::cli_test
