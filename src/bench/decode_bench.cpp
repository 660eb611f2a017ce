#include "bench/decode_bench.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "bench/decode_session.hpp"
#include "bench/head_costs.hpp"
#include "bench/head_list.hpp"
#include "bench/kernel_shares.hpp"
#include "bench/machine.hpp"
#include "bench/profile.hpp"
#include "bench/roof.hpp"
#include "graph/barriers.hpp"
#include "infer/model_folder.hpp"
#include "predict/work.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

constexpr std::int64_t kFirstContext = 64;
constexpr const char* kSaved = "saved";

/// A model to measure.
struct DecodeSubject {
  std::string name;
  RunConfig config;
  std::filesystem::path saved = {};  ///< empty: its weights are random
  weights::Format weights = weights::Format::kFp32;
};

/// It, with a token map where it is a saved one.
class DecodeModel {
 public:
  explicit DecodeModel(const DecodeSubject& subject) {
    if (subject.saved.empty())
      random_.emplace(subject.config.model, heads::HeadData{}, Precision::kFp32, subject.weights);
    else
      saved_.emplace(subject.saved, std::string(), infer::ModelStorage{.weights = subject.weights});
  }
  const models::LanguageModel& model() const { return random_ ? *random_ : saved_->model(); }
  const infer::ModelFolder* saved() const { return saved_ ? &*saved_ : nullptr; }

 private:
  std::optional<models::LanguageModel> random_;
  std::optional<infer::ModelFolder> saved_;
};

std::string format_text(weights::Format format) {
  return std::string(weights::kFormatNames.at(static_cast<std::size_t>(format)));
}

/// Each in all weight formats.
std::vector<DecodeSubject> in_formats(const std::vector<DecodeSubject>& subjects, const DecodeBenchOptions& options) {
  std::vector<DecodeSubject> all;
  for (const DecodeSubject& subject : subjects)
    for (const weights::Format format : options.weights) all.push_back(subject), all.back().weights = format;
  return all;
}

/// What is not asked for by name: decoding with a fused head is that with a full one.
bool is_shown_by_default(const std::string& name) {
  return name == kSaved || name == "configured" || name == kGrouped || name == kFullTied;
}

std::vector<DecodeSubject> decode_subjects(const RunConfig& config, const DecodeBenchOptions& options) {
  std::vector<DecodeSubject> subjects;
  if (!options.saved.empty()) subjects.push_back({kSaved, infer::ModelFolder(options.saved).config(), options.saved});
  std::vector<std::int64_t> vocabularies = options.vocabularies;
  if (vocabularies.empty()) vocabularies.push_back(config.model.vocab_size);
  for (const std::int64_t vocabulary : vocabularies)
    for (HeadVariant& variant : head_variants(with_vocabulary(config, vocabulary)))
      subjects.push_back({std::move(variant.name), std::move(variant.config)});
  std::vector<std::string> names;
  for (const DecodeSubject& subject : subjects)
    if (std::find(names.begin(), names.end(), subject.name) == names.end()) names.push_back(subject.name);
  check_filter(names, options.heads);
  std::erase_if(subjects, [&](const DecodeSubject& subject) {
    if (options.heads.empty()) return !is_shown_by_default(subject.name);
    return std::none_of(options.heads.begin(), options.heads.end(),
                        [&](const std::string& part) { return subject.name.find(part) != std::string::npos; });
  });
  return in_formats(subjects, options);
}

std::vector<std::int64_t> contexts_of(const RunConfig& config, const DecodeBenchOptions& options) {
  const std::int64_t longest = config.model.n_positions;
  if (longest < kLeastContext)
    fail(ErrorCode::kInvalidArgument, "the model has {} positions; decoding is timed from {} on", longest,
         kLeastContext);
  std::vector<std::int64_t> contexts = options.contexts;
  for (const std::int64_t context : contexts)
    if (context < kLeastContext || context > longest)
      fail(ErrorCode::kInvalidArgument, "a context of {}: choose {} to {}, which is what the model has", context,
           kLeastContext, longest);
  if (!contexts.empty()) return contexts;
  for (std::int64_t context = kFirstContext; context < longest; context *= 4) contexts.push_back(context);
  contexts.push_back(longest);
  return contexts;
}

std::string slots_text(std::int64_t slots) {
  return slots == 1 ? std::string("1 slot") : fmt::format("{} slots", slots);
}

std::string rate_text(double tokens, double seconds) {
  const double per_second = tokens / seconds;
  return fmt::format("{:.{}f}", per_second, per_second < 100 ? 1 : 0);
}

