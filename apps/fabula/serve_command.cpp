#include "serve_command.hpp"

#include <chrono>
#include <thread>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "serve/page.hpp"
#include "serve/server.hpp"

namespace fabula::app {
namespace {

using std::chrono::milliseconds;

/// "NAME=RUN" or "RUN"; a folder whose path holds "=" is taken as it is.
serve::NamedFolder model_source(const std::string& text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string::npos || std::filesystem::exists(text)) return {{}, text};
  if (sign == 0) fail(ErrorCode::kInvalidArgument, "{}: NAME=RUN is expected", text);
  return {text.substr(0, sign), text.substr(sign + 1)};
}

std::string key_of(const ServeArgs& args) {
  if (args.api_key_file.empty()) return args.api_key;
  std::string key = read_file(args.api_key_file);
  key.erase(std::min(key.find_first_of("\r\n"), key.size()));
  if (key.empty()) fail(ErrorCode::kInvalidArgument, "{} holds no key in its first line", args.api_key_file);
  return key;
}

serve::ServiceOptions service_options(const ServeArgs& args) {
  serve::ServiceOptions options{.end_token = args.end_token,
                                .slots = args.slots,
                                .context = args.context,
                                .cache = cache_type(args.cache),
                                .weights = weights::parse_format(args.weights),
                                .queue = static_cast<std::size_t>(args.queue),
                                .any_model = !args.strict_model && serve::is_loopback(args.host),
                                .cap_max_tokens = args.cap_max_tokens,
                                .join_messages = args.chat == "join",
                                .device = args.device};
  for (const std::string& model : args.models) options.models.push_back(model_source(model));
  return options;
}

serve::ServerOptions server_options(const ServeArgs& args) {
  serve::ServerOptions options;
  options.http.host = args.host;
  options.http.port = args.port;
  options.http.most_body = static_cast<std::size_t>(args.max_body);
  // A thread a connection, for the whole of a stream: those at work, those that wait, and some that ask for less.
  const auto models = static_cast<std::int64_t>(args.models.size());
  options.http.threads = static_cast<std::size_t>(args.slots * models + args.queue + 8);
  options.access.key = key_of(args);
  options.access.origins = args.origins;
  options.grace = milliseconds(static_cast<std::int64_t>(1e3 * args.grace));
  return options;
}

std::string url(const std::string& host, int port) {
  return host.find(':') == std::string::npos ? fmt::format("http://{}:{}", host, port)
                                             : fmt::format("http://[{}]:{}", host, port);
}

}  // namespace

int serve(const ServeArgs& args) {
  const serve::ServerOptions options = server_options(args);
  if (options.access.key.empty() && !serve::is_loopback(args.host))
    warn("{} can be reached from other machines, and no key is asked for; see --api-key-file", args.host);
  StopSignals signals;
  serve::Server server(options, serve::page_routes());
  info("{}: loading", url(args.host, server.port()));
  server.serve(std::make_unique<serve::Service>(service_options(args)));
  for (const serve::ServedModel& model : server.service().models()) {
    warn_of_tokenizer(model.folder->tokenizer());
    info("{}: {}", model.name, models::describe(model.folder->model()));
  }
  info("ready at {}; {} slots, {} requests may wait", url(args.host, server.port()), args.slots, args.queue);
  while (!signals.requested()) std::this_thread::sleep_for(milliseconds(50));
  info("stopping: texts under way have {} s", args.grace);
  server.stop();
  return 0;
}

int bench_serve(const BenchServeArgs& args) {
  print("{}", table_text(bench::bench_serve(args.device, args.run, args.options), args.format));
  return 0;
}

}  // namespace fabula::app
