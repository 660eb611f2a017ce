#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/program.hpp"
#include "temp_dir.hpp"

namespace fabula::cli_test {

/// Texts, tokens and a config that the tests share, made by the program itself: 200 stories, 300 tokens, a model of 25
/// thousand parameters.
class Scene {
 public:
  Scene();

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// `train` with this scene's config, tokens and tokenizer into a folder; 60 steps, a checkpoint every 7, a progress
  /// line every step.
  Args train(const std::string& run, const Args& more = {}) const;
  /// A finished run of 60 steps, made when first asked for. Not to be changed: copy it.
  const std::string& finished_run();
  /// A copy of it under a new name.
  std::string copy_of_finished_run(const std::string& name);

 private:
  test::TempDir folder_;
  std::string finished_run_;
};
/// The one of this process.
Scene& scene();

/// Records of RUN/metrics.jsonl without what a clock says; `kind` empty: all.
std::vector<nlohmann::json> records(const std::filesystem::path& run, const std::string& kind = {});
std::string read(const std::filesystem::path& path);
void write(const std::filesystem::path& path, const std::string& content);
/// Bytes of all files of a folder but .lock, by name: to see that nothing has changed.
std::map<std::string, std::string> contents(const std::filesystem::path& folder);

}  // namespace fabula::cli_test
