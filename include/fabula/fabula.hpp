#ifndef FABULA_FABULA_HPP
#define FABULA_FABULA_HPP
#include <fabula/fabula.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// The C interface for C++17, in this header alone. What the functions do is said in fabula.h; here handles close
// themselves, results are returned, and what fails is thrown. A callback takes its argument by reference and returns
// whether it wants to hear more, or nothing; an exception that leaves it ends the call and goes on from there.
namespace fabula {

/// What every function here throws: the status, and in what() the library's message.
class ApiError : public std::runtime_error {
 public:
  ApiError(fabula_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  fabula_status status() const noexcept { return status_; }

 private:
  fabula_status status_;
};

namespace detail {

inline void check(fabula_status status) {
  if (status != FABULA_OK) throw ApiError(status, fabula_last_message());
}

inline const char* text_or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

inline std::string owned(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

/// Closes a handle; what it is closed for is over, so nothing is thrown.
struct Closer {
  void operator()(fabula_device* device) const noexcept { fabula_device_close(device); }
  void operator()(fabula_model* model) const noexcept { fabula_model_close(model); }
  void operator()(fabula_session* session) const noexcept { fabula_session_close(session); }
};
template <class T>
using Handle = std::unique_ptr<T, Closer>;

/// A callback of C that calls `function` and keeps what it throws until the call is over.
template <class Given, class Function>
class Callback {
 public:
  explicit Callback(Function& function) : function_(function) {}

  static int call(void* user, const Given* given) noexcept {
    auto& self = *static_cast<Callback*>(user);
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<Function&, const Given&>>) {
        self.function_(*given);
        return 0;
      } else {
        return self.function_(*given) ? 0 : 1;
      }
    } catch (...) {
      self.thrown_ = std::current_exception();
      return 1;
    }
  }
  void check(fabula_status status) const {
    if (thrown_) std::rethrow_exception(thrown_);
    detail::check(status);
  }

 private:
  Function& function_;
  std::exception_ptr thrown_;
};

}  // namespace detail

/// Throws ApiError where the library does not serve this header. Devices and models check it as they are opened.
inline void check_version() {
  detail::check(fabula_check_version(FABULA_VERSION));
}
inline std::string version() {
  return fabula_version_text();
}

using LogFunction = std::function<void(fabula_log_level level, std::string_view message)>;

/// Who gets the library's messages, for the whole process; an empty one: nobody. Not from two threads at once. What the
/// function throws is lost.
inline void set_log(LogFunction function) {
  static LogFunction& current = *new LogFunction;   // threads may have something to say while the program ends
  detail::check(fabula_set_log(nullptr, nullptr));  // nobody calls it from here on
  current = std::move(function);
  if (!current) return;
  const fabula_log_callback call = [](void* user, fabula_log_level level, const char* message) {
    try {
      (*static_cast<LogFunction*>(user))(level, message);
    } catch (...) {
    }
  };
  detail::check(fabula_set_log(call, &current));
}

/// fabula_device_info.
struct DeviceInfo {
  std::string name, driver, api_version;
  std::string why_not;  ///< empty: it can be used
  std::uint64_t memory = 0;
  std::uint32_t index = 0;
  fabula_device_class device_class = FABULA_DEVICE_OTHER;

  DeviceInfo() = default;
  explicit DeviceInfo(const fabula_device_info& info)
      : name(detail::owned(info.name)),
        driver(detail::owned(info.driver)),
        api_version(detail::owned(info.api_version)),
        why_not(detail::owned(info.why_not)),
        memory(info.memory),
        index(info.index),
        device_class(info.device_class) {}
};

/// The machine's devices, the best first.
inline std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices;
  const auto add = [&](const fabula_device_info& info) { devices.emplace_back(info); };
  detail::Callback<fabula_device_info, decltype(add)> callback(add);
  callback.check(fabula_list_devices(&callback.call, &callback));
  return devices;
}

/// fabula_device_options.
struct DeviceOptions {
  std::string device;     ///< index or part of the name; empty: the best
  std::string cache_dir;  ///< empty: the user's cache folder
  std::uint64_t memory = 0;
  double wait_limit = 0;
  bool self_test = true;
};

