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

/// Two models, three slots each; two requests may wait.
class SmallServer {
 public:
  explicit SmallServer(std::chrono::milliseconds grace = std::chrono::milliseconds(200)) {
    static const test::TempDir& first = model_folder(1);
    static const test::TempDir& second = model_folder(2);
    ServerOptions options;
    options.http.threads = 80;
    options.http.read = std::chrono::milliseconds(500);
    options.grace = grace;
    server_.emplace(options);
    ServiceOptions service{.models = {{"one", first.path()}, {"two", second.path()}}, .slots = 3, .queue = 2};
    service.any_model = false;
    service.device.cache_dir = "none";
    while_loading = ask(port(), "GET", "/health").status;
    server_->serve(std::make_unique<Service>(service));
  }

  int port() const { return server_->port(); }
  Server& server() { return *server_; }
  infer::EngineCounts counts() { return server_->service().engine().counts(); }
  int while_loading = 0;

  /// Whether no text is written or waits within some time.
  bool falls_idle() {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
      if (counts().running == 0 && counts().waiting == 0) return true;
    return false;
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

}  // namespace fabula::serve
