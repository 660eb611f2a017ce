#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/engine.hpp"
#include "infer/model_folder.hpp"
#include "serve/http.hpp"
#include "serve/request.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::serve {

inline constexpr std::chrono::milliseconds kClientLook(20);  ///< how often a client that waits is looked at

struct NamedFolder {
  std::string name;  ///< what clients call it; empty: the folder's name
  std::filesystem::path folder;
};

struct ServiceOptions {
  std::vector<NamedFolder> models = {};
  std::string end_token = {};  ///< as of infer::ModelFolder
  std::int64_t slots = 8;      ///< texts that each model writes side by side
  std::int64_t context = 0;    ///< 0: the model's
  graph::DType cache = graph::DType::kF32;
  weights::Format weights = weights::Format::kStored;
  std::size_t queue = 64;       ///< requests that may wait
  bool any_model = true;        ///< a name that no model has means the first
  bool cap_max_tokens = false;  ///< more than the context has room for is not an error
  bool join_messages = true;    ///< a chat's messages are joined to a text; else chats are refused
  vk::DeviceOptions device = {};
};

/// A model that is served.
struct ServedModel {
  std::string name;
  std::filesystem::path path;
  std::unique_ptr<infer::ModelFolder> folder = {};
  std::unique_ptr<graph::Runtime> runtime = {};
  std::unique_ptr<infer::Session> session = {};
  std::int64_t created = 0;  ///< seconds since 1970: when its weights were written
};

/// A prompt as a model reads it.
struct PromptIds {
  std::vector<std::uint32_t> ids;
  std::size_t before_text = 0;  ///< leading ids that are no part of the prompt's text
};

/// Models on a device, and the engine that writes with them.
class Service {
 public:
  /// Loads everything. Throws as ModelFolder and Runtime; kInvalidArgument for names that are there twice.
  explicit Service(const ServiceOptions& options);
  ~Service();

  const ServiceOptions& options() const { return options_; }
  const std::vector<ServedModel>& models() const { return models_; }
  const tuning::OpenedDevice& device() const { return device_; }
  infer::Engine& engine() { return *engine_; }
  const infer::Engine& engine() const { return *engine_; }

  /// The number of the model that a request names. Throws RequestError 404 model_not_found.
  std::size_t find(std::string_view name) const;
  /// Throws RequestError 400 for a token that the model does not have, or more of them than its context holds.
  PromptIds prompt_ids(std::size_t model, const Prompt& prompt) const;
  /// log p [V] of what comes behind some tokens, while the peer is there. Throws RequestError 429, 503.
  std::vector<float> distribution(std::size_t model, std::vector<std::uint32_t> ids, const HttpPeer& peer);
  /// Engine::submit; a refusal is a RequestError 429 or 503.
  std::shared_ptr<infer::Job> submit(std::size_t model, std::vector<infer::TextRequest> texts);

 private:
  ServiceOptions options_;
  tuning::OpenedDevice device_;
  std::vector<ServedModel> models_;
  std::unique_ptr<infer::Engine> engine_;
};

/// Throws the RequestError that a refusal is; nothing for kNone.
void throw_refusal(infer::Engine::Refusal refusal);

/// Throws a RequestError, which nobody reads, once the client is gone.
void check_peer(const HttpPeer& peer);

/// Hands on each event of a job until it is over. A client that goes, and whatever is thrown, cancel it.
void follow(infer::Job& job, const HttpPeer& peer, const std::function<void(infer::TextEvent&)>& hand_on);

}  // namespace fabula::serve
