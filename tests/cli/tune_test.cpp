// `fabula tune`: choices that are measured, used where they hold, kept by a run, and never in the way.
#include <set>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

Args cached(const std::string& folder) {
  return {"--cache-dir", scene().path(folder)};
}

std::filesystem::path tune_file(const std::string& folder) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(scene().path(folder)))
    if (entry.path().filename().string().rfind("tune-", 0) == 0) found = entry.path();
  EXPECT_FALSE(found.empty()) << "no tune file in " << folder;
  return found;
}

json tune(const std::string& folder) {
  return fabula_ok(Args{"tune", scene().path("config.json"), "--set", "vocab_size=300", "--steps", "1", "-o", "json"} +
                   cached(folder))
      .json();
}

/// Makes every node of a tune file take the last variant of those that it can choose from.
void choose_last_variants(const std::filesystem::path& path) {
  json file = json::parse(read(path));
  for (auto& [signature, node] : file["nodes"].items()) {
    const std::string variants = signature.substr(signature.rfind("; of ") + 5);
    const std::size_t comma = variants.rfind(", ");
    ASSERT_NE(comma, std::string::npos) << signature;
    node["variant"] = variants.substr(comma + 2);
  }
  write(path, file.dump());
}

json state_of(const std::string& run) {
  return json::parse(read(scene().path(run) + "/state.json"));
}

const Args kShort{"--set", "train.steps=8", "--set", "train.save_every=4", "--set", "train.sample_every=0"};

TEST(Tune, MeasuresEveryVariantOfEveryShape) {
  const json table = tune("measured");
  ASSERT_GT(table["rows"].size(), 3u);
  std::set<std::string> ops;
  for (const json& row : table["rows"]) {
    ops.insert(row["op"].get<std::string>());
    const std::string times = row["ms by variant"];
    EXPECT_NE(times.find(row["chosen"].get<std::string>() + " "), std::string::npos) << row;
    EXPECT_NE(times.find(", "), std::string::npos) << "one variant is no choice: " << row;
    EXPECT_EQ(times.find(" 0.0000"), std::string::npos) << "a variant was not timed: " << row;
    EXPECT_GE(row["gain %"].get<double>(), 0) << row;
  }
  EXPECT_TRUE(ops.count("matmul") && ops.count("attention_backward")) << table;
  const json file = json::parse(read(tune_file("measured")));
  EXPECT_EQ(file["nodes"].size(), table["rows"].size());
  const Result markdown = fabula_ok(
      Args{"tune", scene().path("config.json"), "--set", "vocab_size=300", "--steps", "1"} + cached("measured"));
  const bool gains = markdown.out.find("a training step takes ") != std::string::npos &&
                     markdown.out.find(" ms, with these choices ") != std::string::npos;
  EXPECT_NE(gains, markdown.out.find("every kernel of a training step is the fastest already") != std::string::npos)
      << markdown.out;
  EXPECT_EQ(json::parse(read(tune_file("measured")))["nodes"].size(), file["nodes"].size()) << "the same shapes again";
}

TEST(Tune, ARunKeepsItsKernels) {
  tune("kept");
  choose_last_variants(tune_file("kept"));
  fabula_ok(scene().train("untuned", kShort));
  fabula_ok(scene().train("tuned", kShort + cached("kept")));
  EXPECT_NE(state_of("tuned")["lowering"], state_of("untuned")["lowering"]);
  EXPECT_FALSE(state_of("untuned")["texts"].contains("kernel_choices"));
  const json choices = json::parse(state_of("tuned")["texts"]["kernel_choices"].get<std::string>());
  EXPECT_GT(choices.size(), 3u);
  // Half of the run with these kernels; measured anew by then; the other half with the same kernels still.
  fabula_ok(scene().train("tuned_halves", kShort + cached("kept") + Args{"--set", "train.steps=4"}));
  std::filesystem::remove(tune_file("kept"));
  const Result rest = fabula_ok(scene().train("tuned_halves", kShort + cached("kept") + Args{"--resume", "auto"}));
  EXPECT_NE(rest.err.find("keeps the kernels that it was started with"), std::string::npos) << rest.err;
  EXPECT_EQ(state_of("tuned_halves")["lowering"], state_of("tuned")["lowering"]);
  EXPECT_EQ(state_of("tuned_halves")["texts"]["kernel_choices"], state_of("tuned")["texts"]["kernel_choices"]);
  // The other way round: a run without choices goes on without.
  tune("kept");
  choose_last_variants(tune_file("kept"));
  fabula_ok(scene().train("untuned", kShort + cached("kept") + Args{"--resume", "auto", "--set", "train.steps=9"}));
  EXPECT_FALSE(state_of("untuned")["texts"].contains("kernel_choices"));
}

TEST(Tune, FilesThatDoNotHoldAreNotedAndIgnored) {
  tune("bad");
  const std::filesystem::path path = tune_file("bad");
  const json good = json::parse(read(path));
  const Args plan = Args{"plan", scene().path("config.json"), "--set", "vocab_size=300"} + cached("bad");
  EXPECT_EQ(fabula_ok(plan).err.find("tune file"), std::string::npos);
  const auto expect_note = [&](const std::string& content, const std::vector<std::string>& parts) {
    write(path, content);
    const std::string note = fabula_ok(plan).err;
    EXPECT_NE(note.find(path.string()), std::string::npos) << note;
    EXPECT_NE(note.find("ignored"), std::string::npos) << note;
    EXPECT_NE(note.find("fabula tune"), std::string::npos) << note;
    for (const std::string& part : parts) EXPECT_NE(note.find(part), std::string::npos) << part << ": " << note;
  };
  json foreign = good, driver = good, stale = good;
  foreign["device"]["name"] = "another card";
  expect_note(foreign.dump(), {"another card"});
  driver["device"]["driver"] = "an older driver";
  expect_note(driver.dump(), {"an older driver"});
  for (auto& [name, digest] : stale["shaders"].items()) digest = "0";
  expect_note(stale.dump(), {"other kernels"});
  expect_note("", {});
  expect_note(good.dump().substr(0, 300), {});
  expect_note("{\"format\": 99}", {"format 99"});
  tune("bad");  // replaces what is damaged
  EXPECT_EQ(json::parse(read(path))["nodes"].size(), good["nodes"].size());
}

TEST(Tune, BadInput) {
  const Args config{"tune", scene().path("config.json"), "--set", "vocab_size=300"};
  expect_refusal(fabula(config + Args{"--cache-dir", "none"}), 2, {"--cache-dir"});
  expect_refusal(fabula(config + Args{"--steps", "0"}), 2, {"--steps"});
  const Result file = fabula(config + Args{"--cache-dir", scene().path("config.json")});
  expect_refusal(file, 1, {"config.json"});
  EXPECT_EQ(file.err.find("tuning:"), std::string::npos) << "nothing is measured that cannot be kept";
  expect_refusal(fabula({"tune"}), 2, {"config"});
}

}  // namespace
}  // namespace fabula::cli_test
