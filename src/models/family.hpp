#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_config.hpp"
#include "graph/parameters.hpp"
#include "heads/head.hpp"

// A family of bodies is one constant in one file: what its parameters are called, what a block computes, how positions
// enter, what stands behind the last block. Everything else asks that constant.
namespace fabula::models {

struct BodyCall;
struct BlockCall;

/// Declares the parameters of a body, or of one of its blocks: names are relative to the body's, or the block's.
class SpecList {
 public:
  SpecList(const ModelConfig& model, graph::ParameterSet& into) : config(model), into_(into) {}

  const ModelConfig& config;
  std::string prefix = {};

  /// A parameter of any kind; its name is a relative one.
  void add(graph::ParameterSpec spec);
  /// [1, n], [n] in files.
  void vector(std::string_view name, std::int64_t n, graph::Init init);
  /// A matrix of a linear layer, whose fresh values have the standard deviation config.initializer_range times `scale`.
  /// [outputs, inputs].
  void linear(std::string_view name, std::int64_t rows, std::int64_t cols, double scale = 1);
  /// The same as [inputs, outputs].
  void conv1d(std::string_view name, std::int64_t rows, std::int64_t cols, double scale = 1);
  /// A table with a row a token or a position.
  void table(std::string_view name, std::int64_t rows, graph::RowsOf of);
  /// weight and bias [D].
  void layer_norm(std::string_view name);
  /// weight [D].
  void rms_norm(std::string_view name);
  /// What a projection onto the residual stream is scaled by, so that its variance does not grow with depth.
  double residual_scale() const { return 1 / std::sqrt(2.0 * static_cast<double>(config.layers)); }

 private:
  graph::ParameterSet& into_;
};

enum class NormKind : std::uint8_t {
  kLayer,  ///< by mean and variance; weight and bias
  kRms,    ///< by the mean square; weight alone
};

struct Family {
  std::string_view name;
  /// What the body's tensors begin with in files of a whole model; files of a body alone may leave it out.
  std::string_view prefix;
  std::string_view token_embedding;  ///< [V, D]; a tied head shares it
  /// A table [positions, D] of which rows of the token embedding are added that of their position; empty: none.
  std::string_view position_table = {};
  std::string_view blocks;  ///< block i's tensors begin with prefix, this, "i."
  /// Under which name files may hold the token embedding once more: the matrix of a full head that is tied to it.
  std::string_view head_matrix = "lm_head.weight";
  /// ExpectedTensors::buffers.
  std::vector<std::string_view> buffers = {};
  NormKind norm = NormKind::kLayer;     ///< of its blocks and behind them
  std::string_view final_norm;          ///< behind the blocks
  void (*first_parameters)(SpecList&);  ///< before the blocks, the token embedding first
  void (*block_parameters)(SpecList&);
  void (*last_parameters)(SpecList&);
  graph::Value (*block)(const BlockCall&, graph::Value x);
  /// What its graphs read that never changes; null: nothing.
  std::vector<heads::NamedWords> (*constants)(const ModelConfig&) = nullptr;
};

// gpt2.cpp, gpt_neo.cpp, llama.cpp
extern const Family kGpt2, kGptNeo, kLlama;

const Family& family_of(ModelFamily family);

}  // namespace fabula::models
