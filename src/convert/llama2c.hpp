#pragma once
#include <filesystem>

#include "formats/llama2c_file.hpp"

namespace fabula::convert {

/// A llama2.c checkpoint as a Hugging Face Llama folder: config.json, generation_config.json, model.safetensors,
/// tokenizer.json, tokenizer_config.json. The rows of queries and keys change places, so that both halves of a head are
/// turned against each other rather than neighbours. `tokenizer`: llama2.c's tokenizer.bin, or what load_tokenizer
/// reads. The folder appears whole or not at all. Errors: those of Llama2cFile and load_tokenizer; kInvalidArgument for
/// a tokenizer of another size and for a folder that holds anything.
Llama2cFile::Sizes import_llama2c(const std::filesystem::path& checkpoint, const std::filesystem::path& tokenizer,
                                  const std::filesystem::path& out);

}  // namespace fabula::convert
