#include "base/atomic_file.hpp"
#include "base/terminal.hpp"
#include "bench/machine.hpp"
#include "bench/predict_bench.hpp"
#include "bench/speed_bench.hpp"
#include "commands.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {

int bench_roof(const BenchRoofArgs& args) {
  const auto [device, choices] = tuning::open_tuned_device(args.device);
  const tuning::DeviceSpeed speed = bench::measure_speed(*device, choices, args.quick);
  if (!args.save.empty()) write_file_atomically(args.save, tuning::device_speed_json(speed));
  Table table = bench::speed_table(speed);
  table.notes = bench::machine_notes(*device, choices);
  print("{}", table_text(table, args.format));
  device->save_pipeline_cache();
  return 0;
}

int bench_predict(const BenchPredictArgs& args) {
  const RunConfig config = load_with_vocabulary(args.config, args.overrides);
  bench::PredictBenchOptions options{.speed = {}, .steps = args.steps, .context = args.context};
  if (!args.device_profile.empty()) options.speed = tuning::find_device_speed(args.device_profile);
  print("{}", table_text(bench::bench_predict(args.device, config, options), args.format));
  return 0;
}

}  // namespace fabula::app
