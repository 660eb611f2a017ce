#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fabula/error.hpp"
#include "formats/model_config.hpp"

namespace fabula {

/// The objects within a config.
inline constexpr std::string_view kConfigSections[] = {"head", "train"};

/// Where a config's keys come from, for messages.
struct ConfigOrigin {
  std::string source;
  std::map<std::string, std::string> overrides;  ///< dotted key -> the text of --set
  bool foreign = false;  ///< the file says that it is another program's, and has no section of fabula's

  /// What a message about a key begins with: the file, or the override.
  std::string start(const std::string& path) const;
  /// The same with the key.
  std::string where(const std::string& path) const { return start(path) + ": " + path; }
};

struct ConfigProblem {
  ErrorCode code;
  std::string message;
};
/// Throws one error that says all of them, with the first one's code; returns where there is none.
void fail_for(const std::vector<ConfigProblem>& problems, std::string_view source);

/// What is to be said of keys that fabula has not.
struct UnknownKeys {
  std::vector<ConfigProblem> problems;
  std::vector<std::string> passed_over;  ///< they change nothing, but are not what Hugging Face writes today
};
UnknownKeys judge_unknown_keys(const nlohmann::json& root, ModelFamily family, const ConfigOrigin& origin);

}  // namespace fabula
