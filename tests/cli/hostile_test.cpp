// Surroundings that mean no good or have bad luck: strange names, planted links, limits, closed descriptors.
#include <sys/stat.h>

#include <cstdlib>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

namespace fs = std::filesystem;

const Args kTwoSteps{"--set", "train.steps=2", "--set", "train.eval_every=0"};

TEST(Hostile, ANameThatIsNoUtf8IsPrinted) {
  const Result result = fabula_ok(scene().train("r\xff", kTwoSteps + Args{"--json"}));
  EXPECT_EQ(result.json()["run"], scene().path("r\ufffd"));
  EXPECT_EQ(result.json()["step"], 2);
  EXPECT_EQ(result.err.find('\xff'), std::string::npos);
}

TEST(Hostile, MessagesAreNoCommandsForATerminal) {
  write(scene().path("strange.json"), R"({"model_type":"gpt2","\u001b]0;title\u0007\u009b2J":1})");
  const Result config = fabula({"plan", scene().path("strange.json")});
  EXPECT_NE(config.err.find(R"(\x1b]0;title\x07\u009b2J)"), std::string::npos) << config.err;
  const Result flag = fabula({"plan", "--\x1b[31m"});
  EXPECT_NE(flag.err.find(R"(\x1b[31m)"), std::string::npos) << flag.err;
  for (const Result& result : {config, flag}) {
    EXPECT_EQ(result.err.find('\x1b'), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("\u009b"), std::string::npos) << result.err;
  }
}

TEST(Hostile, WithoutStandardErrorNoFileGetsTheMessages) {
  Args words = scene().train("closed", kTwoSteps);
  std::string command = FABULA_PROGRAM;
  for (const std::string& word : words) command += " '" + word + "'";
  EXPECT_EQ(std::system((command + " 2>&- < /dev/null").c_str()), 0);
  EXPECT_EQ(read(scene().path("closed/.lock")).find_first_not_of("0123456789\n"), std::string::npos);
  EXPECT_EQ(records(scene().path("closed"), "train").size(), 2u);
}

TEST(Hostile, ACacheThatCannotBeUsedCostsAWarning) {
  const Args generate{"generate", scene().finished_run(), "--max-tokens", "1", "--cache-dir"};
  const auto warnings = [](const Result& result) {
    std::size_t count = 0;
    for (std::size_t at = result.err.find("warning: "); at != result.err.npos;
         at = result.err.find("warning: ", at + 1))
      ++count;
    return count;
  };
  // No permission means nothing to root; a link that leads to itself is closed to everyone.
  fs::create_symlink("loop", scene().path("loop"));
  const Result unreadable = fabula_ok(generate + Args{scene().path("loop")});
  EXPECT_EQ(warnings(unreadable), 1u) << unreadable.err;
  EXPECT_NE(unreadable.err.find("loop"), std::string::npos) << unreadable.err;
  RunOptions options;
  options.file_size_limit = 1;
  const Result limited = fabula_ok(generate + Args{scene().path("limited")}, options);
  EXPECT_EQ(warnings(limited), 1u) << limited.err;
  EXPECT_NE(limited.err.find("File too large"), std::string::npos) << limited.err;
  for (const fs::directory_entry& entry : fs::directory_iterator(scene().path("limited")))
    EXPECT_EQ(entry.path().extension(), ".lock") << "a half file: " << entry.path();
}

TEST(Hostile, AnInterruptedCommandLeavesNoTemporaryFile) {
  const std::string folder = scene().path("interrupted");
  fs::create_directory(folder);
  const std::string corpus =
      std::string(FABULA_PROGRAM) + " corpus --stories 20000000 --out " + folder + "/stories.txt 2> /dev/null & ";
  // A shell's background processes ignore SIGINT; SIGTERM and SIGHUP go the same way.
  for (const char* signal : {"TERM", "HUP"})
    EXPECT_EQ(std::system((corpus + "for i in $(seq 200); do sleep 0.05; [ -n \"$(ls -A " + folder +
                           ")\" ] && break; done; kill -" + signal + " $!; wait $!; [ $? -gt 128 ]")
                              .c_str()),
              0)
        << signal;
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(Hostile, LinksOutOfARunFolderAreRefused) {
  const std::string precious = scene().path("precious");
  const auto refuse = [&](const std::string& run, const std::string& name) {
    const std::string link = run + "/" + name;
    fs::remove_all(link);
    fs::create_symlink(precious, link);
    const auto before = contents(precious);
    expect_refusal(fabula(scene().train(fs::path(run).filename(), {"--resume", "auto", "--set", "train.steps=61"})), 2,
                   {name, "is a link to", "remove"});
    EXPECT_EQ(contents(precious), before) << name;
    fs::remove(link);
  };
  fs::create_directory(precious);
  write(precious + "/state.json", "precious");
  for (const char* name : {".lock", "checkpoint.ready", "checkpoint.writing", "data", "metrics.jsonl", "report.html",
                           "model.safetensors", "data/source.txt"})
    refuse(scene().copy_of_finished_run(std::string("linked_") + fs::path(name).filename().string()), name);
  fs::create_symlink(scene().copy_of_finished_run("meant"), scene().path("meant_link"));
  fabula_ok(scene().train("meant_link", {"--resume", "auto", "--set", "train.steps=61"}));
}

TEST(Hostile, PipesOfANameAreRefusedWithoutWaiting) {
  const std::string pipe = scene().path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string run = scene().copy_of_finished_run("piped"), tokenizer = scene().path("tokenizer.json"),
                    out = scene().path("no_file");
  fs::remove(run + "/state.json");
  fs::rename(pipe, run + "/state.json");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  RunOptions options;
  options.timeout_seconds = 30;
  for (const Args& args :
       {Args{"tokenizer", "import", pipe, "--out", out}, Args{"tokenizer", "train", pipe, "--out", out},
        Args{"data", "prepare", pipe, "--tokenizer", tokenizer, "--out", out},
        Args{"data", "groups", pipe, "--out", out}, Args{"eval", scene().finished_run(), "--data", pipe},
        Args{"score", scene().finished_run(), "--file", pipe}, Args{"plan", pipe}, Args{"info", run}})
    expect_refusal(fabula(args, options), 1, {"expected a file, found a special file"});
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace fabula::cli_test
