#include <chrono>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/perplexity.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "convert/compress.hpp"
#include "convert/compress_report.hpp"
#include "convert/partial_compression.hpp"
#include "evaluation_text.hpp"
#include "json_output.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double perplexity_in(const std::string& path, const CompressArgs& args, const tuning::OpenedDevice& tuned) {
  const infer::ModelFolder folder(path, args.end_token, {.weights = weights::Format::kStored});
  return perplexity_of(folder, args.valid, args.reading, tuned);
}

convert::CompressOptions options_of(const CompressArgs& args) {
  convert::CompressOptions options{.out = args.out,
                                   .bits = args.bits,
                                   .table_bits = args.table_bits == 0 ? args.bits : args.table_bits,
                                   .offsets = args.offsets,
                                   .positions = args.positions,
                                   .overwrite = args.overwrite};
  const auto name = std::find(convert::kCompressMethodNames.begin(), convert::kCompressMethodNames.end(), args.method);
  options.method = static_cast<convert::CompressMethod>(name - convert::kCompressMethodNames.begin());
  return options;
}

/// The same command, as a shell takes it: it goes on where this one ended.
std::string command_again(const CompressArgs& args) {
  std::string text = fmt::format("fabula compress {} --method {} --bits {} --data {} --out {}", quoted(args.run),
                                 args.method, args.bits, quoted(args.data), quoted(args.out));
  if (args.table_bits != 0) text += fmt::format(" --table-bits {}", args.table_bits);
  if (args.offsets) text += " --offsets";
  if (args.positions != CompressArgs().positions) text += fmt::format(" --positions {}", args.positions);
  if (!args.valid.empty()) text += " --valid " + quoted(args.valid);
  if (!args.end_token.empty()) text += " --end-token " + quoted(args.end_token);
  if (args.reading.bytes) text += " --bytes";
  if (args.reading.keep_line_ends) text += " --keep-line-ends";
  if (args.overwrite) text += " --overwrite";
  return text + device_flags(args.device);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return whole < 60 ? fmt::format("{} s", whole) : fmt::format("{} min {} s", whole / 60, whole % 60);
}

/// What is at hand and how long the rest will take, on a terminal; a line a matrix everywhere.
class Progress {
 public:
  convert::CompressProgress hooks(const StopSignals& signals) {
    return {.go_on =
                [this, &signals](const std::string& what, double done) {
                  show(what, done);
                  return !signals.requested();
                },
            .finished =
                [](const convert::CompressedMatrix& matrix) {
                  if (matrix.bits > 0)
                    log_info(fmt::format("{}: {:.3f} real bits, error {:.3g} % of its outputs", matrix.name,
                                         matrix.real_bits(), 100 * matrix.error));
                }};
  }

 private:
  void show(const std::string& what, double done) {
    if (first_ < 0) first_ = done;
    if (!progress_redraws()) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count(), part = done - first_;
    const std::string left =
        part > 0.01 ? fmt::format(", {} left", duration_text(seconds / part * (1 - done))) : std::string();
    log_progress(fmt::format("{}: {:.0f} % of all{}", what, 100 * done, left));
  }

  Clock::time_point start_ = Clock::now();
  double first_ = -1;
};

/// Says how to go on with what is done.
[[noreturn]] void fail_with_command(const Error& error, const CompressArgs& args) {
  fail(error.code(), "{}\n{} is as it was, and {} keeps what is done; when there is room again, go on with:\n  {}",
       error.what(), args.run, convert::partial_folder(args.out).string(), command_again(args));
}

Json result_json(const convert::CompressResult& result, const std::optional<convert::CompressCost>& cost) {
  Json json{{"parameters", result.parameters}, {"bytes_before", result.bytes_before}, {"bytes", result.bytes},
            {"real_bits", result.real_bits()}, {"positions", result.positions},       {"resumed", result.resumed}};
  Json matrices = Json::array();
  for (const convert::CompressedMatrix& matrix : result.matrices) {
    Json one{{"name", matrix.name},
             {"bits", matrix.bits},
             {"bytes", matrix.bytes},
             {"real_bits", matrix.real_bits()},
             {"error", number(matrix.error)}};
    if (!matrix.why_kept.empty()) one["kept"] = matrix.why_kept;
    matrices.push_back(std::move(one));
  }
  json["matrices"] = std::move(matrices);
  if (cost) json["perplexity_before"] = number(cost->before), json["perplexity"] = number(cost->after);
  return json;
}

}  // namespace

int compress(const CompressArgs& args) {
  const infer::ModelFolder folder(args.run, args.end_token);
  const EvaluationText data(args.data, folder, args.reading);
  const convert::CompressOptions options = options_of(args);
  const tuning::OpenedDevice tuned = tuning::open_tuned_device(args.device);
  convert::CompressResult result;
  try {
    const StopSignals signals;
    Progress progress;
    result = convert::compress_model(folder, options, *tuned.device, {tuned.device->profile(), tuned.choices},
                                     data.file(), progress.hooks(signals));
    log_progress({});
  } catch (const Error& error) {
    log_progress({});
    if (error.code() == ErrorCode::kIo) fail_with_command(error, args);
    if (error.code() != ErrorCode::kInterrupted) throw;
    info("stopped; {} keeps what is done. Go on with:\n  {}", convert::partial_folder(args.out).string(),
         command_again(args));
    return 130;
  }
  if (result.resumed > 0) info("{} matrices were done by an earlier start", result.resumed);
  std::optional<convert::CompressCost> cost;
  if (!args.valid.empty()) cost = {perplexity_in(args.run, args, tuned), perplexity_in(args.out, args, tuned)};
  const std::string how = fmt::format("{}, {} bits, table {} bits{}, over {} positions of {}", args.method,
                                      options.bits, options.table_bits, args.offsets ? ", with offsets" : "",
                                      result.positions, fs::path(args.data).filename().string());
  write_file_atomically(fs::path(args.out) / convert::kCompressionPage,
                        convert::compress_page(fs::path(args.out).filename().string(), how, result, cost));
  if (args.json) {
    print("{}\n", dump(result_json(result, cost)));
    return 0;
  }
  print("{}", table_text(convert::compress_table(result), args.format));
  if (cost)
    print("perplexity before        {}\nperplexity, compressed   {}\n", perplexity_text(cost->before, 4),
          perplexity_text(cost->after, 4));
  return 0;
}

}  // namespace fabula::app
