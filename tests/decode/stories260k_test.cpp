// A real model's greedy text through the session, against a plain implementation of its file.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "convert/llama2c.hpp"
#include "infer/model_folder.hpp"
#include "infer/session.hpp"
#include "support/device_main.hpp"
#include "support/llama2c_model.hpp"
#include "temp_dir.hpp"

namespace fabula::infer {
namespace {

TEST(Stories260K, TellsTheTokensOfAPlainImplementation) {
  const char* const data = std::getenv("FABULA_DATA");
  const std::filesystem::path weights = std::filesystem::path(data ? data : "data") / "weights";
  if (!std::filesystem::exists(weights / "stories260K.bin"))
    GTEST_SKIP() << (weights / "stories260K.bin").string() << " is not there (FABULA_DATA names its folder)";
  test::TempDir dir;
  convert::import_llama2c(
      {.source = weights / "stories260K.bin", .tokenizer = weights / "tok512.bin", .out = dir / "model"});
  const ModelFolder folder(dir / "model");
  graph::Workload workload(test::device().profile());
  SessionGraphs graphs = add_session_graphs(workload, folder.model(), {});
  graph::Runtime runtime(test::device(), std::move(workload));
  folder.load_weights(runtime);
  Session session(runtime, std::move(graphs), folder.model());
  test::Llama2cModel plain((weights / "stories260K.bin").string());
  ASSERT_TRUE(plain.ok());
  for (const char* text : {"", "Once upon a time, there was a little girl"}) {
    std::vector<std::uint32_t> prompt = folder.tokenizer().encode(text);
    prompt.insert(prompt.begin(), 1u);
    const auto expected = plain.greedy(prompt, 200);
    plain.restart();
    session.start(0, prompt, {.sampler = {.temperature = 0}, .max_tokens = 200});
    std::vector<std::uint32_t> told;
    while (session.active() > 0)
      for (const SessionToken& token : session.advance(16)) told.push_back(token.id);
    ASSERT_EQ(told.size(), expected.size());
    for (std::size_t i = 0; i < told.size(); ++i) {
      if (told[i] == expected[i].token) continue;
      ASSERT_LT(expected[i].margin, 1e-4f) << "token " << i;
      break;  // two tokens were equally likely: the texts may differ from here on
    }
  }
}

}  // namespace
}  // namespace fabula::infer
