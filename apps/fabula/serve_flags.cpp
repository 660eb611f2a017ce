#include "all_commands.hpp"
#include "common_flags.hpp"

namespace fabula::app {
namespace {

void add_serve_flags(CLI::App* sub, ServeArgs& args) {
  sub->add_option("models", args.models,
                  "run folders or Hugging Face folders, as RUN or NAME=RUN; the first answers where none is named")
      ->required();
  sub->add_option("--host", args.host, "address to listen on; 0.0.0.0: all of the machine's")->capture_default_str();
  sub->add_option("--port", args.port, "port to listen on; 0: one that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  sub->add_option("--slots", args.slots, "texts that a model writes side by side")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  sub->add_option("--context", args.context, "positions that are kept of a text; 0: as many as the model has")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  sub->add_option("--queue", args.queue, "requests that may wait for a slot; more are answered with 429")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  CLI::Option* key = sub->add_option("--api-key", args.api_key, "key that requests must bring (Authorization: Bearer)");
  sub->add_option("--api-key-file", args.api_key_file, "file whose first line is the key, which others cannot see then")
      ->excludes(key);
  sub->add_option(
         "--cors-origin", args.origins,
         "a page's origin that may ask, as https://host:port, or \"*\"; may be repeated; loopback's may always")
      ->allow_extra_args(false);
  sub->add_option("--max-body", args.max_body, "bytes of a request's body: 1048576, 4MiB")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(1 << 10, 64 << 20))
      ->capture_default_str();
  sub->add_option("--grace", args.grace, "seconds that texts under way have when the server is told to stop")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  sub->add_option("--chat", args.chat, "what a chat is for a model without a chat format: join (its texts), or refuse")
      ->check(CLI::IsMember({"join", "refuse"}))
      ->capture_default_str();
  sub->add_flag("--strict-model", args.strict_model,
                "refuse names of models that are not served; otherwise the first one answers, on loopback");
  sub->add_flag(
      "--cap-max-tokens", args.cap_max_tokens,
      "write as many tokens as the context has room for, where more are asked for; otherwise that is an error");
}

}  // namespace

void declare_serve_command(CommandLine& line, AllArgs& all) {
  ServeArgs& args = all.serve;
  CLI::App* sub = line.command(line.app(), "serve", "answer clients of OpenAI's API over HTTP, and show a page", args,
                               serve, kDecodingMemory);
  add_serve_flags(sub, args);
  add_end_token_flag(sub, args.end_token);
  add_weights_flag(sub, args.weights);
  add_cache_flag(sub, args.cache);
  add_work_device_flags(sub, args.device);
}

}  // namespace fabula::app
