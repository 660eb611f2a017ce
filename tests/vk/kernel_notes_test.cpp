// What is remembered of a driver's compiler: kernels that spill, and those that took a process down.
#include "vk/kernel_notes.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "log_capture.hpp"
#include "vk/device_impl.hpp"
#include "vk/open_device.hpp"

namespace fabula::vk {
namespace {

const KernelKey kCopy{"test_copy", {64, 1}, 0, {}};
const KernelKey kAdd{"test_add", {128}, 32, {1, 0, 1}};
const KernelKey kOther{"test_copy", {128, 1}, 0, {}};

class KernelNotesTest : public testing::Test {
 protected:
  std::string path() const { return (dir_ / "kernels.txt").string(); }
  std::string text_of_file() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir_ / name) << text; }
  std::vector<std::string> markers() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
      if (const std::string name = entry.path().filename().string();
          name.find("compiling") != std::string::npos || name.find("running") != std::string::npos)
        found.push_back(name);
    return found;
  }
  test::TempDir dir_;
};

TEST_F(KernelNotesTest, KeysHaveTexts) {
  EXPECT_EQ(to_string(kCopy), "test_copy(64, 1)");
  EXPECT_EQ(to_string(kAdd), "test_add(128) types 1 0 1, subgroups of 32");
}

TEST_F(KernelNotesTest, WhatIsNotedIsThereAtTheNextStart) {
  KernelNotes notes(path());
  EXPECT_TRUE(notes.faults().empty());
  notes.note(kCopy, 0);
  notes.note(kAdd, 33);
  notes.save();
  EXPECT_EQ(KernelNotes(path()).faults(), (KernelFaults{{"test_copy(64, 1)", 0}, {to_string(kAdd), 33}}));
}

TEST_F(KernelNotesTest, WhatWasCheckedIsThereAtTheNextStart) {
  {
    KernelNotes notes(path());
    EXPECT_FALSE(notes.verdict(kCopy));
    notes.note_verdict(kCopy, Verdict::kHolds);
    notes.note_verdict(kCopy, Verdict::kAlike);  // less than is known
    notes.note_verdict(kAdd, Verdict::kAlike);
    notes.note_verdict(kOther, Verdict::kUnchecked);
    notes.note(kAdd, 33);  // what it spills is another question
    notes.save();
  }
  KernelNotes notes(path());
  EXPECT_EQ(notes.verdict(kCopy), Verdict::kHolds);
  EXPECT_EQ(notes.verdict(kAdd), Verdict::kAlike);
  EXPECT_EQ(notes.verdict(kOther), Verdict::kUnchecked);
  notes.note(kAdd, kWrong);
  notes.note_verdict(kAdd, Verdict::kHolds);  // of another session: one miss is enough
  notes.note(kAdd, 33);                       // however it compiles
  notes.save();
  const KernelNotes later(path());
  EXPECT_EQ(later.verdict(kCopy), Verdict::kHolds);
  EXPECT_FALSE(later.verdict(kAdd));
  EXPECT_EQ(later.faults(), (KernelFaults{{to_string(kAdd), kWrong}}));
}

TEST_F(KernelNotesTest, AnotherShaderOrADamagedLineSaysNothing) {
  KernelNotes(path()).note(kCopy, 1);
  KernelNotes notes(path());
  notes.note(kCopy, 1);
  notes.save();
  const std::string good = text_of_file();
  ASSERT_GT(good.size(), 20u);
  std::string other_code = good;
  other_code[0] = other_code[0] == '0' ? '1' : '0';
  for (const std::string& text :
       {other_code, std::string("nonsense\n"), good.substr(0, good.size() - 1), std::string("zz 1 test_copy(64, 1)\n"),
        std::string("0123456789abcdef 1 no_such_shader(1)\n"), good.substr(0, 16) + "\n", std::string("\n\n")}) {
    write("kernels.txt", text);
    EXPECT_TRUE(KernelNotes(path()).faults().empty()) << text;
  }
  write("kernels.txt", "nonsense\n" + good);
  EXPECT_EQ(KernelNotes(path()).faults().size(), 1u) << "what is good holds";
}

TEST_F(KernelNotesTest, AMarkerIsThereWhileAKernelIsCompiledOrRun) {
  const KernelNotes notes(path());
  {
    const KernelNotes::OnTrial one(notes, {&kCopy, 1}, KernelNotes::Trial::kCompiled),
        two(notes, {&kAdd, 1}, KernelNotes::Trial::kRun);
    EXPECT_EQ(markers().size(), 2u);
    EXPECT_TRUE(KernelNotes(path()).faults().empty()) << "a process that lives has not crashed";
    EXPECT_EQ(markers().size(), 2u);
  }
  EXPECT_TRUE(markers().empty());
}

