#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/run_config.hpp"
#include "study/study_file.hpp"
#include "text/token_file.hpp"
#include "text/tokenizer.hpp"

namespace fabula::study {

/// What all rows read.
struct StudyData {
  /// Opens the study's files. Errors: those of the files; kInvalidArgument for a text where tokens are expected.
  explicit StudyData(const Study& study);

  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<text::TokenFile> train, valid;
  std::vector<std::uint64_t> counts;  ///< [V] of the training tokens
  std::string checksums;              ///< of both token files
};

/// A row at one learning rate with one seed: an ordinary run.
struct Cell {
  const StudyRow* row = nullptr;
  double learning_rate = 0;
  std::int64_t seed = 0;
  std::string name;                    ///< of its files: "fused_lr0.006_seed1"
  std::vector<std::string> overrides;  ///< of the study's config, but for what is found while the study runs
  RunConfig config;                    ///< likewise
  std::vector<std::string> needs;      ///< names of cells that must be finished before
  std::string digest;                  ///< of all that its result follows from, kernels apart
};

std::string cell_name(const StudyRow& row, double learning_rate, std::int64_t seed);

/// All cells in the order that they run in. Every config is checked, and that its windows fit the data. Errors name the
/// study's file and the row.
std::vector<Cell> plan_cells(const Study& study, const StudyData& data);

/// The cells of these rows and all that they need, in order; no name: all. Error kInvalidArgument for a name that no
/// row has.
std::vector<const Cell*> select_cells(const Study& study, std::span<const Cell> cells,
                                      std::span<const std::string> rows);

}  // namespace fabula::study
