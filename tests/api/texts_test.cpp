#include <atomic>
#include <chrono>
#include <cmath>
#include <future>
#include <map>
#include <thread>

#include "api_test.hpp"

namespace fabula::test {
namespace {

TEST(ApiGenerate, WritesWhatTheProgramWrites) {
  Session own = session();
  EXPECT_EQ(own.generate("abc", text_options(20)), generator_text(grouped_model(), "abc", 0, 0, 20));
  EXPECT_EQ(own.generate("abc", text_options(20, 1, 9)), generator_text(grouped_model(), "abc", 1, 9, 20));
  EXPECT_NE(own.generate("abc", text_options(20, 1, 8)), generator_text(grouped_model(), "abc", 1, 9, 20));
}

TEST(ApiGenerate, TellsOfEachTokenAndOfTheEnd) {
  Session own = session();
  TextOptions options = text_options(6);
  options.top = 3;
  int tokens = 0, ends = 0;
  std::string text;
  const TextResult result = own.generate("abc", options, [&](const Token& token) {
    EXPECT_EQ(ends, 0) << "something behind the end";
    text += token.piece;
    ends += token.finish != FABULA_FINISH_NONE;
    if (token.id == FABULA_NO_TOKEN) return;
    ++tokens;
    ASSERT_EQ(token.top_count, 3U);
    const fabula_likely& best = token.top[token.top[0].id == kEndToken];  // which is never drawn here
    EXPECT_EQ(best.id, token.id) << "at temperature 0";
    EXPECT_FLOAT_EQ(best.log_p, static_cast<float>(token.log_p));
    EXPECT_EQ(token.group, -1) << "levels were not asked for";
    EXPECT_TRUE(std::isnan(token.group_log_p));
  });
  EXPECT_EQ(tokens, 6);
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(result.tokens, 6);
  EXPECT_EQ(result.prompt_tokens, 4) << "with the token that stands before a text";
  EXPECT_EQ(result.finish, FABULA_FINISH_LENGTH);
  EXPECT_EQ(text, own.generate("abc", options));
}

TEST(ApiGenerate, EndsAtAStopTextOrToken) {
  Session own = session();
  TextOptions options = text_options(20, 1, 4);
  options.biases.push_back({model().encode("x")[0], 30});
  options.stops = {"xx"};
  std::string text;
  TextResult result = own.generate("abc", options, [&](const Token& token) { text += token.piece; });
  EXPECT_EQ(result.finish, FABULA_FINISH_STOP);
  EXPECT_EQ(text, "");
  options = text_options(20);
  options.biases = {{kEndToken, 1000}};
  std::vector<std::uint32_t> ids;
  result = own.generate("abc", options, [&](const Token& token) { ids.push_back(token.id); });
  EXPECT_EQ(result.finish, FABULA_FINISH_STOP);
  EXPECT_EQ(result.tokens, 1);
  EXPECT_EQ(ids, (std::vector<std::uint32_t>{kEndToken, FABULA_NO_TOKEN}));
}

TEST(ApiGenerate, RefusesWhatCannotBe) {
  Session own = session();
  expect_thrown([&] { own.generate(std::string(200, 'a')); }, FABULA_INVALID_ARGUMENT, "200");
  TextOptions options = text_options(5, -1);
  expect_thrown([&] { own.generate("a", options); }, FABULA_INVALID_ARGUMENT, "-1");
  options = text_options(0);
  expect_thrown([&] { own.generate("a", options); }, FABULA_INVALID_ARGUMENT, "max_tokens");
  options = text_options(5);
  options.stops = {""};
  expect_thrown([&] { own.generate("a", options); }, FABULA_INVALID_ARGUMENT, "stop");
  options = text_options(5);
  options.top = 21;
  expect_thrown([&] { own.generate("a", options); }, FABULA_INVALID_ARGUMENT, "21");
  expect_thrown([&] { own.begin_tokens({}); }, FABULA_INVALID_ARGUMENT, "");
  expect_thrown([&] { own.begin_tokens({5, 4000}); }, FABULA_INVALID_ARGUMENT, "4000");
  expect_thrown([&] { session(65); }, FABULA_INVALID_ARGUMENT, "65");
  expect_thrown([&] { session(-1); }, FABULA_INVALID_ARGUMENT, "-1");
  EXPECT_EQ(own.generate("abc", text_options(5)), session().generate("abc", text_options(5))) << "nothing is lost";
}

TEST(ApiGenerate, LevelsAddUp) {
  Session own = session(1, false, true);
  int told = 0;
  own.generate("abc", text_options(6), [&](const Token& token) {
    if (token.id == FABULA_NO_TOKEN) return;
    ++told;
    EXPECT_GE(token.group, 0);
    EXPECT_LT(token.group, model().info().shortlist + model().info().groups);
    EXPECT_NEAR(token.group_log_p + token.token_log_p, token.log_p, 1e-3);
  });
  EXPECT_EQ(told, 6);
  EXPECT_EQ(own.generate("abc", text_options(6)), session().generate("abc", text_options(6)));
}

TEST(ApiCallback, ThatThrowsEndsTheCall) {
  Session own = session();
  const fabula_token_callback throws = [](void*, const fabula_token*) -> int { throw std::runtime_error("no more"); };
  const fabula_token_callback throws_a_number = [](void*, const fabula_token*) -> int { throw 5; };
  expect_failed(fabula_generate(own.get(), "a", nullptr, throws, nullptr, nullptr), FABULA_CALLBACK_FAILED, "no more");
  expect_failed(fabula_generate(own.get(), "a", nullptr, throws_a_number, nullptr, nullptr), FABULA_CALLBACK_FAILED,
                "exception");
  EXPECT_THROW(own.generate("a", endless(), [](const Token&) { throw std::out_of_range("mine"); }), std::out_of_range);
  own.begin("a", endless());
  EXPECT_THROW(own.next(1, [](const Token&) { throw std::out_of_range("mine"); }), std::out_of_range);
  EXPECT_EQ(own.generate("abc", text_options(5)), session().generate("abc", text_options(5))) << "the slot is free";
}

TEST(ApiCallback, ThatReturnsOtherThanZeroEndsTheText) {
  Session own = session();
  int told = 0;
  const TextResult result = own.generate("a", endless(), [&](const Token&) { return ++told < 4; });
  EXPECT_EQ(told, 4) << "more is told of a text that nobody wants";
  EXPECT_EQ(result.finish, FABULA_FINISH_CANCELLED);
  EXPECT_EQ(result.tokens, 4);
  EXPECT_EQ(own.generate("abc", text_options(5)), session().generate("abc", text_options(5))) << "the slot is free";
}

TEST(ApiCancel, FromACallbackOrAnotherThread) {
  Session own = session();
  fabula_finish last = FABULA_FINISH_NONE;
  TextResult result = own.generate("a", endless(), [&](const Token& token) {
    if (token.finish == FABULA_FINISH_NONE) own.cancel(token.text);
    last = token.finish;
  });
  EXPECT_EQ(result.finish, FABULA_FINISH_CANCELLED);
  EXPECT_EQ(last, FABULA_FINISH_CANCELLED);

  std::promise<void> first;
  std::atomic<bool> began{false};
  std::thread writer([&] {
    result = own.generate("a", endless(), [&](const Token&) {
      if (!began.exchange(true)) first.set_value();
    });
  });
  first.get_future().wait();
  own.cancel();
  writer.join();
  EXPECT_EQ(result.finish, FABULA_FINISH_CANCELLED);
  own.cancel(result.text);  // over already: not concerned
  expect_thrown([&] { own.cancel(1000); }, FABULA_INVALID_ARGUMENT, "1000");
  expect_thrown([&] { own.cancel(-2); }, FABULA_INVALID_ARGUMENT, "-2");
  EXPECT_EQ(own.generate("abc", text_options(5)), session().generate("abc", text_options(5)));
}

TEST(ApiCancel, ClosingASessionEndsItsTextsEachTime) {
  for (int round = 0; round < 10; ++round) {
    fabula_session* own = nullptr;
    fabula_session_options options = fabula_session_options_default();
    options.slots = 2;
    ASSERT_EQ(fabula_session_open(device().get(), model().get(), &options, &own), FABULA_OK);
    std::atomic<int> began[2] = {0, 0};
    const fabula_token_callback count = [](void* user, const fabula_token* token) {
      *static_cast<std::atomic<int>*>(user) += token->id != FABULA_NO_TOKEN;
      return 0;
    };
    const auto write = [&](std::atomic<int>* counted) {
      fabula_text_options endless_text = fabula_text_options_default();
      const fabula_bias bias = {kEndToken, -1e30F};
      endless_text.max_tokens = 1000000000;
      endless_text.slide = 1;
      endless_text.biases = &bias;
      endless_text.bias_count = 1;
      fabula_text_result result{};
      result.size = sizeof result;
      EXPECT_EQ(fabula_generate(own, "a", &endless_text, count, counted, &result), FABULA_OK) << fabula_last_message();
      EXPECT_EQ(result.finish, FABULA_FINISH_CANCELLED);
    };
    std::thread one(write, &began[0]), two(write, &began[1]);
    while (began[0] < 10 || began[1] < 10) std::this_thread::yield();
    EXPECT_EQ(fabula_session_close(own), FABULA_OK);
    one.join();
    two.join();
  }
}

/// A reader that does not come back before it is let go.
class SlowReader {
 public:
  static int read(void* user, const fabula_token* token) {
    auto& self = *static_cast<SlowReader*>(user);
    ++self.told_;
    self.last_ = token->finish;
    if (!self.came_.exchange(true)) {
      self.reads_.set_value();
      self.let_go_.get_future().wait();
    }
    return 0;
  }
  void wait_until_it_reads() { reads_.get_future().wait(); }
  void let_go() { let_go_.set_value(); }
  int told() const { return told_; }
  fabula_finish last() const { return last_; }