/// fabula_check_options.
struct CheckOptions {
  std::string filter;  ///< empty: all
  std::int32_t repeats = 0;
  bool large = false;
};

struct CheckCounts {
  std::uint64_t checks = 0, misses = 0;
};

/// An open device.
class Device {
 public:
  explicit Device(const DeviceOptions& options = {}) {
    check_version();
    fabula_device_options given = fabula_device_options_default();
    given.device = detail::text_or_null(options.device);
    given.cache_dir = detail::text_or_null(options.cache_dir);
    given.memory = options.memory;
    given.wait_limit = options.wait_limit;
    given.no_self_test = options.self_test ? 0 : 1;
    fabula_device* opened = nullptr;
    detail::check(fabula_device_open(&given, &opened));
    handle_.reset(opened);
  }

  DeviceInfo info() const {
    fabula_device_info info{};
    info.size = sizeof info;
    detail::check(fabula_device_describe(get(), &info));
    return DeviceInfo(info);
  }

  /// `told` is called with each const fabula_check_result&.
  template <class Function>
  CheckCounts check(const CheckOptions& options, Function&& told) const {
    fabula_check_options given = fabula_check_options_default();
    given.filter = detail::text_or_null(options.filter);
    given.repeats = options.repeats;
    given.large = options.large ? 1 : 0;
    CheckCounts counts;
    detail::Callback<fabula_check_result, std::remove_reference_t<Function>> callback(told);
    callback.check(fabula_device_check(get(), &given, &callback.call, &callback, &counts.checks, &counts.misses));
    return counts;
  }
  CheckCounts check(const CheckOptions& options = {}) const {
    return check(options, [](const fabula_check_result&) {});
  }

  fabula_device* get() const noexcept { return handle_.get(); }  ///< null where it was moved from

 private:
  detail::Handle<fabula_device> handle_;
};

/// fabula_model_options.
struct ModelOptions {
  std::string weights;    ///< empty: "fp32"
  std::string end_token;  ///< empty: as the files say
};

/// fabula_memory_file.
struct MemoryFile {
  std::string name;
  std::string_view content;  ///< must stay where it is until the model and its sessions are closed
};

/// fabula_descriptor_file.
struct DescriptorFile {
  std::string name;
  std::int32_t descriptor = -1;
  std::int64_t offset = 0;
  std::int64_t bytes = -1;  ///< -1: up to the end
};

/// fabula_model_info.
struct ModelInfo {
  std::string family;
  std::int64_t vocabulary = 0, context = 0, layers = 0, hidden = 0, parameters = 0, shortlist = 0, groups = 0;
  std::uint32_t start_token = FABULA_NO_TOKEN, end_token = FABULA_NO_TOKEN;
};

/// An open model.
class Model {
 public:
  /// From a folder; its path is UTF-8.
  explicit Model(const std::string& folder, const ModelOptions& options = {}) {
    open(options, [&](const fabula_model_options& given, fabula_model** model) {
      return fabula_model_open(folder.c_str(), &given, model);
    });
  }
  explicit Model(const std::vector<MemoryFile>& files, const ModelOptions& options = {}) {
    std::vector<fabula_memory_file> list;
    for (const MemoryFile& file : files) list.push_back({file.name.c_str(), file.content.data(), file.content.size()});
    open(options, [&](const fabula_model_options& given, fabula_model** model) {
      return fabula_model_open_memory(list.data(), list.size(), &given, model);
    });
  }
  explicit Model(const std::vector<DescriptorFile>& files, const ModelOptions& options = {}) {
    std::vector<fabula_descriptor_file> list;
    for (const DescriptorFile& file : files)
      list.push_back({file.name.c_str(), file.descriptor, file.offset, file.bytes});
    open(options, [&](const fabula_model_options& given, fabula_model** model) {
      return fabula_model_open_descriptors(list.data(), list.size(), &given, model);
    });
  }

  ModelInfo info() const {
    fabula_model_info info{};
    info.size = sizeof info;
    detail::check(fabula_model_describe(get(), &info));
    return {detail::owned(info.family),
            info.vocabulary,
            info.context,
            info.layers,
            info.hidden,
            info.parameters,
            info.shortlist,
            info.groups,
            info.start_token,
            info.end_token};
  }

