#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/atomic_file.hpp"
#include "formats/config_io.hpp"
#include "formats/safetensors.hpp"
#include "models/weights.hpp"
#include "serve/http_client.hpp"
#include "serve/server.hpp"
#include "temp_dir.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"

// A server with a small model of random weights, whose tokens are bytes.
namespace fabula::serve {

using nlohmann::json;

/// A grouped head over 256 bytes and <|endoftext|>.
inline void write_small_model(const std::filesystem::path& folder, std::uint64_t seed) {
  vk::DeviceOptions options;
  options.cache_dir = "none";
  const auto device = vk::Device::open(options);
  RunConfig config = default_config(ModelFamily::kGpt2);
  config.model.vocab_size = 257;
  config.model.n_positions = 2048;
  config.model.hidden = 16;
  config.model.layers = 1;
  config.model.heads = 2;
  const models::LanguageModel model(config.model);
  graph::Workload workload(device->profile());
  infer::add_session_graphs(workload, model, {});
  graph::Runtime runtime(*device, std::move(workload));
  models::initialise_weights(runtime, model, seed);
  write_file_atomically(folder / "config.json", config_json(config));
  const std::string_view documents[] = {"abc"};
  text::write_tokenizer_json(text::train_bpe(documents, {.vocab_size = 257}), folder / "tokenizer.json");
  write_safetensors(folder / "model.safetensors", models::tensors_to_save(runtime, model.parameters()),
                    {{"format", "pt"}});
}

/// Two models; three slots each and two requests that may wait, where nothing else is said.
class SmallServer {
 public:
  struct Options {
    std::chrono::milliseconds grace{200};
    std::chrono::milliseconds write{30000};
    std::int64_t slots = 3;
    std::size_t queue = 2;
  };
  SmallServer() : SmallServer(Options()) {}
  explicit SmallServer(const Options& small) {
    static const test::TempDir& first = model_folder(1);
    static const test::TempDir& second = model_folder(2);
    ServerOptions options;
    options.http.threads = 80;
    options.http.read = std::chrono::milliseconds(500);
    options.http.write = small.write;
    options.grace = small.grace;
    server_.emplace(options);
    ServiceOptions service{
        .models = {{"one", first.path()}, {"two", second.path()}}, .slots = small.slots, .queue = small.queue};
    service.any_model = false;
    service.device.cache_dir = "none";
    while_loading = ask(port(), "GET", "/health").status;
    server_->serve(std::make_unique<Service>(service));
  }

  int port() const { return server_->port(); }
  Server& server() { return *server_; }
  infer::EngineCounts counts() { return server_->service().engine().counts(); }
  int while_loading = 0;

  /// Whether something comes true within some time.
  template <class Condition>
  static bool comes_true(Condition condition) {
    for (int i = 0; i < 3000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
      if (condition()) return true;
    return false;
  }
  /// Whether nobody is connected within some time, and no text is written or waits.
  bool falls_idle() {
    return comes_true([this] {
      return metric("connections") == 1 && counts().running == 0 && counts().waiting == 0;  // one asks this
    });
  }
  /// A number of /metrics.
  std::uint64_t metric(const std::string& name) const {
    const std::string text = ask(port(), "GET", "/metrics").body;
    const std::size_t at = text.find("\nfabula_" + name + " ");
    return at == std::string::npos ? UINT64_MAX : std::stoull(text.substr(at + name.size() + 9));
  }
  /// The answer to a request once it is another than 429: connections that were closed may still be read, and ask.
  int status_when_free(const std::string& path, const json& body) const {
    int status = 0;
    comes_true([&] { return (status = ask(port(), "POST", path, body.dump()).status) != 429; });
    return status;
  }

 private:
  static const test::TempDir& model_folder(std::uint64_t seed) {
    static std::vector<std::unique_ptr<test::TempDir>> folders;
    folders.push_back(std::make_unique<test::TempDir>());
    write_small_model(folders.back()->path(), seed);
    return *folders.back();
  }

  std::optional<Server> server_;
};

/// A request for a stream that goes on for long.
inline std::string long_stream(const std::string& more = "") {
  return request_bytes(
      "POST", "/v1/completions",
      R"({"model":"one","prompt":"a","max_tokens":2000,"stream":true,"logit_bias":{"256":-100})" + more + "}");
}

}  // namespace fabula::serve