TEST_F(KernelNotesTest, AProcessThatIsGoneNamesItsKernel) {
  const pid_t child = fork();
  if (child == 0) {
    const KernelNotes notes(path());
    const KernelNotes::OnTrial crashing(notes, {&kAdd, 1}, KernelNotes::Trial::kCompiled);
    _exit(0);  // as a driver ends a process: nothing is tidied up
  }
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(markers().size(), 1u);
  const test::LogCapture log;
  KernelNotes notes(path());
  EXPECT_EQ(notes.faults(), (KernelFaults{{to_string(kAdd), kCrashes}}));
  EXPECT_NE(log.text().find("an earlier start ended while the driver compiled test_add(128)"), std::string::npos);
  EXPECT_NE(log.text().find(path()), std::string::npos);
  EXPECT_TRUE(markers().empty());
  EXPECT_EQ(KernelNotes(path()).faults().size(), 1u) << "it is remembered";
  notes.note_compiled(kAdd);
  notes.save();
  EXPECT_TRUE(KernelNotes(path()).faults().empty()) << "it compiles by now";
}

TEST_F(KernelNotesTest, AProcessThatIsGoneWhileKernelsRanNamesThem) {
  const pid_t child = fork();
  if (child == 0) {
    const KernelNotes notes(path());
    const std::vector<KernelKey> kernels{kAdd, kCopy};
    const KernelNotes::OnTrial killing(notes, kernels, KernelNotes::Trial::kRun);
    _exit(0);
  }
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const test::LogCapture log;
  EXPECT_EQ(KernelNotes(path()).faults(), (KernelFaults{{to_string(kAdd), kCrashes}, {to_string(kCopy), kCrashes}}));
  EXPECT_NE(log.text().find("an earlier start ended while the driver ran " + to_string(kAdd) + " or "),
            std::string::npos)
      << log.text();
  EXPECT_TRUE(markers().empty());
}

TEST_F(KernelNotesTest, WhatOtherProcessesWroteMeanwhileStays) {
  {
    KernelNotes first(path());
    first.note(kOther, kCrashes);
    first.save();
  }
  KernelNotes one(path()), two(path()), three(path());
  one.note(kCopy, kWrong);
  one.save();
  two.note_verdict(kCopy, Verdict::kHolds);  // it held this time
  two.note_verdict(kAdd, Verdict::kHolds);
  two.save();
  three.note_compiled(kOther);
  three.save();
  const KernelNotes all(path());
  EXPECT_EQ(all.faults(), (KernelFaults{{to_string(kCopy), kWrong}}));
  EXPECT_FALSE(all.verdict(kCopy));
  EXPECT_EQ(all.verdict(kAdd), Verdict::kHolds);
}

TEST_F(KernelNotesTest, ManyWriteAtOnce) {
  constexpr std::uint32_t kWriters = 8;
  std::vector<std::thread> writers;
  for (std::uint32_t w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      KernelNotes notes(path());
      notes.note_verdict({"test_copy", {w, 1}, 0, {}}, Verdict::kHolds);
      EXPECT_TRUE(notes.save());
    });
  for (std::thread& writer : writers) writer.join();
  const KernelNotes all(path());
  for (std::uint32_t w = 0; w < kWriters; ++w) EXPECT_TRUE(all.verdict({"test_copy", {w, 1}, 0, {}})) << w;
}

TEST_F(KernelNotesTest, AFolderThatCannotBeWrittenCostsNoRun) {
  write("file", "");
  KernelNotes notes(dir_ / "file" / "kernels.txt");
  const KernelNotes::OnTrial marker(notes, {&kCopy, 1}, KernelNotes::Trial::kCompiled);
  notes.note(kCopy, 1);
  const test::LogCapture log;
  notes.save();
  EXPECT_NE(log.text().find("was not saved"), std::string::npos);
}

VKAPI_ATTR VkResult VKAPI_CALL crash(VkDevice, VkPipelineCache, std::uint32_t, const VkComputePipelineCreateInfo*,
                                     const VkAllocationCallbacks*, VkPipeline*) {
  std::_Exit(77);
}

