#include "convert/model_card.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/folder_update.hpp"
#include "formats/config_io.hpp"
#include "formats/metrics.hpp"
#include "formats/run_state.hpp"

namespace fabula::convert {
namespace {

constexpr std::string_view kCardBegins = "---\nlicense: other  # the texts' and the author's terms: say which\n";
constexpr std::string_view kCardTag = "tags:\n- fabula\n";
constexpr std::size_t kMostRows = 12;  // of the table of losses

/// A run's losses by step, as a mean over the steps since the row before, and as validation measured them.
struct LossRow {
  std::int64_t step = 0;
  double train = std::nan(""), valid = std::nan("");
};

std::vector<LossRow> loss_rows(const std::vector<MetricsRecord>& records) {
  std::vector<LossRow> rows;
  double sum = 0;
  std::int64_t count = 0;
  for (const MetricsRecord& record : records) {
    const auto loss = record.values.find("loss");
    if (loss == record.values.end() || !std::isfinite(loss->second)) continue;
    if (record.kind == kTrainRecord) sum += loss->second, ++count;
    if (record.kind != kEvalRecord) continue;
    rows.push_back({record.step, count > 0 ? sum / static_cast<double>(count) : std::nan(""), loss->second});
    sum = 0, count = 0;
  }
  return rows;
}

/// Some of the rows, evenly, the first and the last among them.
std::vector<LossRow> thinned(const std::vector<LossRow>& rows) {
  if (rows.size() <= kMostRows) return rows;
  std::vector<LossRow> some;
  for (std::size_t i = 0; i < kMostRows; ++i) some.push_back(rows[i * (rows.size() - 1) / (kMostRows - 1)]);
  return some;
}

std::string card_header(const infer::ModelFolder& model, Format format) {
  const std::string_view family = family_name(model.config().model.family);
  const std::string library =
      format == Format::kHuggingFace ? "library_name: transformers\npipeline_tag: text-generation\n" : "";
  return fmt::format("{}# language: en\n{}{}- {}\n- {}-head\n---\n", kCardBegins, library, kCardTag, family,
                     head_kind_name(model.config().model.head.kind));
}

std::string usage(const infer::ModelFolder& model, Format format) {
  std::string text = "## Use\n\n```sh\n";
  if (format == Format::kLlama2c)
    return text +
           "./run model.bin -z tokenizer.bin\nfabula import model.bin --tokenizer tokenizer.bin --out FOLDER\n```\n\n";
  text += "fabula generate . --prompt \"Once upon a time\"\n```\n\n";
  const bool own = needs_own_classes(model.config().model);
  text += fmt::format(
      "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
      "tokenizer = AutoTokenizer.from_pretrained(\".\"{0})\nmodel = AutoModelForCausalLM.from_pretrained(\".\"{0})\n"
      "inputs = tokenizer(\"Once upon a time\", return_tensors=\"pt\")\n"
      "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100, do_sample=True)[0]))\n```\n\n",
      own ? ", trust_remote_code=True" : "");
  if (own)
    text +=
        "The vocabulary head is fabula's own; `modeling_fabula.py` has it. The output's `logits` are log-probabilities "
        "of the joint distribution over all tokens.\n\n";
  return text;
}

std::string losses(const std::vector<LossRow>& rows) {
  if (rows.empty()) return "";
  std::string text = fmt::format(
      "Validation perplexity per token: **{:.2f}**\n\n| step | training loss | validation loss | perplexity "
      "|\n|---|---|---|---|\n",
      std::exp(rows.back().valid));
  for (const LossRow& row : thinned(rows))
    text += fmt::format("| {} | {} | {:.4f} | {:.2f} |\n", row.step,
                        std::isnan(row.train) ? std::string("-") : fmt::format("{:.4f}", row.train), row.valid,
                        std::exp(row.valid));
  return text + "\nLosses are in nats a token; a training loss is the mean since the row before.\n\n";
}

/// Of "runs/first (step 40)", in quotes where a shell needs them.
std::string start_folder(const std::string& described) {
  const std::size_t step = described.rfind(" (step ");
  const std::string folder = described.substr(0, step);
  if (folder.find_first_of(" \t'\"$`\\()&;*?#<>|!~") == folder.npos) return folder;
  std::string quoted = "'";
  for (const char c : folder) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string training(const infer::ModelFolder& model) {
  const std::filesystem::path state_file = FolderUpdate::current(model.path(), "state.json");
  if (!std::filesystem::exists(state_file)) return "";
  const RunState state = read_run_state(state_file);
  const auto data = state.texts.find("data");
  const TrainConfig& train = model.config().train;
  std::string text =
      fmt::format("## Training\n\n- {} steps, {} tokens seen, batches of {} x {} tokens, learning rate {}, {}\n",
                  state.step, state.tokens_seen, train.batch_size * train.grad_accumulation,
                  model.config().sequence_length(), train.learning_rate, precision_name(train.precision));
  if (data != state.texts.end()) text += fmt::format("- data: {}\n", data->second);
  const auto from = state.texts.find(kStartKey);
  if (from != state.texts.end()) text += fmt::format("- started from: {}\n", from->second);
  text += fmt::format("- device: {}\n\n", state.device);
  text += fmt::format(
      "`config.json` holds every setting; the same run on the same texts is\n\n```sh\n"
      "fabula train config.json{} --data TRAIN.txt --valid VALID.txt --tokenizer tokenizer.json --out RUN\n```\n\n",
      from == state.texts.end() ? "" : fmt::format(" --from {}", start_folder(from->second)));
  return text + losses(loss_rows(read_metrics(model.path() / "metrics.jsonl")));
}

}  // namespace

bool is_model_card(std::string_view bytes) {
  return bytes.starts_with(kCardBegins) && bytes.find(kCardTag) != bytes.npos;
}

std::string model_card(const infer::ModelFolder& model, const std::string& name, Format format) {
  return fmt::format("{}\n# {}\n\n{}.\n\n{}{}", card_header(model, format), name, models::describe(model.model()),
                     usage(model, format), training(model));
}

}  // namespace fabula::convert
