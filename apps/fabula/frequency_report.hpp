#pragma once
#include <string>

#include "eval/frequency_table.hpp"

namespace fabula::app {

/// What `fabula eval --by-frequency` shows.
struct FrequencyReport {
  const eval::FrequencyTable& table;
  bool has_groups;                     ///< a two-level head
  std::string counted;                 ///< the text whose tokens were counted
  bool counted_itself;                 ///< it is the evaluated text
  std::size_t rows_without_token = 0;  ///< of the model
};

/// As one JSON object, or as text with tables.
std::string frequency_json(const FrequencyReport& report);
std::string frequency_text(const FrequencyReport& report);

}  // namespace fabula::app
