#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/runtime.hpp"
#include "infer/sampler.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

namespace fabula::infer {

/// Graphs that give the next token's log-probabilities, one a context length (16, 32, ... up to the model's positions):
/// each token is computed from the whole context, in the smallest graph that holds it.
struct GenerationGraphs {
  struct Entry {
    std::int64_t context;
    std::size_t index;       ///< in the workload
    graph::Value log_probs;  ///< kept, [1, V]
  };
  std::vector<Entry> entries;  ///< by rising context
};
GenerationGraphs add_generation_graphs(graph::Workload& workload, const models::LanguageModel& model,
                                       std::int64_t max_context);

struct GenerateOptions {
  SamplerOptions sampler;
  std::int64_t max_tokens = 200;
  std::vector<std::uint32_t> stop_ids;  ///< the text ends at any of these
};

class Generator {
 public:
  /// All must outlive it. `start_id` stands before a prompt.
  Generator(graph::Runtime& runtime, const GenerationGraphs& graphs, const models::LanguageModel& model,
            const text::Tokenizer& tokenizer, std::optional<std::uint32_t> start_id);

  /// Continues a prompt, which is taken as the start of a document (it follows the start token, as in training).
  /// `on_text` gets pieces of whole characters as they come and stops by returning false. The result is the
  /// continuation without the prompt. A text that outgrows the context goes on with its latest half. Throws
  /// kInvalidArgument for a prompt longer than the context, naming both lengths. Rows of the model that no token of the
  /// tokenizer has are never drawn: the others are as likely among each other as they were.
  std::string generate(std::string_view prompt, const GenerateOptions& options,
                       const std::function<bool(std::string_view)>& on_text = {});

  /// The prompt's tokens. Throws kInvalidArgument for more of them than the context holds, naming both lengths.
  std::vector<std::uint32_t> encode_prompt(std::string_view prompt) const;

  /// log p(next | ids) [V]; `ids` is not empty and no longer than the longest context.
  std::vector<float> log_probs(const std::vector<std::uint32_t>& ids);
  std::int64_t max_context() const { return graphs_.entries.back().context; }

 private:
  graph::Runtime& runtime_;
  GenerationGraphs graphs_;
  const models::LanguageModel& model_;
  const text::Tokenizer& tokenizer_;
  std::optional<std::uint32_t> start_id_;
  std::vector<std::uint32_t> never_drawn_;  ///< rows without a token
};

}  // namespace fabula::infer
