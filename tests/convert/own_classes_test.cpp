// The Python files that folders bring for transformers, against the golden fixtures.
#include <gtest/gtest.h>

#include <cstdlib>

#include "convert/written_model.hpp"
#include "golden/fixture.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

/// A Python that has PyTorch; empty: there is none.
std::string python_with_torch() {
  const char* const named = std::getenv("FABULA_PYTHON");
  for (const std::string python : {named != nullptr ? named : "", "python3", "/usr/bin/python3"})
    if (!python.empty() && std::system((python + " -c 'import torch' >/dev/null 2>&1").c_str()) == 0) return python;
  return {};
}

/// The fixture's model, written as a run folder is.
void write_fixture(const fs::path& fixture, const fs::path& folder) {
  const RunConfig config = load_config(fixture, {}, ConfigNotes::kSilent);
  const test::GoldenFixture golden(fixture);
  const models::LanguageModel model = golden.model();
  std::vector<TensorSource> weights;
  for (const graph::ParameterSpec& spec : model.parameters())
    weights.push_back({spec.name, spec.file_shape(), [&golden, spec](std::int64_t first, std::span<float> out) {
                         golden.weights().read_f32(spec.name, out, first);
                       }});
  FolderUpdate update(folder);
  infer::write_model_folder(
      update, {.config = config, .model = model, .tokenizer = test::byte_tokenizer(), .weights = std::move(weights)});
  update.commit();
}

TEST(OwnClasses, ComputeWhatTheGoldenFixturesSay) {
  const std::string python = python_with_torch();
  if (python.empty()) GTEST_SKIP() << "no Python with PyTorch (Debian: python3-torch; FABULA_PYTHON names one)";
  const fs::path tests = fs::path(FABULA_SOURCE_DIR) / "tests";
  const test::TempDir dir;
  std::string command =
      fmt::format("PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{}' {} '{}'", (tests / "convert/stand_in").string(), python,
                  (tests / "convert/check_goldens.py").string());
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(tests / "golden/fixtures")) {
    const fs::path folder = dir / entry.path().filename().string();
    write_fixture(entry.path(), folder);
    command += fmt::format(" '{}' '{}'", folder.string(), entry.path().string());
    ++count;
  }
  EXPECT_GE(count, 15u);
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace fabula
