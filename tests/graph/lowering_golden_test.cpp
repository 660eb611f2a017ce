// What training, evaluation and generation launch, for models of every family, head and precision on two made-up
// devices: a digest a graph, of kernels' names, constants, grids, push constants and the sizes that they bind, but not
// of their code. lowering_golden.txt holds them all: a change that is not meant to change what is computed leaves the
// list as it is; one that is says why in its commit, with the list made anew:
//   FABULA_WRITE_GOLDEN=1 build/dev/bin/test_graph --gtest_filter='LoweringGolden.*'
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "base/hash.hpp"
#include "formats/config_io.hpp"
#include "train/training_plan.hpp"

namespace fabula::test {
namespace {

struct NamedConfig {
  std::string_view name, json;
};

// Small ones, but for the last: widths that are no multiple of anything, every head and option, dropout or none.
constexpr NamedConfig kConfigs[] = {
    {"gpt2_full", R"({"model_type": "gpt2", "head": {"kind": "full"}})"},
    {"gpt2_full_untied_bias",
     R"({"model_type": "gpt2", "tie_word_embeddings": false, "head": {"kind": "full", "bias": true}})"},
    {"gpt2_fused", R"({"model_type": "gpt2", "head": {"kind": "fused"}})"},
    {"gpt2_fused_bias_no_dropout",
     R"({"model_type": "gpt2", "embd_pdrop": 0, "resid_pdrop": 0, "head": {"kind": "fused", "bias": true}})"},
    {"gpt2_grouped", R"({"model_type": "gpt2", "head": {"kind": "grouped"}})"},
    {"gpt2_grouped_no_dropout", R"({"model_type": "gpt2", "embd_pdrop": 0, "resid_pdrop": 0,
     "head": {"kind": "grouped"}})"},
    {"gpt2_grouped_tied_shortlist", R"({"model_type": "gpt2", "tie_word_embeddings": true,
     "head": {"kind": "grouped", "shortlist": 9, "map": "frequency"}})"},
    {"gpt2_low_rank_prototypes", R"({"model_type": "gpt2",
     "head": {"kind": "grouped", "modulation": "low_rank", "rank": 5, "prototypes": 3}})"},
    {"gpt2_per_group", R"({"model_type": "gpt2", "tie_word_embeddings": false,
     "head": {"kind": "grouped", "modulation": "per_group", "shortlist": 9, "group_size": 21}})"},
    {"gpt2_per_group_tied", R"({"model_type": "gpt2", "tie_word_embeddings": true,
     "head": {"kind": "grouped", "modulation": "per_group", "shortlist": 9, "group_size": 21}})"},
    {"gpt2_class_input", R"({"model_type": "gpt2", "tie_word_embeddings": true,
     "head": {"kind": "grouped", "modulation": "per_group", "shortlist": 9, "group_size": 21, "class_input": true}})"},
    {"gpt2_adaptive_bias", R"({"model_type": "gpt2", "head": {"kind": "adaptive", "bias": true}})"},
    {"gpt_neo_full", R"({"model_type": "gpt_neo", "window_size": 7, "head": {"kind": "full"}})"},
    {"gpt_neo_fused_dropout", R"({"model_type": "gpt_neo", "window_size": 7, "embed_dropout": 0.1,
     "resid_dropout": 0.1, "head": {"kind": "fused"}})"},
    {"gpt_neo_adaptive", R"({"model_type": "gpt_neo", "window_size": 7, "head": {"kind": "adaptive"}})"},
    {"llama_full", R"({"model_type": "llama", "num_key_value_heads": 1, "tie_word_embeddings": true,
     "head": {"kind": "full"}})"},
    {"llama_grouped_dropout", R"({"model_type": "llama", "head_dim": 10, "head": {"kind": "grouped"},
     "train": {"dropout": 0.1}})"},
    {"gpt2_small_fused", R"({"model_type": "gpt2", "n_embd": 768, "n_head": 12, "vocab_size": 50257,
     "n_positions": 1024, "head": {"kind": "fused"}, "train": {"batch_size": 4}})"},
    {"gpt2_hidden256_grouped", R"({"model_type": "gpt2", "n_embd": 256, "n_head": 8, "vocab_size": 50257,
     "n_positions": 512, "head": {"kind": "grouped"}, "train": {"batch_size": 32}})"},
};

RunConfig config_of(const NamedConfig& of) {
  const bool neo = of.name.starts_with("gpt_neo"), llama = of.name.starts_with("llama");
  std::vector<std::string> sizes{llama ? "num_hidden_layers=2"
                                 : neo ? "num_layers=2"
                                       : "n_layer=2",
                                 "train.grad_accumulation=2"};
  if (of.json.find("vocab_size") == std::string_view::npos) {
    sizes.insert(sizes.end(), {"vocab_size=143", "train.batch_size=3"});
    if (llama)
      sizes.insert(sizes.end(),
                   {"hidden_size=36", "num_attention_heads=3", "max_position_embeddings=24", "intermediate_size=60"});
    else if (neo)
      sizes.insert(sizes.end(), {"hidden_size=36", "num_heads=3", "max_position_embeddings=24"});
    else
      sizes.insert(sizes.end(), {"n_embd=36", "n_head=3", "n_positions=24"});
  }
  return parse_config(of.json, of.name, sizes, ConfigNotes::kSilent);
}

