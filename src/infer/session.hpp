#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "graph/runtime.hpp"
#include "infer/sampler.hpp"
#include "models/language_model.hpp"

// Decoding with a cache: S slots, each an independent sequence of its own length. A prompt goes through in chunks, then
// all slots advance together, a token a step; what was drawn is fed back on the device (docs/inference.md).
namespace fabula::infer {

struct SessionOptions {
  std::int64_t slots = 1;                   ///< S
  std::int64_t context = 0;                 ///< most positions of a slot; 0: the model's
  graph::DType cache = graph::DType::kF32;  ///< of keys and values
  std::int64_t most_tokens_at_once = 16;    ///< steps of one submission
  std::int64_t longest_chunk = 256;         ///< rows of the longest prompt graph
  bool distribution = false;                ///< log p of the whole vocabulary can be read (Session::log_probs)
  bool score = false;                       ///< and that behind every token of a prompt (OnDistribution)
};

/// The graphs of a session: one of steps for each power of two of rows up to S, and of prompts for a few lengths, the
/// short ones for one sequence and for several.
struct SessionGraphs {
  struct Step {
    std::int64_t rows;
    std::size_t index;       ///< in the workload
    graph::Value ring;       ///< kept: what the last steps drew
    graph::Value log_probs;  ///< [rows, V]; kept with SessionOptions::distribution
  };
  struct Prompt {
    std::int64_t rows;       ///< positions of a sequence
    std::int64_t sequences;  ///< that it takes at once
    std::size_t index;
  };
  SessionOptions options;       ///< with the context settled
  std::vector<Step> steps;      ///< by rising rows
  std::vector<Prompt> prompts;  ///< by rising rows, then sequences
  struct Score {
    Prompt prompt;
    graph::Value log_probs;  ///< kept: [rows, V]
  };
  std::optional<Score> score;  ///< with SessionOptions::score
};
/// Throws kInvalidArgument for options out of range, naming them.
SessionGraphs add_session_graphs(graph::Workload& workload, const models::LanguageModel& model, SessionOptions options);

/// What a sequence ends with.
enum class EndReason : std::uint8_t { kNone, kStopToken, kLength, kNumeric };

/// A token that a slot drew.
struct SessionToken {
  std::size_t slot;
  std::uint32_t id;
  float log_prob;         ///< the model's own: before bias, penalties and temperature
  std::int64_t position;  ///< in the sequence, from 0
  std::int64_t visited;   ///< slots of the vocabulary that were looked at for it
  EndReason end = EndReason::kNone;
  std::vector<std::pair<std::uint32_t, float>> top = {};  ///< the likeliest and their log p, as many as were asked for
};

struct SequenceOptions {
  SamplerOptions sampler = {};
  std::int64_t max_tokens = INT64_MAX;       ///< drawn ones; the context bounds it as well
  std::vector<std::uint32_t> stop_ids = {};  ///< the sequence ends with any of these; at most kMostStops
  std::int64_t top = 0;                      ///< SessionToken::top; at most kMostTopN
};

/// Gets log p [V] of what stands behind token `position` of a prompt.
using OnDistribution = std::function<void(std::size_t position, std::span<const float> log_probs)>;

/// Asked before each chunk of a prompt.
using StillWanted = std::function<bool()>;

/// A sequence that is to begin.
struct SequenceStart {
  std::size_t slot;  ///< a free one
  std::span<const std::uint32_t> prompt;
  SequenceOptions options = {};
  StillWanted wanted = {};  ///< false: the rest of the prompt is not read, and the slot is free
};

class Session {
 public:
  /// All must outlive it. Rows of the model that are `never_drawn` have no part in any draw.
  Session(graph::Runtime& runtime, SessionGraphs graphs, const models::LanguageModel& model,
          std::vector<std::uint32_t> never_drawn = {});

  std::int64_t context() const { return graphs_.options.context; }
  std::size_t slots() const { return slots_.size(); }
  std::optional<std::size_t> free_slot() const;
  bool is_active(std::size_t slot) const { return slots_.at(slot).active; }
  std::size_t active() const;

  /// Begins a sequence in a free slot: the prompt but for its last token goes through the model, and is under way when
  /// this returns. Throws kInvalidArgument for an empty prompt, one longer than the context, or options out of range.
  /// `visit` gets the distributions behind all of these tokens, in order, and takes a while: the host waits for each
  /// chunk. Of sessions with SessionOptions::score.
  void start(std::size_t slot, std::span<const std::uint32_t> prompt, const SequenceOptions& options,
             const OnDistribution& visit = {});

  /// Begins several, their prompts read side by side: as many of them in a submission as there are graphs for. Each has
  /// the bits that it has alone. Throws as above, before any has begun.
  void start(std::span<const SequenceStart> starts);

  /// The distributions behind all tokens of a text, in order. The slot is free, and stays so.
  void score(std::size_t slot, std::span<const std::uint32_t> ids, const OnDistribution& visit);

  /// What `start` and `score` refuse, without a device: safe from any thread.
  void check(std::span<const std::uint32_t> prompt, const SequenceOptions& options) const;
  void check_ids(std::span<const std::uint32_t> ids) const;

  /// Up to `tokens` steps of all active slots in one submission; what they drew, by step, then by slot. A slot whose
  /// sequence ends is free from then on.
  std::vector<SessionToken> advance(std::int64_t tokens);

  /// Ends a slot's sequence where it is.
  void stop(std::size_t slot);

  /// log p of the next token [V] behind the last step of a slot that advanced in it; of sessions with
  /// SessionOptions::distribution.
  std::vector<float> log_probs(std::size_t slot);

 private:
  struct Slot {
    bool active = false;
    std::int64_t position = 0;  ///< of the token that the next step reads
    std::int64_t top = 0;
    /// What its row of biases holds; absent: nothing that is known.
    std::optional<std::vector<std::pair<std::uint32_t, double>>> biases = {};
  };
  /// A prompt of which `read` tokens have gone through the model.
  struct Reading {
    std::size_t slot;
    std::span<const std::uint32_t> ids;
    StillWanted wanted = {};
    std::size_t read = 0;
    std::int64_t left() const { return static_cast<std::int64_t>(ids.size() - read); }
  };
  void occupy(const SequenceStart& start);
  void read_prompts(std::vector<Reading> prompts);
  const SessionGraphs::Prompt& prompt_graph(std::int64_t left, std::size_t sequences) const;
  void score_prompt(std::size_t slot, std::span<const std::uint32_t> ids, const OnDistribution& visit);
  void run_chunks(const SessionGraphs::Prompt& graph, std::span<Reading* const> prompts);
  void write_slot(const SequenceStart& start);
  void write_biases(std::size_t slot, const SamplerOptions& sampler);
  SessionToken token_of(std::size_t slot, std::span<const std::uint32_t> ring) const;

  graph::Runtime& runtime_;
  SessionGraphs graphs_;
  const models::LanguageModel& model_;
  std::vector<std::uint32_t> never_drawn_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> last_rows_;  ///< slots of the last step's rows
  const SessionGraphs::Step* last_step_ = nullptr;
};

}  // namespace fabula::infer
