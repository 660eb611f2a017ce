#include "bench/head_bench.hpp"

#include <algorithm>
#include <map>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "bench/head_alone.hpp"
#include "bench/head_costs.hpp"
#include "bench/head_list.hpp"
#include "bench/machine.hpp"
#include "maps/token_counts.hpp"
#include "train/head_data.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

/// A vocabulary to measure, with the text that it comes from.
struct Subject {
  RunConfig base;
  const text::TokenFile* tokens = nullptr;
  std::vector<HeadVariant> variants;
};

std::vector<HeadVariant> variants_of(const RunConfig& base, const HeadBenchOptions& options) {
  std::vector<HeadVariant> variants = head_variants(base);
  for (const std::int64_t size : options.group_sizes) variants.push_back(grouped_variant(base, size));
  return variants;
}

std::vector<Subject> subjects_of(const RunConfig& config, const HeadBenchOptions& options,
                                 const std::vector<std::unique_ptr<text::TokenFile>>& files) {
  std::vector<Subject> subjects;
  for (const auto& file : files) subjects.push_back({with_vocabulary(config, file->vocab_size()), file.get(), {}});
  for (const std::int64_t vocabulary : options.vocabularies)
    subjects.push_back({with_vocabulary(config, vocabulary), nullptr, {}});
  if (subjects.empty()) subjects.push_back({config, nullptr, {}});
  std::vector<std::string> names;  // of all vocabularies: what one is too small for, another may have
  for (Subject& subject : subjects) {
    train::adopt_map_file(subject.base);
    subject.variants = variants_of(subject.base, options);
    for (const HeadVariant& variant : subject.variants)
      if (std::find(names.begin(), names.end(), variant.name) == names.end()) names.push_back(variant.name);
  }
  check_filter(names, options.heads);
  for (Subject& subject : subjects) subject.variants = filter_variants(std::move(subject.variants), options.heads);
  return subjects;
}

/// The maps of one text: heads that ask for the same one share it.
class Maps {
 public:
  explicit Maps(const text::TokenFile* tokens) : tokens_(tokens) {
    if (tokens != nullptr) counts_ = maps::token_counts(*tokens);
  }

  heads::HeadData of(RunConfig& config) {
    const ModelConfig& model = config.model;
    if (tokens_ == nullptr || !model.head.has_map()) return {};
    if (std::optional<TokenMap> map = train::adopt_map_file(config)) return {.map = std::move(map), .counts = {}};
    const bool grouped = model.head.kind == HeadKind::kGrouped;
    const std::string key = grouped ? fmt::format("{} {} {} {}", group_map_name(model.head.map), model.head.shortlist,
                                                  model.groups(), model.slots())
                                    : fmt::format("adaptive {}", fmt::join(model.cutoffs(), " "));
    auto it = maps_.find(key);
    if (it == maps_.end())
      it = maps_.emplace(key, train::make_token_map(model, *tokens_, counts_, config.train.seed)).first;
    return {.map = it->second, .counts = {}};
  }

 private:
  const text::TokenFile* tokens_;
  std::vector<std::uint64_t> counts_;
  std::map<std::string, TokenMap> maps_;
};

std::string mib_text(std::uint64_t bytes) {
  return fmt::format("{:.1f}", mib(bytes));
}

/// A row of the table.
struct Row {
  std::string head;
  std::int64_t vocabulary = 0, head_parameters = 0;
  std::string planned, allocated, driver, head_alone;  ///< MiB
  std::string step_speed, head_speed;                  ///< tokens/s, or why there is none

  std::vector<std::string> cells() const {
    return {head,
            std::to_string(vocabulary),
            std::to_string(head_parameters),
            planned,
            allocated,
            driver,
            head_alone,
            step_speed,
            head_speed};
  }
};
const std::vector<std::string> kColumns{"head",           "vocabulary",    "head parameters",
                                        "step plan MiB",  "step peak MiB", "step driver MiB",
                                        "head alone MiB", "step tokens/s", "head tokens/s"};

/// One head on a device of its own, so that its peaks are its own too.
class RowBench {
 public:
  RowBench(const vk::DeviceOptions& options, HeadVariant variant, Maps& maps, const text::TokenFile* tokens, int steps)
      : opened_(tuning::open_tuned_device(options)),
        config_(std::move(variant.config)),
        name_(std::move(variant.name)),
        data_(maps.of(config_)),
        tokens_(tokens),
        steps_(steps) {}

  Row measure() {
    row_.head = name_;
    row_.vocabulary = config_.model.vocab_size;
    whole_step();
    head_alone();
    opened_.device->save_pipeline_cache();
    info("{}, {} tokens: {} tokens/s, head alone {}", name_, row_.vocabulary, row_.step_speed, row_.head_speed);
    return std::move(row_);
  }

