#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabula::study {

/// Whose trained embeddings a row's token map is made from.
struct MapSource {
  std::string row;
  std::optional<double> learning_rate;  ///< absent: the row's best one
};

/// A difference of the study's config, at every learning rate with every seed.
struct StudyRow {
  std::string name, group;
  std::vector<std::string> overrides;  ///< "key=value" as load_config takes them, the study's before its own
  std::vector<double> learning_rates;  ///< here and below empty: the config's own
  std::vector<std::int64_t> seeds;
  std::optional<MapSource> map_of;
  std::string time_of;  ///< the row that it trains as long as; empty: as many steps as the config says
};

/// A study as its file says it.
struct Study {
  std::filesystem::path file;
  std::string name;  ///< of the file, without its extension
  std::string title;
  std::filesystem::path config, train, valid, tokenizer;
  std::string reference;       ///< the row that others are compared with
  std::vector<StudyRow> rows;  ///< as in the file

  const StudyRow& row(std::string_view name_of_row) const;
};

/// Reads a study's file. `data`: the folder with the prepared data, whatever the file says of folders; may be empty.
/// Errors: kNotFound, kIo, kFormat; kInvalidArgument naming the file, the row and the key.
Study read_study(const std::filesystem::path& path, const std::filesystem::path& data = {});
/// The same from a text, as if it stood in that file.
Study parse_study(std::string_view json_text, const std::filesystem::path& path,
                  const std::filesystem::path& data = {});

/// The rows so that one stands behind those that it needs, else as in the file.
std::vector<const StudyRow*> run_order(const Study& study);

}  // namespace fabula::study
