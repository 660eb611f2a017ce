#include "base/byte_size.hpp"
#include "base/log.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "convert/convert.hpp"
#include "json_output.hpp"
#include "weight_type.hpp"

namespace fabula::app {
namespace {

/// " (12.3 MiB)" of a file; of a folder nothing.
std::string size_of(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path) ? fmt::format(" ({})", size_text(std::filesystem::file_size(path)))
                                                : "";
}

}  // namespace

int export_model(const ExportArgs& args) {
  const auto* const format = std::find(std::begin(convert::kFormatNames), std::end(convert::kFormatNames), args.format);
  const auto written =
      convert::export_model({.run = args.run,
                             .format = static_cast<convert::Format>(format - std::begin(convert::kFormatNames)),
                             .out = args.out,
                             .type = weight_type(args.dtype),
                             .overwrite = args.overwrite});
  Json files = Json::array();
  for (const std::filesystem::path& path : written) {
    files.push_back(path.string());
    if (!args.json) info("{} is written{}", path.string(), size_of(path));
  }
  if (args.json) print("{}\n", dump({{"format", args.format}, {"written", files}}));
  return 0;
}

}  // namespace fabula::app
