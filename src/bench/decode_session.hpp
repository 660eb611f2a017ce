#pragma once
#include <cstdint>

#include "graph/runtime.hpp"
#include "graph/target.hpp"
#include "infer/model_folder.hpp"
#include "infer/session.hpp"

namespace fabula::bench {

inline constexpr std::int64_t kLeastContext = 8;  ///< that decoding is timed at

/// How fast all slots of a session went.
struct DecodeTime {
  double seconds = 0;      ///< a step, median
  double submissions = 0;  ///< a step
  double keys = 0;         ///< that a row saw, on average
};

struct PromptTime {
  std::int64_t tokens = 0;
  double pass = 0;         ///< seconds until all but the last token went through the model
  double first_token = 0;  ///< seconds until the first token was there
};

/// A decoding session with weights, whose slots all work while it is measured.
class DecodeSession {
 public:
  /// With the folder's weights, or random ones where there is none. Throws kOutOfMemory before anything runs. All must
  /// outlive it.
  DecodeSession(vk::Device& device, const KernelChoices& choices, const models::LanguageModel& model,
                const infer::ModelFolder* saved, const infer::SessionOptions& options, bool timed = false);

  std::int64_t context() const { return session_.context(); }
  const graph::Runtime& runtime() const { return runtime_; }
  std::size_t step_graph() const { return step_; }  ///< in which all slots have a row
  const graph::PlannedGraph& step() const { return runtime_.workload().graphs()[step_]; }

  /// Texts that grow to `context` tokens, as many at once as there are slots: steps in submissions of as many as
  /// `generate` sends, the last `repeats` submissions timed.
  DecodeTime decode(std::int64_t context, int repeats);
  /// A text of one slot, begun again and again.
  PromptTime prompt(std::int64_t tokens, int repeats);
  /// Fills all slots with texts of `tokens` tokens.
  void fill(std::int64_t tokens);
  /// One step of all slots, alone.
  void advance_once();

 private:
  void start(std::size_t slot, std::int64_t tokens);
  void stop_all();
  void warm_up();

  infer::SessionGraphs graphs_;
  graph::Runtime runtime_;
  infer::Session session_;
  const models::LanguageModel& model_;
  std::size_t step_;
};

}  // namespace fabula::bench
