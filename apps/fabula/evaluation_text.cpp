#include "evaluation_text.hpp"

#include <algorithm>
#include <vector>

#include "base/log.hpp"
#include "base/temporary_folder.hpp"
#include "eval/evaluate.hpp"

namespace fabula::app {

EvaluationText::EvaluationText(const std::string& path, const infer::ModelFolder& folder,
                               const text::TextOptions& options) {
  const text::Tokenizer& tokenizer = folder.tokenizer();
  if (text::is_token_file(path)) {
    file_.emplace(path);
  } else {
    const TemporaryFolder temporary;
    const std::filesystem::path tokens = temporary.path() / "tokens";
    const text::TokenFileCounts counts =
        text::prepare_token_file(std::vector<std::filesystem::path>{path}, tokenizer, tokens, 0, options);
    for (const std::string& note : counts.notes) log_info(note);
    file_.emplace(tokens);
  }
  file_->check_tokenizer(tokenizer);
  folder.check_ids(*file_);
}

double perplexity_of(const infer::ModelFolder& folder, const std::string& path, const text::TextOptions& options,
                     const tuning::OpenedDevice& tuned) {
  const EvaluationText data(path, folder, options);
  const std::int64_t batch = folder.config().train.batch_size;
  const std::int64_t sequence =
      std::min(folder.config().sequence_length(), static_cast<std::int64_t>(data.file().size()) - 1);
  const text::BatchSource source(data.file(), static_cast<std::uint32_t>(batch),
                                 static_cast<std::uint32_t>(std::max<std::int64_t>(sequence, 1)), 0,
                                 text::BatchSource::Order::kSequential);
  graph::Workload workload({tuned.device->profile(), tuned.choices});
  const models::PlannedLoss graph = eval::add_evaluation_graph(workload, folder.model(), batch, sequence);
  graph::Runtime runtime(*tuned.device, std::move(workload));
  folder.load_weights(runtime);
  return eval::evaluate(runtime, graph, folder.model(), source).perplexity();
}

}  // namespace fabula::app