/// What one step of a session reads and writes.
double step_bytes(const DecodeSession& session, double keys) {
  double bytes = 0;
  for (const graph::Node& node : session.step().graph.nodes())
    bytes += predict::decode_cost(session.step().graph, node, keys).bytes;
  return bytes;
}

/// A row of the table: what the first number of slots gives, and the speed of all.
struct DecodeRow {
  std::string prompt, first_token, dispatches, barriers, submissions, bytes, roof;
  std::vector<std::string> speeds;  ///< tokens/s, by number of slots
};

std::vector<std::string> columns_for(const std::vector<std::int64_t>& slots) {
  std::vector<std::string> columns{"head", "vocabulary", "weights", "context", "prompt tokens/s", "first token ms"};
  for (const std::int64_t n : slots) columns.push_back("tokens/s, " + slots_text(n));
  for (const char* name : {"dispatches", "barriers", "submissions", "MB/token", "% of copy"})
    columns.emplace_back(name);
  return columns;
}

/// One model: its sessions one after the other, each at all contexts.
class DecodeSubjectBench {
 public:
  DecodeSubjectBench(vk::Device& device, const KernelChoices& choices, const DecodeSubject& subject,
                     const DecodeBenchOptions& options, int repeats, const Roof& roof)
      : device_(device), choices_(choices), subject_(subject), options_(options), repeats_(repeats), roof_(roof) {}

  void measure(Table& table) {
    const std::vector<std::int64_t> contexts = contexts_of(subject_.config, options_);
    rows_.assign(contexts.size(), {});
    for (std::size_t i = 0; i < options_.slots.size(); ++i) {
      try {
        one_session(i, contexts);
      } catch (const Error& error) {
        const std::string why = fit_text(error);
        info("{}: {}", subject_.name, error.what());
        for (DecodeRow& row : rows_) row.speeds.resize(i), row.speeds.push_back(why);
      }
    }
    for (std::size_t c = 0; c < contexts.size(); ++c) table.rows.push_back(cells(rows_[c], contexts[c]));
  }

 private:
  void one_session(std::size_t number, const std::vector<std::int64_t>& contexts) {
    const std::int64_t slots = options_.slots[number];
    const DecodeModel model(subject_);
    DecodeSession session(device_, choices_, model.model(), model.saved(), {.slots = slots, .cache = options_.cache});
    const bool first = number == 0;
    if (first) {
      const PromptTime prompt = session.prompt(std::min(options_.prompt, session.context() - 1), repeats_);
      for (DecodeRow& row : rows_) {
        row.prompt = rate_text(static_cast<double>(prompt.tokens - 1), prompt.pass);
        row.first_token = fmt::format("{:.2f}", 1e3 * prompt.first_token);
      }
    }
    for (std::size_t c = 0; c < contexts.size(); ++c) {
      const DecodeTime time = session.decode(contexts[c], repeats_);
      rows_[c].speeds.push_back(rate_text(static_cast<double>(slots), time.seconds));
      info("{}, {} tokens, context {}, {}: {} tokens/s", subject_.name, subject_.config.model.vocab_size, contexts[c],
           slots_text(slots), rows_[c].speeds.back());
      if (first) describe_step(session, time, rows_[c]);
    }
  }

  void describe_step(const DecodeSession& session, const DecodeTime& time, DecodeRow& row) const {
    const graph::Program& program = session.step().program;
    const double bytes = step_bytes(session, time.keys);
    row.dispatches = std::to_string(program.steps.size());
    row.barriers = std::to_string(graph::barrier_count(program));
    row.submissions = fmt::format("{:.3g}", time.submissions);
    row.bytes = fmt::format("{:.4g}", 1e-6 * bytes / static_cast<double>(options_.slots.front()));
    row.roof = fmt::format("{:.1f}", 100 * bytes / time.seconds / roof_.bytes);
  }

  std::vector<std::string> cells(const DecodeRow& row, std::int64_t context) const {
    std::vector<std::string> cells{subject_.name,
                                   std::to_string(subject_.config.model.vocab_size),
                                   format_text(subject_.weights),
                                   std::to_string(context),
                                   row.prompt,
                                   row.first_token};
    cells.insert(cells.end(), row.speeds.begin(), row.speeds.end());
    for (const std::string* cell : {&row.dispatches, &row.barriers, &row.submissions, &row.bytes, &row.roof})
      cells.push_back(*cell);
    return cells;
  }