/// The least that a device may offer, and what a large one does.
std::map<std::string, vk::DeviceProfile> profiles() {
  vk::DeviceProfile discrete;
  discrete.device_class = vk::DeviceClass::kDiscrete;
  discrete.limits.max_invocations = 1024;
  discrete.limits.max_workgroup_size = {1024, 1024, 64};
  discrete.limits.max_workgroup_count = {0x7FFFFFFF, 65535, 65535};
  discrete.limits.max_shared_memory = 48 << 10;
  discrete.limits.max_storage_range = 0xFFFFFFFF;
  discrete.limits.storage_alignment = 16;
  discrete.limits.max_allocation = 4ull << 30;
  discrete.features = {.subgroup_shuffle = true,
                       .subgroup_arithmetic = true,
                       .subgroup_ballot = true,
                       .full_subgroups = true,
                       .subgroup_size_control = true,
                       .subgroup_size = 32,
                       .min_subgroup_size = 32,
                       .max_subgroup_size = 32,
                       .storage_16bit = true,
                       .float16 = true,
                       .texel_float4 = true,
                       .cooperative_matrix_khr = true,
                       .cooperative_matrix_nv = true,
                       .cooperative_matrix_bf16 = true,
                       .timestamps = true,
                       .memory_budget = true};
  return {{"minimum", {}}, {"discrete", discrete}};
}

std::uint64_t digest_without_code(const graph::Program& program) {
  return digest_of(program.steps, [](std::string_view shader) { return fnv1a(shader.data(), shader.size()); });
}

/// A line a graph: "gpt2_full discrete fp16 gradients: 83 launches, 0123456789abcdef".
void add_lines(const NamedConfig& of, const std::string& device, const vk::DeviceProfile& profile,
               std::vector<std::string>& lines) {
  RunConfig config = config_of(of);
  for (const Precision precision : {Precision::kFp32, Precision::kFp16}) {
    config.train.precision = precision;
    const models::LanguageModel model(config.model, {}, precision);
    for (const Recompute recompute : {Recompute::kNone, Recompute::kBlock}) {
      config.train.recompute = recompute;
      const train::TrainingPlan plan = train::plan_training(profile, model, config.train);
      for (const graph::PlannedGraph& planned : plan.workload.graphs()) {
        const bool same_in_both = planned.name != "gradients" && planned.name != "accumulate";
        if (recompute == Recompute::kBlock && same_in_both) continue;
        lines.push_back(fmt::format("{} {} {} {}{}: {} launches, {:016x}", of.name, device, precision_name(precision),
                                    planned.name, recompute == Recompute::kBlock ? " recomputed" : "",
                                    planned.program.steps.size(), digest_without_code(planned.program)));
      }
    }
  }
}

TEST(LoweringGolden, IsTheListOfLaunches) {
  std::vector<std::string> lines;
  for (const NamedConfig& of : kConfigs)
    for (const auto& [device, profile] : profiles()) add_lines(of, device, profile, lines);
  const std::string path = std::string(FABULA_SOURCE_DIR) + "/tests/graph/lowering_golden.txt";
  if (std::getenv("FABULA_WRITE_GOLDEN") != nullptr) {
    std::ofstream file(path);
    for (const std::string& line : lines) file << line << '\n';
    return;
  }
  std::map<std::string, std::string> golden;  // what is in front of the colon, and what is behind it
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) golden[line.substr(0, line.find(':'))] = line;
  for (const std::string& line : lines) {
    const std::string key = line.substr(0, line.find(':'));
    EXPECT_EQ(golden[key], line);
    golden.erase(key);
  }
  for (const auto& [key, line] : golden) ADD_FAILURE() << "is computed no longer: " << line;
}

// The list is of use only if it tells graphs apart.
TEST(LoweringGolden, ChangesWithWhatIsLaunched) {
  const RunConfig config = config_of(kConfigs[0]);
  const models::LanguageModel model(config.model);
  const train::TrainingPlan plan = train::plan_training({}, model, config.train, {.with_extras = false});
  graph::Program program = plan.workload.graphs().at(plan.graphs.overwrite.index).program;
  const std::uint64_t digest = digest_without_code(program);
  std::swap(program.steps.front(), program.steps.back());
  EXPECT_NE(digest_without_code(program), digest);
  std::swap(program.steps.front(), program.steps.back());
  EXPECT_EQ(digest_without_code(program), digest);
  program.steps.front().shader += "_other";
  EXPECT_NE(digest_without_code(program), digest);
}

}  // namespace
}  // namespace fabula::test
