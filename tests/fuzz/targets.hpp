#pragma once
#include <filesystem>
#include <string_view>

#include "fabula/error.hpp"

// What reads files that others have made, one target a kind of file. A target takes any bytes: reading them must return
// or throw Error, and what is written of what was read must be read again, to the same. Anything else ends the process.
// A target returns whether the bytes were such a file.
namespace fabula::fuzz {

using Target = bool (*)(std::string_view bytes);

bool config(std::string_view bytes);
bool llama2c_checkpoint(std::string_view bytes);
bool llama2c_vocabulary(std::string_view bytes);
bool request_body(std::string_view bytes);
bool run_state(std::string_view bytes);
bool safetensors(std::string_view bytes);
bool tiktoken_ranks(std::string_view bytes);
bool token_file(std::string_view bytes);
bool token_map(std::string_view bytes);
bool tokenizer_json(std::string_view bytes);
bool vocabulary(std::string_view bytes);

struct NamedTarget {
  const char* name;  ///< of its folder of corpora too
  Target run;
};
inline constexpr NamedTarget kTargets[] = {
    {"config", config},
    {"llama2c_checkpoint", llama2c_checkpoint},
    {"llama2c_vocabulary", llama2c_vocabulary},
    {"request_body", request_body},
    {"run_state", run_state},
    {"safetensors", safetensors},
    {"tiktoken_ranks", tiktoken_ranks},
    {"token_file", token_file},
    {"token_map", token_map},
    {"tokenizer_json", tokenizer_json},
    {"vocabulary", vocabulary},
};

/// Says what is wrong and ends the process.
[[noreturn]] void give_up(std::string_view what);
inline void require(bool ok, std::string_view what) {
  if (!ok) give_up(what);
}

/// False where it threw Error, as it may for what it was given; a bug in fabula is no excuse.
template <class Action>
bool takes(Action action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) give_up(error.what());
    return false;
  }
}

/// The file that holds these bytes until the next call; its name is one of this process.
std::filesystem::path file_with(std::string_view bytes, std::string_view name);

}  // namespace fabula::fuzz
