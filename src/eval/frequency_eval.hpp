#pragma once
#include <cstdint>
#include <functional>

#include "eval/evaluate.hpp"
#include "eval/frequency_table.hpp"
#include "graph/runtime.hpp"
#include "infer/model_folder.hpp"
#include "models/language_model.hpp"
#include "text/batches.hpp"

namespace fabula::eval {

/// Bytes that the log-probabilities of all tokens may take at once: a binding of every Vulkan device.
inline constexpr std::uint64_t kLogProbBytes = 128ull << 20;

/// The graphs of an evaluation label by label. One computes the hidden vectors of a batch, the other runs over chunks
/// of them, since V log-probabilities of every position would be too many.
struct LabelGraphs {
  std::size_t body = 0, head = 0;  ///< in the workload
  std::int64_t rows = 0;           ///< labels in a chunk
  heads::HeadLoss loss;            ///< kept, [1, rows]
  graph::Value joint_loss;         ///< the same loss, from the log-probabilities of all tokens; kept as those below
  graph::Value joint_correct;      ///< 1 where the label is the most probable of all tokens
  graph::Value top_log_p;          ///< log p of the most probable token
  graph::Value log_mass;           ///< log of the probability of `rows_without_token`; absent where there are none
  std::vector<std::uint32_t> rows_without_token;
  bool has_groups() const { return bool(loss.group_loss); }
};

/// `log_prob_bytes` bounds the log-probabilities held at once, together with what the device allows; at least one row
/// is held. `rows_without_token`: those whose share of the probability is computed too.
LabelGraphs add_label_graphs(graph::Workload& workload, const models::LanguageModel& model, std::int64_t batch,
                             std::int64_t sequence, std::uint64_t log_prob_bytes = kLogProbBytes,
                             std::vector<std::uint32_t> rows_without_token = {});

/// Runs these graphs.
class LabelEvaluation {
 public:
  /// All must outlive it. Gives the runtime the constants that these graphs have beside the model's.
  LabelEvaluation(graph::Runtime& runtime, const LabelGraphs& graphs, const models::LanguageModel& model);
  /// All labels of a batch that count, in order. Throws kNumeric when a distribution is not finite.
  void run(const text::Batch& batch, const std::function<void(const LabelResult&)>& visit);

 private:
  struct Chunk;
  static std::vector<Chunk> chunks_of(const text::Batch& batch, std::size_t size);
  /// The results of a chunk of the last batch.
  void run_head(Chunk chunk, const std::function<void(const LabelResult&)>& visit);
  std::vector<float> read(graph::Value value);

  graph::Runtime& runtime_;
  const LabelGraphs& graphs_;
  const models::LanguageModel& model_;
};

/// Evaluates the labels of the first `batches` batches of a sequential source (0: all), in order; ignored ones are left
/// out. How many are computed at once does not change a result beyond rounding. `progress` (may be empty) is called
/// after each batch and stops the evaluation by returning false. Throws kNumeric when a distribution is not finite.
void evaluate_labels(graph::Runtime& runtime, const LabelGraphs& graphs, const models::LanguageModel& model,
                     const text::BatchSource& source, std::uint64_t batches,
                     const std::function<void(const LabelResult&)>& visit,
                     const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress = {});

/// evaluate() of an evaluation label by label: the same sums but for rounding, at the cost of the head's work twice,
/// and with the mass of the rows without a token.
Evaluation evaluate(graph::Runtime& runtime, const LabelGraphs& graphs, const models::LanguageModel& model,
                    const text::BatchSource& source, std::uint64_t batches = 0,
                    const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress = {});

/// A model's results over a text, by the frequency of the label.
struct FrequencyEvaluation {
  FrequencyTable table;
  bool has_groups = false;  ///< a two-level head
};

/// The same of a model folder on a device. `counts`: how often each token occurs in some text; tokens that the model
/// has beyond them count 0.
FrequencyEvaluation evaluate_by_frequency(
    vk::Device& device, const graph::Target& target, const infer::ModelFolder& folder, const text::BatchSource& source,
    std::int64_t batch, std::int64_t sequence, std::vector<std::uint64_t> counts, std::uint64_t batches = 0,
    const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace fabula::eval
