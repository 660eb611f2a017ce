#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "formats/model_source.hpp"
#include "text/tokenizer.hpp"

namespace fabula::text {

/// A token as the small files beside a vocabulary name it.
struct NamedToken {
  std::string content;
  std::optional<uint32_t> id;  ///< none: the vocabulary's
  bool special = true;
};

/// What the small files of a Hugging Face folder say about its tokens; nothing for what they do not say.
struct FolderTokens {
  std::string end_token;             ///< eos_token of tokenizer_config.json, else of special_tokens_map.json
  std::string end_token_file;        ///< which of them
  std::vector<uint32_t> end_ids;     ///< eos_token_id of config.json, then what generation_config.json adds
  std::optional<uint32_t> begin_id;  ///< bos_token_id of config.json, else of generation_config.json
  std::vector<NamedToken> named;     ///< every token that added_tokens.json and the two files name
  bool prefix_space = false;         ///< add_prefix_space of tokenizer_config.json
};

/// Reads those of a folder's files that there are. Throws kFormat naming the file for one that is not what it should
/// be.
FolderTokens read_folder_tokens(const ModelSource& source);
FolderTokens read_folder_tokens(const std::filesystem::path& folder);

/// Makes the token that the files name end documents: by its text, else by the first id that text never encodes to by
/// itself. Says in a note what the tokenizer does not have.
void settle_end_token(Tokenizer& tokenizer, const FolderTokens& tokens);

/// The first of the ids that can end a document and that no merge makes: such an id in a config may have come from
/// another vocabulary.
std::optional<uint32_t> first_end_id(const Tokenizer& tokenizer, const std::vector<uint32_t>& ids);

}  // namespace fabula::text