 private:
  std::uint64_t memory() const { return opened_.device->info().usable_memory(); }
  graph::Target target() const { return {opened_.device->profile(), opened_.choices}; }
  static std::string speed(std::int64_t tokens, double seconds) {
    return fmt::format("{:.0f}", double(tokens) / seconds);
  }

  void whole_step() {
    const StepCost cost = step_cost(target(), memory(), config_);
    row_.head_parameters = cost.head_parameters;
    if (cost.bytes > 0) row_.planned = mib_text(cost.bytes);
    row_.step_speed = cost.why_not;
    if (!cost.why_not.empty()) return;
    try {
      const std::optional<std::uint64_t> before = opened_.device->memory_in_use();
      StepBench bench(*opened_.device, opened_.choices, config_, data_, tokens_);
      row_.step_speed = speed(bench.tokens(), bench.measure(name_, steps_).seconds);
      const std::optional<std::uint64_t> after = opened_.device->memory_in_use();
      if (before && after && *after > *before) row_.driver = mib_text(*after - *before);
    } catch (const Error& error) {
      row_.step_speed = fit_text(error);
    }
    row_.allocated = mib_text(opened_.device->peak_allocated());
  }

  void head_alone() {
    try {
      const models::LanguageModel model(config_.model, data_, config_.train.precision);
      const std::int64_t positions = config_.train.batch_size * config_.sequence_length();
      graph::Workload workload = plan_head_alone(target(), model, positions);
      const std::uint64_t bytes = workload.report().total();
      row_.head_alone = mib_text(bytes);
      row_.head_speed = fit_text(bytes, memory());
      if (!row_.head_speed.empty()) return;
      HeadAloneBench bench(*opened_.device, model, std::move(workload), BenchBatches(config_, tokens_));
      row_.head_speed = speed(positions, median_seconds(name_ + ", head alone", steps_,
                                                        [&](std::int64_t number) { return bench.step(number); }));
    } catch (const Error& error) {
      row_.head_speed = fit_text(error);
    }
  }

  tuning::OpenedDevice opened_;
  RunConfig config_;
  std::string name_;
  heads::HeadData data_;
  const text::TokenFile* tokens_;
  int steps_;
  Row row_;
};

std::vector<std::string> notes_of(const tuning::OpenedDevice& opened, const RunConfig& config,
                                  const HeadBenchOptions& options, int steps) {
  std::vector<std::string> notes = machine_notes(*opened.device, opened.choices);
  notes.push_back(fmt::format("{}, {}; medians of {} steps", step_note(config),
                              options.tokens.empty() ? "random ids" : "ids and group maps of real text", steps));
  notes.push_back(
      "step: forward, backward, optimizer; peak: what fabula allocated; driver: growth of the driver's own count (of "
      "all programs where the driver counts so)");
  notes.push_back("head alone: hidden vectors, the head's parameters, all their gradients; forward and backward");
  return notes;
}

}  // namespace

Table bench_heads(const vk::DeviceOptions& device, const RunConfig& config, const HeadBenchOptions& options) {
  if (!options.tokens.empty() && !options.vocabularies.empty())
    fail(ErrorCode::kInvalidArgument, "token files have vocabularies of their own; leave out either");
  std::vector<std::unique_ptr<text::TokenFile>> files;
  for (const std::filesystem::path& path : options.tokens) files.push_back(std::make_unique<text::TokenFile>(path));
  const std::vector<Subject> subjects = subjects_of(config, options, files);
  check_body(subjects.front().base);
  Table table{kColumns, {}, {}};
  int steps = options.steps;
  {
    const tuning::OpenedDevice opened = tuning::open_tuned_device(device);
    if (steps == 0) steps = opened.device->profile().device_class == vk::DeviceClass::kSoftware ? 3 : 5;
    table.notes = notes_of(opened, config, options, steps);
  }
  for (const Subject& subject : subjects) {
    Maps maps(subject.tokens);
    for (const HeadVariant& variant : subject.variants) {
      try {
        table.rows.push_back(RowBench(device, variant, maps, subject.tokens, steps).measure().cells());
      } catch (const Error& error) {  // what was measured so far is not lost
        warn("{}, {} tokens: {}", variant.name, variant.config.model.vocab_size, error.what());
        Row row;
        row.head = variant.name;
        row.vocabulary = variant.config.model.vocab_size;
        row.step_speed = fmt::format("failed: {}", error.what());
        table.rows.push_back(row.cells());
      }
    }
  }
  return table;
}

}  // namespace fabula::bench