 private:
  std::promise<void> reads_, let_go_;
  std::atomic<bool> came_{false};
  int told_ = 0;
  fabula_finish last_ = FABULA_FINISH_NONE;
};

/// Its text of a session is ended by `end` in another thread, while it reads.
template <class End>
void end_while_reading(fabula_session* session, const End& end) {
  SlowReader reader;
  fabula_text_result result{};
  result.size = sizeof result;
  std::thread writer([&] {
    fabula_text_options options = fabula_text_options_default();
    const fabula_bias bias = {kEndToken, -1e30F};
    options.max_tokens = 1000000000;
    options.slide = 1;
    options.biases = &bias;
    options.bias_count = 1;
    EXPECT_EQ(fabula_generate(session, "a", &options, SlowReader::read, &reader, &result), FABULA_OK)
        << fabula_last_message();
  });
  reader.wait_until_it_reads();
  end();
  reader.let_go();
  writer.join();
  EXPECT_EQ(result.finish, FABULA_FINISH_CANCELLED);
  EXPECT_EQ(reader.last(), FABULA_FINISH_CANCELLED);
  EXPECT_GE(reader.told(), 2);
}

TEST(ApiCallback, ThatTakesForEverHoldsUpNobodyElse) {
  Session own = session(2);
  const std::string expected = session().generate("abc", text_options(5));
  end_while_reading(own.get(), [&] {
    EXPECT_EQ(own.generate("abc", text_options(5)), expected) << "another text of the same session";
    EXPECT_EQ(session().generate("abc", text_options(5)), expected) << "another session of the same device";
    EXPECT_FALSE(device().info().name.empty());
    own.cancel();
  });
  EXPECT_EQ(own.generate("abc", text_options(5)), expected) << "the slot is free";
}

TEST(ApiCallback, ThatTakesForEverIsClosedOn) {
  fabula_session* own = nullptr;
  ASSERT_EQ(fabula_session_open(device().get(), model().get(), nullptr, &own), FABULA_OK) << fabula_last_message();
  end_while_reading(own, [&] {
    EXPECT_EQ(fabula_session_close(own), FABULA_OK) << fabula_last_message();
    expect_failed(fabula_session_cancel(own, FABULA_ALL_TEXTS), FABULA_INVALID_ARGUMENT, "closed before");
  });
}

TEST(ApiCallback, ThatTakesForEverInNextHoldsUpNobodyElse) {
  Session own = session(2);
  const std::int64_t slow = own.begin("a", endless());
  SlowReader reader;
  std::thread writer([&] {
    std::size_t active = 1;
    for (int call = 0; active > 0 && call < 100; ++call)
      ASSERT_EQ(fabula_session_next(own.get(), 1, SlowReader::read, &reader, &active), FABULA_OK);
    EXPECT_EQ(active, 0U);
  });
  reader.wait_until_it_reads();
  expect_failed(fabula_session_next(own.get(), 1, nullptr, nullptr, nullptr), FABULA_BUSY, "fabula_session_next");
  EXPECT_EQ(own.generate("abc", text_options(5)), session().generate("abc", text_options(5)));
  own.cancel(slow);
  reader.let_go();
  writer.join();
  EXPECT_EQ(reader.last(), FABULA_FINISH_CANCELLED);
}

TEST(ApiNext, GoesOnWithSeveralTexts) {
  std::map<std::int64_t, std::string> expected, texts;
  Session own = session(3);
  std::vector<std::int64_t> numbers;
  for (int i = 0; i < 3; ++i) {
    const TextOptions options = text_options(5 + 4 * i, 1, static_cast<std::uint64_t>(i));
    numbers.push_back(i < 2 ? own.begin("abc", options) : own.begin_tokens({kEndToken, 5, 6}, options));
    Session alone = session();
    if (i == 2) {
      alone.begin_tokens({kEndToken, 5, 6}, options);
      while (alone.next(0, [&](const Token& token) { expected[numbers[2]] += token.piece; }) > 0) {
      }
    } else {
      expected[numbers.back()] = alone.generate("abc", options);
    }
  }
  expect_thrown([&] { own.begin("a"); }, FABULA_BUSY, "3 slots");
  expect_thrown([&] { own.generate("a"); }, FABULA_BUSY, "3 slots");
  std::size_t active = 3;
  for (int call = 0; active > 0 && call < 100; ++call) {
    std::map<std::int64_t, int> tokens;
    active = own.next(2, [&](const Token& token) {
      texts[token.text] += token.piece;
      tokens[token.text] += token.id != FABULA_NO_TOKEN;
    });
    for (const auto& [text, count] : tokens) EXPECT_LE(count, 2) << text;
  }
  EXPECT_EQ(active, 0U);
  EXPECT_EQ(texts, expected);
  EXPECT_EQ(own.next(0, [](const Token&) { ADD_FAILURE() << "nothing was begun"; }), 0U);
  expect_thrown([&] { own.next(17, [](const Token&) {}); }, FABULA_INVALID_ARGUMENT, "17");
  expect_thrown([&] { own.next(-1, [](const Token&) {}); }, FABULA_INVALID_ARGUMENT, "-1");
}

TEST(ApiNext, IsNotForItsOwnCallback) {
  Session own = session(2);
  own.begin("abc", text_options(3));
  int busy = 0;
  std::string within;
  while (own.next(1, [&](const Token&) {
    expect_thrown([&] { own.next(1, [](const Token&) {}); }, FABULA_BUSY, "fabula_session_next");
    if (++busy == 1) within = own.generate("abc", text_options(5));  // another text is nobody's harm
  }) > 0) {
  }
  EXPECT_GE(busy, 3);
  EXPECT_EQ(within, session().generate("abc", text_options(5)));
}

TEST(ApiNext, OneOfSeveralTextsIsCancelled) {
  Session own = session(2);
  const std::int64_t kept = own.begin("abc", text_options(8)), cancelled = own.begin("abc", endless());
  std::map<std::int64_t, fabula_finish> finish;
  std::string text;
  bool once = true;
  for (int call = 0; call < 1000; ++call) {
    const std::size_t active = own.next(1, [&](const Token& token) {
      if (token.finish != FABULA_FINISH_NONE) finish[token.text] = token.finish;
      if (token.text == kept) text += token.piece;
    });
    if (active == 0) break;
    if (std::exchange(once, false)) own.cancel(cancelled);
  }
  EXPECT_EQ(finish, (std::map<std::int64_t, fabula_finish>{{kept, FABULA_FINISH_LENGTH},
                                                           {cancelled, FABULA_FINISH_CANCELLED}}));
  EXPECT_EQ(text, session().generate("abc", text_options(8)));
}

TEST(ApiNext, AReaderThatHasEnoughOfOneTextHearsOfTheOthers) {
  Session own = session(2);
  const std::int64_t dropped = own.begin("abc", endless()), kept = own.begin("abc", text_options(8));
  struct Heard {
    std::int64_t dropped;
    int of_dropped = 0, of_kept = 0;
  } heard{dropped};
  const fabula_token_callback hear = [](void* user, const fabula_token* token) {
    auto& all = *static_cast<Heard*>(user);
    if (token->text == all.dropped) return ++all.of_dropped;  // other than 0: enough
    all.of_kept += token->id != FABULA_NO_TOKEN;
    return 0;
  };
  std::size_t active = 2;
  for (int call = 0; active > 0 && call < 20; ++call)
    ASSERT_EQ(fabula_session_next(own.get(), 4, hear, &heard, &active), FABULA_OK) << fabula_last_message();
  EXPECT_EQ(active, 0U);
  EXPECT_EQ(heard.of_dropped, 1);
  EXPECT_EQ(heard.of_kept, 8);
  EXPECT_NE(kept, dropped);
}

/// The texts of several threads, each with a seed of its own.
template <class SessionOf>
std::vector<std::string> texts_of_threads(std::size_t count, SessionOf session_of) {
  std::vector<std::string> texts(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i)
    threads.emplace_back([&, i] { texts[i] = session_of(i).generate("abc", text_options(30, 1, i)); });
  for (std::thread& thread : threads) thread.join();
  return texts;
}

TEST(ApiThreads, WriteInOneSessionOrInTwoAsAlone) {
  std::vector<std::string> expected;
  Session alone = session();
  for (std::size_t i = 0; i < 2; ++i) expected.push_back(alone.generate("abc", text_options(30, 1, i)));
  EXPECT_NE(expected[0], expected[1]);
  Session shared = session(2), other = session(2);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(texts_of_threads(2, [&](std::size_t) -> Session& { return shared; }), expected);
    EXPECT_EQ(texts_of_threads(2, [&](std::size_t i) -> Session& { return i == 0 ? shared : other; }), expected);
  }
}

}  // namespace
}  // namespace fabula::test