  vk::Device& device_;
  const KernelChoices& choices_;
  const DecodeSubject& subject_;
  const DecodeBenchOptions& options_;
  int repeats_;
  const Roof& roof_;
  std::vector<DecodeRow> rows_;  ///< by context
};

int repeats_on(const vk::Device& device, const DecodeBenchOptions& options) {
  if (options.repeats > 0) return options.repeats;
  return device.profile().device_class == vk::DeviceClass::kSoftware ? 3 : 5;
}

std::string body_note(const RunConfig& config, const DecodeBenchOptions& options) {
  return fmt::format("{} layers, hidden {}, {} heads, {} positions; keys and values {}; drawn at {}",
                     config.model.layers, config.model.hidden, config.model.heads, config.model.n_positions,
                     to_string(options.cache), infer::SamplerOptions().temperature);
}

}  // namespace

Table bench_decode(const vk::DeviceOptions& device_options, const RunConfig& config,
                   const DecodeBenchOptions& options) {
  const std::vector<DecodeSubject> subjects = decode_subjects(config, options);
  for (const DecodeSubject& subject : subjects) contexts_of(subject.config, options);  // before minutes of measuring
  const auto [device, choices] = tuning::open_tuned_device(device_options);
  const int repeats = repeats_on(*device, options);
  const Roof roof = measure_roof(*device);
  Table table{columns_for(options.slots), {}, machine_notes(*device, choices)};
  table.notes.push_back(body_note(config, options));
  table.notes.push_back(
      fmt::format("{:.1f} GB/s copied (read and written), measured now; medians of {}", 1e-9 * roof.bytes, repeats));
  table.notes.push_back(fmt::format(
      "prompt: {} tokens of one text, all but the last; first token: from such a prompt's begin until its first token "
      "is drawn, {} in the session",
      std::min(options.prompt, config.model.n_positions - 1), slots_text(options.slots.front())));
  table.notes.push_back(fmt::format(
      "tokens/s: of all slots together, while their texts grow to the context; dispatches, barriers and submissions a "
      "step, MB and % of copy: {} at once, bytes by the ops' counts",
      slots_text(options.slots.front())));
  for (const DecodeSubject& subject : subjects) {
    DecodeSubjectBench(*device, choices, subject, options, repeats, roof).measure(table);
    device->save_pipeline_cache();
  }
  return table;
}

Table profile_decode(const vk::DeviceOptions& device_options, const RunConfig& config,
                     const DecodeBenchOptions& options, bool by_op) {
  const bool own = options.heads.empty() && options.saved.empty();
  const DecodeSubject subject =
      (own ? in_formats({{"of the config", config}}, options) : decode_subjects(config, options)).front();
  const std::int64_t context = contexts_of(subject.config, options).front(), slots = options.slots.front();
  const auto [device, choices] = tuning::open_tuned_device(device_options);
  require_timestamps(*device);
  const int repeats = repeats_on(*device, options);
  const Roof roof = measure_roof(*device);
  const DecodeModel model(subject);
  const infer::SessionOptions session_options{.slots = slots, .cache = options.cache};
  const DecodeTime time =
      DecodeSession(*device, choices, model.model(), model.saved(), session_options).decode(context, repeats);
  DecodeSession session(*device, choices, model.model(), model.saved(), session_options, true);
  KernelShares shares(session.runtime(), {{session.step_graph(), 1}}, by_op,
                      [&](const graph::Graph& graph, const graph::Node& node) {
                        return predict::decode_cost(graph, node, static_cast<double>(context));
                      });
  const std::int64_t steps = std::min<std::int64_t>(repeats, context / 2);
  session.fill(context - 1 - steps);
  session.advance_once();
  for (std::int64_t step = 0; step < steps; ++step) session.advance_once(), shares.add_step();
  Table table = shares.table(roof);
  table.notes = machine_notes(*device, choices);
  table.notes.push_back(body_note(subject.config, options));
  add_roof_notes(table.notes, roof);
  table.notes.push_back(
      fmt::format("head {}, {} tokens, weights {}, {}, context {}: kernels take {:.4f} ms of a step, each run alone; a "
                  "step takes {:.4f} "
                  "ms, {:.2f} times as long",
                  subject.name, subject.config.model.vocab_size, format_text(subject.weights), slots_text(slots),
                  context, 1e3 * shares.seconds(), 1e3 * time.seconds, time.seconds / shares.seconds()));
  return table;
}

}  // namespace fabula::bench
