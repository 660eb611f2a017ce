#include "cli/scene.hpp"

#include <fstream>
#include <sstream>

namespace fabula::cli_test {
namespace {

constexpr const char* kConfig = R"({
  "model_type": "gpt2", "n_positions": 32, "n_embd": 32, "n_layer": 1, "n_head": 2,
  "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0.1, "head": {"kind": "grouped"},
  "train": {"batch_size": 4, "sequence_length": 16, "steps": 60, "learning_rate": 4e-3, "warmup_steps": 5,
            "eval_every": 20, "eval_batches": 2, "sample_every": 30, "sample_tokens": 8, "save_every": 7, "log_every": 1}
})";

}  // namespace

Scene::Scene() {
  setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);  // pipeline caches of the tests alone
  fabula_ok({"corpus", "--seed", "3", "--stories", "200", "--out", path("stories.txt")});
  fabula_ok({"corpus", "--seed", "4", "--stories", "10", "--out", path("valid.txt")});
  fabula_ok({"tokenizer", "train", path("stories.txt"), "--vocab-size", "300", "--out", path("tokenizer.json")});
  for (const std::string name : {"stories", "valid"})
    fabula_ok({"data", "prepare", path(name + ".txt"), "--tokenizer", path("tokenizer.json"), "--out",
               path(name + ".tokens")});
  write(path("config.json"), kConfig);
}

Args Scene::train(const std::string& run, const Args& more) const {
  return Args{"train",       path("config.json"),
              "--data",      path("stories.tokens"),
              "--valid",     path("valid.tokens"),
              "--tokenizer", path("tokenizer.json"),
              "--out",       path(run)} +
         more;
}

const std::string& Scene::finished_run() {
  if (finished_run_.empty()) {
    fabula_ok(train("finished"));
    finished_run_ = path("finished");
  }
  return finished_run_;
}

std::string Scene::copy_of_finished_run(const std::string& name) {
  std::filesystem::copy(finished_run(), path(name), std::filesystem::copy_options::recursive);
  return path(name);
}

Scene& scene() {
  static Scene value;
  return value;
}

std::vector<nlohmann::json> records(const std::filesystem::path& run, const std::string& kind) {
  std::vector<nlohmann::json> result;
  std::istringstream lines(read(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
    if (record.is_discarded()) ADD_FAILURE() << "not a record: " << line;
    record.erase("tokens_per_second");
    if (kind.empty() || record["kind"] == kind) result.push_back(std::move(record));
  }
  return result;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  EXPECT_TRUE(file.good()) << path;
}

std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> result;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != ".lock")
      result[entry.path().string()] = read(entry.path());
  return result;
}

}  // namespace fabula::cli_test
