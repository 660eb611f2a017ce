#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "convert/first_level.hpp"
#include "formats/run_config.hpp"
#include "graph/target.hpp"
#include "infer/model_folder.hpp"
#include "text/token_file.hpp"
#include "vk/device.hpp"

namespace fabula::convert {

struct HeadOptions {
  std::filesystem::path out;
  bool overwrite = false;
  std::uint64_t seed = 1;  ///< of clusters, and of the positions that are looked at
  /// Positions of the text that the first level is fitted to; a quarter as many more say what it loses.
  std::int64_t positions = 8192;
};

/// What came of it. Nothing was tried where the new head is the old one in other words. What is tried is compared by
/// what the first level loses, in nats a token of a text that it was not fitted to.
struct ConvertedHead {
  std::string was, is;            ///< Head::describe
  std::vector<TriedScores> maps;  ///< ways to group tokens, with the best scores for each: by "rows", by "rows as read"
  std::size_t map = 0;            ///< which of them was taken
  std::vector<TriedScores> tried;  ///< ways to scores with that map
  std::size_t best = 0;            ///< which of them was taken
};

/// Can it be written there? Errors as OutputFolder; for whoever has much to do before.
void check_output(const infer::ModelFolder& from, const HeadOptions& options);

/// Writes the model again with the head that `config` has (config_with_head), as a model folder that appears whole or
/// not at all; the folder that it came from is only read. From full to fused and back nothing but the config changes. A
/// grouped head takes its tokens' rows, biases and shortlist from the full head, so that p(token | group) is what it
/// was: a class vector that a row gives up at the input is the same for all of a group and changes no softmax. Which
/// tokens share a group follows from the rows (map clustered: their directions, as they are or as hidden vectors read
/// them), and how likely a group is from one product with the
/// hidden vector, fitted to those of a text (fit_scores). An adaptive head takes the frequent tokens' rows, its
/// clusters' scores in the same way, and those of rare tokens through the projections that lose least of them
/// (narrow_rows). `text`, with its tokens' counts, is needed where the new head has a map, and the device too. Each
/// tensor keeps its type where all of them can, else all are fp32. Errors: as OutputFolder, ModelTensors::open and
/// group_masses; kInvalidArgument without a text.
ConvertedHead convert_head(const infer::ModelFolder& from, const RunConfig& config, const HeadOptions& options);
ConvertedHead convert_head(const infer::ModelFolder& from, const RunConfig& config, const HeadOptions& options,
                           vk::Device& device, const graph::Target& target, const text::TokenFile& text);

}  // namespace fabula::convert