  std::vector<std::uint32_t> encode(std::string_view text, bool added_tokens = false) const {
    return filled<std::vector<std::uint32_t>>(
        text.size(), [&](std::uint32_t* ids, std::size_t room, std::size_t* count) {
          return fabula_encode(get(), text.data(), text.size(), added_tokens ? 1 : 0, ids, room, count);
        });
  }
  /// Bytes, which may begin or end within a character.
  std::string decode(const std::vector<std::uint32_t>& ids) const {
    return filled<std::string>(ids.size() * 8, [&](char* text, std::size_t room, std::size_t* bytes) {
      return fabula_decode(get(), ids.data(), ids.size(), text, room, bytes);
    });
  }

  fabula_model* get() const noexcept { return handle_.get(); }

 private:
  template <class Open>
  void open(const ModelOptions& options, Open open_with) {
    check_version();
    fabula_model_options given = fabula_model_options_default();
    given.weights = detail::text_or_null(options.weights);
    given.end_token = detail::text_or_null(options.end_token);
    fabula_model* opened = nullptr;
    detail::check(open_with(given, &opened));
    handle_.reset(opened);
  }

  /// What a function fills that tells how much there is, and may have to be asked a second time.
  template <class List, class Fill>
  static List filled(std::size_t room, Fill fill) {
    List list;
    list.resize(room);
    std::size_t count = 0;
    fabula_status status = fill(list.data(), room, &count);
    if (status == FABULA_TOO_SMALL) {
      list.resize(count);
      status = fill(list.data(), list.size(), &count);
    }
    detail::check(status);
    list.resize(count);
    return list;
  }

  detail::Handle<fabula_model> handle_;
};

/// fabula_session_options.
struct SessionOptions {
  std::int64_t slots = 1;
  std::int64_t context = 0;  ///< 0: as many positions as the model has
  std::string cache;         ///< empty: "fp32"
  bool score = false, levels = false;
};

/// fabula_text_options.
struct TextOptions {
  std::int64_t max_tokens = 200;
  std::uint64_t seed = 0;
  double temperature = 0.8;
  double top_p = 1, min_p = 0;
  double repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  std::vector<fabula_bias> biases;
  std::vector<std::string> stops;
  std::uint32_t top_k = 0, top = 0;
  bool slide = false;
};

/// fabula_token: what it shows lives until the callback returns.
struct Token {
  std::int64_t text;
  std::string_view piece;
  const fabula_likely* top;
  std::size_t top_count;
  double log_p, group_log_p, token_log_p;
  std::int64_t group;
  std::uint32_t id;
  fabula_finish finish;

  explicit Token(const fabula_token& token)
      : text(token.text),
        piece(token.piece, token.piece_bytes),
        top(token.top),
        top_count(token.top_count),
        log_p(token.log_p),
        group_log_p(token.group_log_p),
        token_log_p(token.token_log_p),
        group(token.group),
        id(token.id),
        finish(token.finish) {}
};

/// fabula_text_result.
struct TextResult {
  std::int64_t text = 0, prompt_tokens = 0, tokens = 0;
  fabula_finish finish = FABULA_FINISH_NONE;
};

/// An open session. It keeps what it needs of the device and the model.
class Session {
 public:
  Session(const Device& device, const Model& model, const SessionOptions& options = {}) {
    fabula_session_options given = fabula_session_options_default();
    given.slots = options.slots;
    given.context = options.context;
    given.cache = detail::text_or_null(options.cache);
    given.score = options.score ? 1 : 0;
    given.levels = options.levels ? 1 : 0;
    vocabulary_ = static_cast<std::size_t>(model.info().vocabulary);
    fabula_session* opened = nullptr;
    detail::check(fabula_session_open(device.get(), model.get(), &given, &opened));
    handle_.reset(opened);
  }