// A driver that crashes in its compiler, as a whole: the device that is opened next knows of it.
TEST(KernelNotesDevice, TheNextStartKnowsWhatCrashed) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  // The child runs this test from its beginning: the folder must be the same one.
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "fabula_kernel_notes_test";
  DeviceOptions options = base_options();
  options.cache_dir = folder.string();
  EXPECT_EXIT(
      {
        const auto device = Device::open(options);
        device->impl().table.vkCreateComputePipelines = crash;
        device->pipeline(kCopy);
      },
      testing::ExitedWithCode(77), "");
  {
    const test::LogCapture log;
    const auto device = Device::open(options);
    EXPECT_EQ(device->profile().faults, (KernelFaults{{to_string(kCopy), kCrashes}})) << log.text();
    EXPECT_GE(device->compile(kCopy).seconds, 0.0);
    device->save_pipeline_cache();
  }
  EXPECT_TRUE(Device::open(options)->profile().faults.empty()) << "compile() tried it again";
  std::filesystem::remove_all(folder);
}

// A terminal is told of every kernel before it is made; a log of none that takes no time.
TEST(KernelNotesDevice, KernelsAreNamedOnATerminal) {
  for (const bool redraws : {true, false}) {
    std::string said;
    const LogSink before = set_log_sink(
        {.write = [&](LogLevel, std::string_view text) { said += fmt::format("[{}]", text); }, .redraws = redraws});
    const auto device = Device::open(base_options());
    device->pipeline(kCopy);
    set_log_sink(before);
    EXPECT_EQ(said, redraws ? "[compiling test_copy][]" : "");
  }
}

TEST(KernelNotesDevice, StatisticsAreThereWhereTheDriverTells) {
  DeviceOptions options = base_options();
  options.statistics = options.only_compile = true;
  const auto device = Device::open(options);
  EXPECT_EQ(device->tells_statistics(), device->info().statistics);
  const CompiledKernel compiled = device->compile(kCopy);
  EXPECT_EQ(compiled.statistics.has_value(), device->tells_statistics());
  if (compiled.statistics) {
    EXPECT_FALSE(compiled.statistics->all.empty());
  }
}

TEST(PipelineStatistics, AreFoundUnderEveryDriversNames) {
  const PipelineStatistics radv = common_statistics({{"SGPRs", 40},
                                                     {"VGPRs", 128},
                                                     {"Spilled SGPRs", 0},
                                                     {"Spilled VGPRs", 33},
                                                     {"LDS size", 8704},
                                                     {"Scratch size", 1024},
                                                     {"Subgroups per SIMD", 2}},
                                                    64);
  EXPECT_EQ(radv.registers, 128u);
  EXPECT_EQ(radv.spills, 33u);
  EXPECT_EQ(radv.shared_memory, 8704u);
  EXPECT_EQ(radv.scratch, 1024u);
  EXPECT_EQ(radv.waves, 2u);
  EXPECT_EQ(radv.subgroup_size, 64u);
  EXPECT_TRUE(radv.is_spilled());
  const PipelineStatistics anv = common_statistics({{"Spill Count", 0}, {"Scratch Memory Size", 0}}, 8);
  EXPECT_EQ(anv.spills, 0u);
  EXPECT_FALSE(anv.registers || anv.waves) << "not told";
  EXPECT_FALSE(anv.is_spilled());
  const PipelineStatistics nvidia =
      common_statistics({{"Register Count", 149}, {"Local Memory Size", 68719476736.0}}, 32);
  EXPECT_EQ(nvidia.registers, 149u);
  EXPECT_EQ(nvidia.scratch, 0u) << "the upper half is something else";
  EXPECT_EQ(nvidia.fault(), 0u);
  EXPECT_EQ(common_statistics({{"Local Memory Size", 68719476736.0 + 64}}, 32).fault(), 1u);
  const PipelineStatistics turnip = common_statistics({{"Registers used", 24}, {"STP Count", 2}}, 64);
  EXPECT_EQ(turnip.registers, 96u) << "counted in vec4s";
  EXPECT_TRUE(turnip.is_spilled());
}

TEST(PipelineStatistics, OfSeveralWidthsTheWorstCounts) {
  const std::vector<PipelineStatistics> widths{common_statistics({{"VGPRs", 64}, {"Subgroups per SIMD", 4}}, 8),
                                               common_statistics({{"VGPRs", 96}, {"Subgroups per SIMD", 2}}, 16)};
  const PipelineStatistics worst = worst_of(widths);
  EXPECT_EQ(worst.registers, 96u);
  EXPECT_EQ(worst.waves, 2u);
  EXPECT_EQ(worst.subgroup_size, 16u);
  EXPECT_EQ(worst.all.size(), 4u);
  EXPECT_FALSE(worst_of({}).spills.has_value());
}

}  // namespace
}  // namespace fabula::vk
