#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "text/token_file.hpp"

// What the linear layers of a model read while it goes over a text: the one pass that every way to compress it rests
// on.
namespace fabula::convert {

/// Of the inputs x [I] of one linear, or of several that read the same.
struct InputMoments {
  std::int64_t inputs = 0;     ///< I
  std::int64_t positions = 0;  ///< that they are means over
  std::vector<double> second;  ///< mean of x x^T [I, I]
  std::vector<double> mean;    ///< [I]
};
/// By the names of the matrices that read them.
using MomentsOf = std::map<std::string, std::shared_ptr<const InputMoments>, std::less<>>;

/// A text cut into whole windows of T tokens, B to a chunk: no position is padding.
class CalibrationText {
 public:
  /// About `positions` of a text's tokens, in windows spread evenly over it; fewer where it has fewer. Errors:
  /// kInvalidArgument for a text shorter than one window.
  CalibrationText(const text::TokenFile& tokens, std::int64_t sequence, std::int64_t positions);

  std::int64_t batch() const { return batch_; }        ///< B
  std::int64_t sequence() const { return sequence_; }  ///< T
  std::size_t chunks() const { return chunks_.size(); }
  std::int64_t positions() const { return static_cast<std::int64_t>(chunks_.size()) * batch_ * sequence_; }
  const std::vector<std::uint32_t>& ids(std::size_t chunk) const { return chunks_.at(chunk); }  ///< [B, T]

 private:
  std::int64_t batch_ = 1, sequence_ = 1;
  std::vector<std::vector<std::uint32_t>> chunks_;
};

/// A model that is gone through layer by layer, all of a text before the next layer. Its weights may be changed on the
/// way: a layer sees what those before it make of the text by then. States lie on the host, 4 D bytes a position.
class Calibration {
 public:
  /// Called behind every chunk; false ends the work with the error kInterrupted.
  using GoOn = std::function<bool()>;

  /// A model in fp32, whose weights must be given before anything is gone through. Errors: kOutOfMemory.
  Calibration(vk::Device& device, const graph::Target& target, const models::LanguageModel& model,
              const CalibrationText& text, GoOn go_on = {});

  /// Its numbers, in the model's orientation. A parameter of the head alone is nothing to it, and passed over.
  void set(const graph::ParameterSpec& spec, std::span<const float> numbers);

  /// States are those in front of the first layer.
  void start();
  /// What the linears of a layer read, given the states in front of it.
  MomentsOf look(std::int64_t layer);
  /// States are those behind a layer that they were in front of.
  void advance(std::int64_t layer);
  /// What the head reads, given the states behind the last layer: h behind the last norm.
  std::shared_ptr<const InputMoments> look_at_hidden();

 private:
  /// A graph's sums over a chunk, of one input.
  struct Sums {
    std::vector<std::string> readers;
    graph::Value second = {}, sum = {};
    std::int64_t inputs = 0;
  };
  struct Stage {
    std::size_t look = 0, advance = 0;  ///< graphs
    std::vector<Sums> sums;
    graph::Value states;
  };
  static Sums sums_of(graph::Graph& graph, graph::Value x, std::vector<std::string> readers);
  static std::vector<Sums> sums_of_linears(graph::Graph& graph);
  Stage add_layer(graph::Workload& workload, std::int64_t layer) const;
  std::vector<std::shared_ptr<const InputMoments>> run(std::size_t graph, const std::vector<Sums>& sums);
  void check() const;

  const models::LanguageModel& model_;
  const CalibrationText& text_;
  GoOn go_on_;
  std::size_t first_ = 0;
  graph::Value first_states_;
  std::vector<Stage> layers_;
  std::size_t last_ = 0;
  std::vector<Sums> hidden_;
  std::optional<graph::Runtime> runtime_;
  std::vector<std::vector<float>> states_;  ///< by chunk [B T, D]
};

}  // namespace fabula::convert
