#include "base/terminal.hpp"
#include "commands.hpp"
#include "formats/model_tensors.hpp"
#include "formats/table.hpp"

namespace fabula::app {

int bench_decode(const BenchDecodeArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  bench::DecodeBenchOptions options = args.options;
  options.cache = cache_type(args.cache);
  if (!args.weights.empty()) options.weights.clear();
  for (const std::string& name : args.weights) options.weights.push_back(weights::parse_format(name));
  const bool as_it_is = args.overrides.empty() && options.vocabularies.empty();
  if (as_it_is && !any_weights_in(args.config).empty()) options.saved = args.config;
  const Table table = args.profile ? bench::profile_decode(args.device, config, options, args.by == "op")
                                   : bench::bench_decode(args.device, config, options);
  print("{}", table_text(table, args.json ? "json" : args.format));
  return 0;
}

}  // namespace fabula::app