  /// `told` is called with each const Token&.
  template <class Function>
  TextResult generate(const std::string& prompt, const TextOptions& options, Function&& told) {
    const Given given(options);
    auto tell = teller(told);
    detail::Callback<fabula_token, decltype(tell)> callback(tell);
    fabula_text_result result{};
    result.size = sizeof result;
    callback.check(fabula_generate(get(), prompt.c_str(), &given.options, &callback.call, &callback, &result));
    return {result.text, result.prompt_tokens, result.tokens, result.finish};
  }
  /// The text, without the prompt.
  std::string generate(const std::string& prompt, const TextOptions& options = {}) {
    std::string text;
    generate(prompt, options, [&](const Token& token) { text += token.piece; });
    return text;
  }

  /// Both return the text's number.
  std::int64_t begin(const std::string& prompt, const TextOptions& options = {}) {
    const Given given(options);
    std::int64_t text = 0;
    detail::check(fabula_session_begin(get(), prompt.c_str(), &given.options, &text));
    return text;
  }
  std::int64_t begin_tokens(const std::vector<std::uint32_t>& ids, const TextOptions& options = {}) {
    const Given given(options);
    std::int64_t text = 0;
    detail::check(fabula_session_begin_tokens(get(), ids.data(), ids.size(), &given.options, &text));
    return text;
  }

  /// Up to `tokens` more tokens of every text that was begun; `told` is called with each const Token&. Returns how many
  /// texts go on.
  template <class Function>
  std::size_t next(std::int32_t tokens, Function&& told) {
    auto tell = teller(told);
    detail::Callback<fabula_token, decltype(tell)> callback(tell);
    std::size_t active = 0;
    callback.check(fabula_session_next(get(), tokens, &callback.call, &callback, &active));
    return active;
  }

  /// From any thread or callback.
  void cancel(std::int64_t text = FABULA_ALL_TEXTS) { detail::check(fabula_session_cancel(get(), text)); }

  std::vector<fabula_score> score(const std::vector<std::uint32_t>& ids) {
    std::vector<fabula_score> scores(ids.size());
    detail::check(fabula_session_score(get(), ids.data(), ids.size(), scores.data()));
    return scores;
  }
  std::vector<float> distribution(const std::vector<std::uint32_t>& ids) {
    std::vector<float> log_p(vocabulary_);
    detail::check(fabula_session_distribution(get(), ids.data(), ids.size(), log_p.data(), log_p.size()));
    return log_p;
  }
  std::vector<fabula_entry> inspect(const std::vector<std::uint32_t>& ids, std::uint32_t token, std::size_t most) {
    std::vector<fabula_entry> entries;
    const auto add = [&](const fabula_entry& entry) { entries.push_back(entry); };
    detail::Callback<fabula_entry, decltype(add)> callback(add);
    callback.check(fabula_session_inspect(get(), ids.data(), ids.size(), token, most, &callback.call, &callback));
    return entries;
  }

  fabula_session* get() const noexcept { return handle_.get(); }

 private:
  /// Options as C has them; points into those that it is made of.
  struct Given {
    explicit Given(const TextOptions& from) : options(fabula_text_options_default()) {
      for (const std::string& stop : from.stops) stops.push_back(stop.c_str());
      options.max_tokens = from.max_tokens;
      options.seed = from.seed;
      options.temperature = from.temperature;
      options.top_p = from.top_p;
      options.min_p = from.min_p;
      options.repetition_penalty = from.repetition_penalty;
      options.presence_penalty = from.presence_penalty;
      options.frequency_penalty = from.frequency_penalty;
      options.biases = from.biases.data();
      options.bias_count = from.biases.size();
      options.stops = stops.data();
      options.stop_count = stops.size();
      options.top_k = from.top_k;
      options.top = from.top;
      options.slide = from.slide ? 1 : 0;
    }
    Given(const Given&) = delete;
    Given& operator=(const Given&) = delete;

    std::vector<const char*> stops;
    fabula_text_options options;
  };

  /// Shows a function of Token what C tells.
  template <class Function>
  static auto teller(Function& told) {
    return [&told](const fabula_token& token) { return told(Token(token)); };
  }

  detail::Handle<fabula_session> handle_;
  std::size_t vocabulary_ = 0;
};

}  // namespace fabula

#endif
