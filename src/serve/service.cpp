#include "serve/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/fail.hpp"
#include "serve/errors.hpp"

namespace fabula::serve {
namespace {

namespace fs = std::filesystem;

std::int64_t seconds_of(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

std::string name_of(const NamedFolder& source) {
  if (!source.name.empty()) return source.name;
  fs::path path = fs::absolute(source.folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

ServedModel load(const NamedFolder& source, const ServiceOptions& options, const tuning::OpenedDevice& device) {
  ServedModel model{.name = name_of(source), .path = source.folder};
  model.folder = std::make_unique<infer::ModelFolder>(source.folder, options.end_token,
                                                      infer::ModelStorage{.weights = options.weights});
  const infer::ModelFolder& folder = *model.folder;
  graph::Workload workload({device.device->profile(), device.choices});
  infer::SessionGraphs graphs = infer::add_session_graphs(
      workload, folder.model(),
      {.slots = options.slots, .context = options.context, .cache = options.cache, .score = true});
  std::vector<std::size_t> all;
  for (const auto& step : graphs.steps) all.push_back(step.index);
  for (const auto& prompt : graphs.prompts) all.push_back(prompt.index);
  if (graphs.score) all.push_back(graphs.score->prompt.index);
  model.runtime = std::make_unique<graph::Runtime>(*device.device, std::move(workload));
  folder.load_weights(*model.runtime);
  model.runtime->prepare(all);  // the first request is not to wait for compilers
  model.session =
      std::make_unique<infer::Session>(*model.runtime, std::move(graphs), folder.model(), folder.rows_without_token());
  model.created = seconds_of(folder.weights());
  return model;
}

}  // namespace

void throw_refusal(infer::Engine::Refusal refusal) {
  using Refusal = infer::Engine::Refusal;
  switch (refusal) {
    case Refusal::kNone:
      return;
    case Refusal::kQueueFull:
      throw RequestError(429, "too many requests are waiting; try again in a moment", {}, "queue_full");
    case Refusal::kStopping:
      throw RequestError(503, "the server is stopping; ask again when it is back", {}, "stopping");
    case Refusal::kDeviceLost:
      throw RequestError(503, "the device stopped answering; the server has to be started again", {}, "device_lost");
  }
}

Service::Service(const ServiceOptions& options)
    : options_(options), device_(tuning::open_tuned_device(options.device)) {
  if (options_.models.empty()) fail(ErrorCode::kInvalidArgument, "no model is named");
  std::vector<infer::EngineModel> engine_models;
  for (const NamedFolder& source : options_.models) {
    ServedModel model = load(source, options_, device_);
    const auto same = [&](const ServedModel& other) { return other.name == model.name; };
    if (std::any_of(models_.begin(), models_.end(), same))
      fail(ErrorCode::kInvalidArgument, "two models are called {}; give one another name: NAME=RUN", model.name);
    models_.push_back(std::move(model));
  }
  for (const ServedModel& model : models_) engine_models.push_back({model.session.get(), &model.folder->tokenizer()});
  device_.device->save_pipeline_cache();
  engine_ = std::make_unique<infer::Engine>(std::move(engine_models), infer::EngineOptions{.queue = options_.queue});
}

Service::~Service() = default;

std::size_t Service::find(std::string_view name) const {
  for (std::size_t i = 0; i < models_.size(); ++i)
    if (models_[i].name == name) return i;
  if (name.empty() || options_.any_model) return 0;
  throw RequestError(404, fmt::format("there is no model \"{}\"; /v1/models lists those there are", name), "model",
                     "model_not_found");
}

PromptIds Service::prompt_ids(std::size_t model, const Prompt& prompt) const {
  const infer::ModelFolder& folder = *models_.at(model).folder;
  const std::int64_t context = models_[model].session->context(), V = folder.model().head().vocabulary();
  const std::optional<std::uint32_t> start = folder.start_id();
  PromptIds result;
  const auto* text = std::get_if<std::string>(&prompt);
  result.ids = text != nullptr ? folder.tokenizer().encode(*text, {.added_tokens = true})
                               : std::get<std::vector<std::uint32_t>>(prompt);
  for (const std::uint32_t id : result.ids)
    if (id >= V)
      throw RequestError(400, fmt::format("the prompt has token id {}, the model has {} tokens", id, V), "prompt");
  // As in training, a text follows a start token; ids are taken as they are.
  const bool starts = start && (result.ids.empty() || (text != nullptr && result.ids.front() != *start));
  if (starts && static_cast<std::int64_t>(result.ids.size()) < context)
    result.ids.insert(result.ids.begin(), *start), result.before_text = 1;
  if (result.ids.empty())
    throw RequestError(400, "the prompt is empty, and the model has no token to start from", "prompt");
  if (static_cast<std::int64_t>(result.ids.size()) > context)
    throw RequestError(400,
                       fmt::format("the prompt has {} tokens, the model's context holds {}; shorten the prompt",
                                   result.ids.size(), context),
                       "prompt", "context_length_exceeded");
  return result;
}

std::shared_ptr<infer::Job> Service::submit(std::size_t model, std::vector<infer::TextRequest> texts) {
  infer::Engine::Submitted submitted = engine_->submit(model, std::move(texts));
  throw_refusal(submitted.refusal);
  return submitted.job;
}

std::vector<float> Service::distribution(std::size_t model, std::vector<std::uint32_t> ids, const HttpPeer& peer) {
  check_peer(peer);
  std::vector<float> log_probs;
  const auto job = submit(model, {{.ids = std::move(ids), .distribution = true}});
  follow(*job, peer, [&](infer::TextEvent& event) { log_probs = std::move(event.distribution); });
  return log_probs;
}

void check_peer(const HttpPeer& peer) {
  if (!peer.is_there()) throw RequestError(400, "the client is gone");
}

void follow(infer::Job& job, const HttpPeer& peer, const std::function<void(infer::TextEvent&)>& hand_on) {
  try {
    while (!job.is_over()) {
      std::vector<infer::TextEvent> came = job.take(kClientLook);
      std::for_each(came.begin(), came.end(), hand_on);
      check_peer(peer);
    }
  } catch (...) {
    job.cancel();
    throw;
  }
}

}  // namespace fabula::serve
