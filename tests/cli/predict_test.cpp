// Device profiles from the command line: plans and predictions for devices that are not there. Times are only seen to
// be there.
#include <fstream>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

Args plan_for(const std::string& profile, const Args& more = {}) {
  return Args{"plan", scene().path("config.json"), "--set", "vocab_size=300", "--device-profile", profile} + more;
}

/// No driver can be loaded: a profile must do without.
RunOptions no_driver() {
  RunOptions options;
  options.environment = {{"VK_ICD_FILENAMES", "/nonexistent.json"}, {"VK_DRIVER_FILES", "/nonexistent.json"}};
  return options;
}

TEST(DeviceProfile, PlansWithoutADevice) {
  const nlohmann::json plan = fabula_ok(plan_for("steam deck", {"--json"}), no_driver()).json();
  EXPECT_EQ(plan["device"], "Steam Deck");
  EXPECT_EQ(plan["device_memory"], 8ull << 30);
  for (const char* what : {"step", "token"})
    for (const char* field : {"seconds", "of_which_launches", "bytes", "launches"})
      EXPECT_GT(plan["predicted"][what][field].get<double>(), 0) << what << "." << field;
  EXPECT_TRUE(plan["predicted"]["token"]["fits"]);
  const std::string text = fabula_ok(plan_for("Steam Deck"), no_driver()).out;
  EXPECT_NE(text.find("predicted from public data, not measured"), std::string::npos) << text;
  EXPECT_NE(text.find("predicted: a token behind"), std::string::npos) << text;
}

TEST(DeviceProfile, AllNamedOnesMakeATable) {
  const nlohmann::json table = fabula_ok(plan_for("all", {"-o", "json"}), no_driver()).json();
  EXPECT_GE(table["rows"].size(), 10u);
  for (const nlohmann::json& row : table["rows"]) EXPECT_GT(row["decoding tokens/s"].get<double>(), 0) << row["device"];
  EXPECT_NE(table["notes"].dump().find("predicted, not measured"), std::string::npos);
}

TEST(DeviceProfile, MemoryThatIsTakenAwayDecides) {
  const Result result = fabula(plan_for("Adreno 740", {"--memory", "100KiB", "--json"}), no_driver());
  EXPECT_EQ(result.status, 1);
  EXPECT_FALSE(result.json()["fits"]);
  EXPECT_GT(fabula_ok(plan_for("Adreno 740", {"--fit", "--json"}), no_driver()).json()["rows"].size(), 0u);
}

TEST(DeviceProfile, OfTheDeviceAtHandIsMeasuredAndCompared) {
  const std::string path = scene().path("measured_profile.json");
  const nlohmann::json roof = fabula_ok({"bench", "roof", "--quick", "--save", path, "-o", "json"}).json();
  EXPECT_GT(roof["rows"].size(), 30u);
  const nlohmann::json profile = nlohmann::json::parse(read(path));
  EXPECT_NE(profile["note"].get<std::string>().find("measured by fabula"), std::string::npos);
  EXPECT_GT(profile["kernels"]["shares"].size(), 20u);
  EXPECT_GT(fabula_ok(plan_for(path, {"--json"}), no_driver()).json()["predicted"]["step"]["seconds"].get<double>(), 0);
  const nlohmann::json table = fabula_ok({"bench", "predict", scene().path("config.json"), "--set", "vocab_size=300",
                                          "--device-profile", path, "--steps", "1", "-o", "json"})
                                   .json();
  ASSERT_EQ(table["rows"].size(), 4u);
  for (const nlohmann::json& row : table["rows"]) {
    EXPECT_GT(row["predicted"].get<double>(), 0) << row["what"];
    EXPECT_GT(row["measured"].get<double>(), 0) << row["what"];
  }
  EXPECT_EQ(table["rows"][1]["what"], "training memory");
  EXPECT_NEAR(table["rows"][1]["ratio"].get<double>(), 1, 0.02);  // the plan is what is allocated
  expect_refusal(fabula({"bench", "predict", scene().path("config.json"), "--set", "vocab_size=300", "--device-profile",
                         "Steam Deck"}),
                 2, {"the profile is that of Steam Deck", "llvmpipe"});
}

TEST(DeviceProfile, WrongOnesAreRefused) {
  expect_refusal(fabula(plan_for("Adreno 470")), 2, {"Adreno 470", "did you mean \"Adreno 740\"", "Steam Deck"});
  const std::string path = scene().path("broken_profile.json");
  std::ofstream(path) << R"({"format": 1, "name": "mine", "note": "", "memory": {"value": 0, "source": ""}})";
  expect_refusal(fabula(plan_for(path)), 2, {"broken_profile.json.memory.value", "above 0"});
}

}  // namespace
}  // namespace fabula::cli_test
