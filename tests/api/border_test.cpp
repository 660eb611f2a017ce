// What every function of the C interface refuses: other versions, NULLs, sizes that are none, handles that are not
// open.
#include <cstring>
#include <thread>

#include "api_test.hpp"
#include "fabula/error.hpp"  // the library's own names and the wrapper's stand beside each other

namespace fabula::test {
namespace {

TEST(ApiVersion, HeaderAndLibraryMustFit) {
  EXPECT_EQ(fabula_version(), static_cast<std::uint32_t>(FABULA_VERSION));
  EXPECT_EQ(fabula_check_version(FABULA_VERSION), FABULA_OK);
  EXPECT_EQ(version(), std::to_string(FABULA_VERSION / 10000) + "." + std::to_string(FABULA_VERSION / 100 % 100) + "." +
                           std::to_string(FABULA_VERSION % 100));
  expect_failed(fabula_check_version(FABULA_VERSION + 1), FABULA_UNSUPPORTED, "compiled for fabula 0.1.1");
  expect_failed(fabula_check_version(FABULA_VERSION + 10000), FABULA_UNSUPPORTED, "1.1.0");
  expect_failed(fabula_check_version(FABULA_VERSION + 10000), FABULA_UNSUPPORTED, version());
}

TEST(ApiStatus, HasANameForEachNumber) {
  EXPECT_STREQ(fabula_status_name(FABULA_OK), "FABULA_OK");
  EXPECT_STREQ(fabula_status_name(FABULA_BUSY), "FABULA_BUSY");
  for (int i = FABULA_OK; i <= FABULA_CALLBACK_FAILED; ++i)
    EXPECT_STRNE(fabula_status_name(static_cast<fabula_status>(i)), "FABULA_UNKNOWN") << i;
  EXPECT_STREQ(fabula_status_name(static_cast<fabula_status>(FABULA_CALLBACK_FAILED + 1)), "FABULA_UNKNOWN");
}

TEST(ApiStatus, MessagesAreTheThreadsOwn) {
  EXPECT_NE(fabula_model_open(nullptr, nullptr, nullptr), FABULA_OK);
  const std::string own = fabula_last_message();
  EXPECT_FALSE(own.empty());
  std::thread([] {
    EXPECT_STREQ(fabula_last_message(), "");
    EXPECT_NE(fabula_check_version(0xffffffff), FABULA_OK);
    EXPECT_STRNE(fabula_last_message(), "");
  }).join();
  EXPECT_EQ(fabula_last_message(), own);
  EXPECT_EQ(fabula_check_version(FABULA_VERSION), FABULA_OK);
  EXPECT_EQ(fabula_last_message(), own) << "a call that succeeds leaves it";
}

TEST(ApiNull, IsRefusedByEveryFunction) {
  const auto refused = [](fabula_status status) { expect_failed(status, FABULA_INVALID_ARGUMENT, ""); };
  Session own = session(1, true);
  fabula_session* const open = own.get();
  fabula_device_info device_info{};
  fabula_model_info model_info{};
  std::size_t count = 7;
  const std::uint32_t ids[] = {1, 2};
  fabula_score scores[2];
  float log_p[kEndToken + 1];
  const fabula_entry_callback entry = [](void*, const fabula_entry*) { return 0; };

  refused(fabula_list_devices(nullptr, nullptr));
  refused(fabula_device_open(nullptr, nullptr));
  refused(fabula_device_describe(nullptr, &device_info));
  refused(fabula_device_describe(device().get(), nullptr));
  refused(fabula_device_close(nullptr));
  refused(fabula_device_check(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr));
  refused(fabula_model_open(nullptr, nullptr, nullptr));
  fabula_model* model_out = nullptr;
  refused(fabula_model_open(nullptr, nullptr, &model_out));
  refused(fabula_model_open(grouped_model().string().c_str(), nullptr, nullptr));
  refused(fabula_model_open_memory(nullptr, 1, nullptr, &model_out));
  refused(fabula_model_open_memory(nullptr, 1, nullptr, nullptr));
  const fabula_memory_file nameless = {nullptr, ids, sizeof ids}, empty = {"config.json", nullptr, 5};
  refused(fabula_model_open_memory(&nameless, 1, nullptr, &model_out));
  refused(fabula_model_open_memory(&empty, 1, nullptr, &model_out));
  refused(fabula_model_open_descriptors(nullptr, 1, nullptr, &model_out));
  refused(fabula_model_open_descriptors(nullptr, 1, nullptr, nullptr));
  EXPECT_EQ(model_out, nullptr);
  refused(fabula_model_describe(nullptr, &model_info));
  refused(fabula_model_describe(model().get(), nullptr));
  refused(fabula_model_close(nullptr));
  refused(fabula_encode(nullptr, "a", 1, 0, nullptr, 0, &count));
  refused(fabula_encode(model().get(), nullptr, 1, 0, nullptr, 0, &count));
  refused(fabula_encode(model().get(), "a", 1, 0, nullptr, 4, &count));
  refused(fabula_decode(nullptr, ids, 2, nullptr, 0, &count));
  refused(fabula_decode(model().get(), nullptr, 2, nullptr, 0, &count));
  refused(fabula_decode(model().get(), ids, 2, nullptr, 4, &count));
  fabula_session* session_out = nullptr;
  refused(fabula_session_open(device().get(), model().get(), nullptr, nullptr));
  refused(fabula_session_open(nullptr, model().get(), nullptr, &session_out));
  refused(fabula_session_open(device().get(), nullptr, nullptr, &session_out));
  EXPECT_EQ(session_out, nullptr);
  refused(fabula_session_close(nullptr));
  refused(fabula_generate(nullptr, "a", nullptr, nullptr, nullptr, nullptr));
  refused(fabula_session_begin(nullptr, "a", nullptr, nullptr));
  refused(fabula_session_begin_tokens(nullptr, ids, 2, nullptr, nullptr));
  refused(fabula_session_begin_tokens(open, nullptr, 2, nullptr, nullptr));
  refused(fabula_session_next(nullptr, 0, nullptr, nullptr, nullptr));
  refused(fabula_session_cancel(nullptr, FABULA_ALL_TEXTS));
  refused(fabula_session_score(nullptr, ids, 2, scores));
  refused(fabula_session_score(open, nullptr, 2, scores));
  refused(fabula_session_score(open, ids, 2, nullptr));
  refused(fabula_session_distribution(nullptr, ids, 2, log_p, kEndToken + 1));
  refused(fabula_session_distribution(open, nullptr, 2, log_p, kEndToken + 1));
  refused(fabula_session_distribution(open, ids, 2, nullptr, kEndToken + 1));
  refused(fabula_session_inspect(nullptr, ids, 2, 1, 3, entry, nullptr));
  refused(fabula_session_inspect(open, nullptr, 2, 1, 3, entry, nullptr));
  refused(fabula_session_inspect(open, ids, 2, 1, 3, nullptr, nullptr));
  fabula_text_options lists = fabula_text_options_default();
  lists.stop_count = 1;
  refused(fabula_generate(open, "a", &lists, nullptr, nullptr, nullptr));
  const char* const stops[] = {nullptr};
  lists.stops = stops;
  refused(fabula_generate(open, "a", &lists, nullptr, nullptr, nullptr));
  lists = fabula_text_options_default();
  lists.bias_count = 1;
  refused(fabula_generate(open, "a", &lists, nullptr, nullptr, nullptr));
  EXPECT_EQ(fabula_generate(open, nullptr, nullptr, nullptr, nullptr, nullptr), FABULA_OK) << fabula_last_message();
}

TEST(ApiStruct, OfAnOlderProgramIsShorter) {
  Session own = session();
  struct Older {  // the first fields of fabula_text_options
    std::size_t size;
    std::int64_t max_tokens;
  } older = {sizeof older, 3};
  fabula_text_result result{};
  result.size = offsetof(fabula_text_result, finish);
  result.finish = FABULA_FINISH_NUMERIC;
  ASSERT_EQ(
      fabula_generate(own.get(), "a", reinterpret_cast<const fabula_text_options*>(&older), nullptr, nullptr, &result),
      FABULA_OK)
      << fabula_last_message();
  EXPECT_LE(result.tokens, 3);
  EXPECT_GT(result.tokens, 0);
  EXPECT_EQ(result.size, offsetof(fabula_text_result, finish));
  EXPECT_EQ(result.finish, FABULA_FINISH_NUMERIC) << "beyond the caller's size";

  fabula_model_info info;
  std::memset(&info, 0x55, sizeof info);
  info.size = offsetof(fabula_model_info, context);
  ASSERT_EQ(fabula_model_describe(model().get(), &info), FABULA_OK);
  EXPECT_EQ(info.vocabulary, kEndToken + 1);
  EXPECT_EQ(info.context, 0x5555555555555555);
}

TEST(ApiStruct, OfANewerProgramIsLongerAndMustAskForNothingUnknown) {
  Session own = session();
  struct Newer {
    fabula_text_options known = fabula_text_options_default();
    std::int64_t unknown = 0;
  } newer;
  newer.known.size = sizeof newer;
  newer.known.max_tokens = 2;
  EXPECT_EQ(fabula_generate(own.get(), "a", &newer.known, nullptr, nullptr, nullptr), FABULA_OK);
  newer.unknown = 1;
  expect_failed(fabula_generate(own.get(), "a", &newer.known, nullptr, nullptr, nullptr), FABULA_UNSUPPORTED,
                "fabula_text_options");
  struct NewerInfo {
    fabula_model_info known = {};
    std::int64_t unknown = 5;
  } info;
  info.known.size = sizeof info;
  EXPECT_EQ(fabula_model_describe(model().get(), &info.known), FABULA_OK);
  EXPECT_EQ(info.known.hidden, 16);
  EXPECT_EQ(info.unknown, 5);
}

TEST(ApiStruct, WhatIsReservedMustBeZero) {
  Session own = session();
  fabula_text_options text = fabula_text_options_default();
  text.reserved = 1;
  expect_failed(fabula_generate(own.get(), "a", &text, nullptr, nullptr, nullptr), FABULA_UNSUPPORTED, "reserved");
  fabula_device_options options = fabula_device_options_default();
  options.reserved = -1;
  fabula_device* opened = nullptr;
  expect_failed(fabula_device_open(&options, &opened), FABULA_UNSUPPORTED, "fabula_device_options");
  EXPECT_EQ(opened, nullptr);
}

TEST(ApiStruct, WithoutASizeIsRefused) {
  fabula_model* opened = nullptr;
  for (const std::size_t size : {std::size_t{0}, sizeof(std::size_t) - 1, std::size_t{1} << 40}) {
    fabula_model_options options = fabula_model_options_default();
    options.size = size;
    expect_failed(fabula_model_open(grouped_model().string().c_str(), &options, &opened), FABULA_INVALID_ARGUMENT,
                  "fabula_model_options");
    fabula_model_info info{};
    info.size = size;
    expect_failed(fabula_model_describe(model().get(), &info), FABULA_INVALID_ARGUMENT, "fabula_model_info");
  }
  EXPECT_EQ(opened, nullptr);
}

TEST(ApiStruct, DefaultsAreTheSameInBothLanguages) {
  const fabula_text_options c = fabula_text_options_default();
  const TextOptions cpp;
  EXPECT_EQ(c.max_tokens, cpp.max_tokens);
  EXPECT_EQ(c.seed, cpp.seed);
  EXPECT_EQ(c.temperature, cpp.temperature);
  EXPECT_EQ(c.top_p, cpp.top_p);
  EXPECT_EQ(c.min_p, cpp.min_p);
  EXPECT_EQ(c.repetition_penalty, cpp.repetition_penalty);
  EXPECT_EQ(c.presence_penalty, cpp.presence_penalty);
  EXPECT_EQ(c.frequency_penalty, cpp.frequency_penalty);
  EXPECT_EQ(c.top_k, cpp.top_k);
  EXPECT_EQ(c.top, cpp.top);
  EXPECT_EQ(c.slide != 0, cpp.slide);
}

/// A handle taken for one of another kind.
template <class To, class From>
To* taken_for(From* handle) {
  return reinterpret_cast<To*>(handle);
}

TEST(ApiHandle, OfAnotherKindIsToldApart) {
  fabula_model_info info{};
  info.size = sizeof info;
  expect_failed(fabula_model_describe(taken_for<fabula_model>(device().get()), &info), FABULA_INVALID_ARGUMENT,
                "a device was given where a model is expected");
  expect_failed(fabula_session_close(taken_for<fabula_session>(model().get())), FABULA_INVALID_ARGUMENT,
                "a model was given where a session is expected");
  int on_the_stack = 0;
  expect_failed(fabula_model_close(taken_for<fabula_model>(&on_the_stack)), FABULA_INVALID_ARGUMENT, "no handle");
  EXPECT_EQ(fabula_model_describe(model().get(), &info), FABULA_OK) << "it is still open";
}

TEST(ApiHandle, ClosedTwiceOrUsedAfterwardsIsRefused) {
  fabula_model* opened = nullptr;
  ASSERT_EQ(fabula_model_open(grouped_model().string().c_str(), nullptr, &opened), FABULA_OK);
  Session own = session(1, true);
  fabula_session* texts = nullptr;
  ASSERT_EQ(fabula_session_open(device().get(), opened, nullptr, &texts), FABULA_OK);
  EXPECT_EQ(fabula_session_close(texts), FABULA_OK);
  EXPECT_EQ(fabula_model_close(opened), FABULA_OK);
  const auto refused = [](fabula_status status) { expect_failed(status, FABULA_INVALID_ARGUMENT, "closed before"); };
  refused(fabula_model_close(opened));
  refused(fabula_session_close(texts));
  fabula_model_info info{};
  info.size = sizeof info;
  refused(fabula_model_describe(opened, &info));
  std::size_t count = 0;
  refused(fabula_encode(opened, "a", 1, 0, nullptr, 0, &count));
  fabula_session* again = nullptr;
  refused(fabula_session_open(device().get(), opened, nullptr, &again));
  refused(fabula_generate(texts, "a", nullptr, nullptr, nullptr, nullptr));
  refused(fabula_session_begin(texts, "a", nullptr, nullptr));
  refused(fabula_session_next(texts, 0, nullptr, nullptr, nullptr));
  refused(fabula_session_cancel(texts, FABULA_ALL_TEXTS));
}

TEST(ApiHandle, WhatStandsOnOneKeepsWhatItNeeds) {
  const std::string expected = session().generate("a", text_options(5));
  for (int order = 0; order < 6; ++order) {
    DeviceOptions options;
    options.cache_dir = "none";
    options.self_test = false;
    Device own_device(options);
    Model own_model(grouped_model().string());
    Session own_session(own_device, own_model);
    const auto close = [&](int which) {
      if (which == 0) Device(std::move(own_device));
      if (which == 1) Model(std::move(own_model));
      if (which == 2) Session(std::move(own_session));
    };
    const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (const int which : orders[order]) {
      if (own_session.get() != nullptr) {
        EXPECT_EQ(own_session.generate("a", text_options(5)), expected);
      }
      close(which);
    }
    expect_thrown([&] { own_session.generate("a"); }, FABULA_INVALID_ARGUMENT, "NULL");
  }
}

}  // namespace
}  // namespace fabula::test
