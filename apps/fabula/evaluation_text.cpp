#include "evaluation_text.hpp"

#include <vector>

#include "base/log.hpp"
#include "base/temporary_folder.hpp"

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

}  // namespace fabula::app
