#pragma once
#include <optional>
#include <string>

#include "infer/model_folder.hpp"
#include "text/token_file.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {

/// A text as a model reads it: a token file as it is; a text as a token file made in a temporary folder, which is gone
/// once the file is mapped: no end of the program leaves it behind.
class EvaluationText {
 public:
  /// Throws kInvalidArgument for tokens that the model does not have.
  EvaluationText(const std::string& path, const infer::ModelFolder& folder, const text::TextOptions& options);
  const text::TokenFile& file() const { return *file_; }

 private:
  std::optional<text::TokenFile> file_;
};

/// A model's perplexity on the text of `path`, as `fabula eval` says it.
double perplexity_of(const infer::ModelFolder& folder, const std::string& path, const text::TextOptions& options,
                     const tuning::OpenedDevice& tuned);

}  // namespace fabula::app
