#include <gtest/gtest.h>

#include <algorithm>

#include "served_model.hpp"

// What a server does for clients that go, stall, speak older HTTP or come in crowds.
namespace fabula::serve {
namespace {

using std::chrono::milliseconds;

/// Receives until the text is there or the connection is over.
std::string receive_until(ClientConnection& connection, std::string_view text) {
  std::string came;
  while (came.find(text) == std::string::npos && !connection.ended()) came += connection.receive(milliseconds(5000));
  return came;
}

std::string all_of(ClientConnection& connection) {
  std::string came;
  while (!connection.ended()) came += connection.receive(milliseconds(5000));
  return came;
}

constexpr std::string_view kHex = "0123456789abcdef";

/// A text with * for the characters of one kind that follow a marker, wherever it stands.
std::string masked(std::string text, std::string_view marker, std::string_view kind) {
  for (std::size_t at = 0; (at = text.find(marker, at)) != std::string::npos;) {
    at += marker.size();
    text.replace(at, std::min(text.find_first_not_of(kind, at), text.size()) - at, "*");
  }
  return text;
}

class ConnectionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { small_ = new SmallServer; }
  static void TearDownTestSuite() {
    delete small_;
    small_ = nullptr;
  }
  static SmallServer* small_;
};
SmallServer* ConnectionTest::small_ = nullptr;

TEST_F(ConnectionTest, AStreamIsTheseBytes) {
  ClientConnection connection(small_->port());
  connection.send(request_bytes(
      "POST", "/v1/completions",
      R"({"model":"one","prompt":"a","max_tokens":2,"stream":true,"temperature":0,"logit_bias":{"65":100},)"
      R"("stream_options":{"include_usage":true}})"));
  std::string came = all_of(connection);
  const ClientReply reply = parse_reply(came);
  ASSERT_TRUE(reply.whole);
  // What differs from request to request, and the version.
  const std::string answer_head = masked(masked(reply.head, "req-", kHex), "fabula/", "0123456789.");
  const std::string body = masked(masked(reply.body, "cmpl-", kHex), "\"created\":", "0123456789");
  EXPECT_EQ(answer_head,
            "HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/event-stream\r\n"
            "Server: fabula/*\r\nTransfer-Encoding: chunked\r\nVary: Origin\r\nX-Accel-Buffering: no\r\n"
            "x-request-id: req-*\r\n");
  const std::string head =
      R"(data: {"id":"cmpl-*","object":"text_completion","created":*,"model":"one","system_fingerprint":"fabula",)";
  EXPECT_EQ(body,
            head + R"("choices":[{"index":0,"text":"b","logprobs":null,"finish_reason":null}],"usage":null})" + "\n\n" +
                head + R"("choices":[{"index":0,"text":"b","logprobs":null,"finish_reason":null}],"usage":null})" +
                "\n\n" + head +
                R"("choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"length"}],"usage":null})" + "\n\n" +
                head + R"("choices":[],"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}})" +
                "\n\ndata: [DONE]\n\n");
}

TEST_F(ConnectionTest, OlderHttpIsAnsweredWithoutChunks) {
  ClientConnection connection(small_->port());
  const std::string body = R"({"model":"one","prompt":"a","max_tokens":3,"stream":true})";
  connection.send("POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string came = all_of(connection);
  EXPECT_NE(came.find(" 200 "), std::string::npos) << came;
  EXPECT_EQ(came.find("chunked"), std::string::npos);
  EXPECT_NE(came.find("\r\n\r\ndata: {"), std::string::npos);
  EXPECT_TRUE(came.ends_with("data: [DONE]\n\n"));
}

TEST_F(ConnectionTest, RequestsOnOneConnectionAreAnsweredInTurn) {
  ClientConnection connection(small_->port());
  const std::string body = R"({"model":"one","content":"ab"})";
  const std::string tokenize =
      "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
      body;
  const std::string health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
  connection.send(tokenize + health + tokenize + request_bytes("GET", "/v1/models/two"));  // the last one closes
  const std::string came = all_of(connection);
  std::size_t at = 0;
  for (const char* part : {"{\"tokens\":[", "{\"status\":\"ok\"}", "{\"tokens\":[", "\"id\":\"two\""}) {
    at = came.find(part, at);
    ASSERT_NE(at, std::string::npos) << part << " in " << came;
    ++at;
  }
}

TEST_F(ConnectionTest, ADisconnectFreesItsSlot) {
  const std::uint64_t before = small_->counts().cancelled;
  for (int i = 0; i < 6; ++i) {  // twice as many as there are slots
    ClientConnection connection(small_->port());
    connection.send(long_stream());
    EXPECT_NE(receive_until(connection, "data: ").find("200 OK"), std::string::npos);
    EXPECT_TRUE(SmallServer::comes_true([] { return small_->counts().running <= 3; }));
  }
  EXPECT_TRUE(small_->falls_idle());
  EXPECT_GT(small_->counts().cancelled, before);
}

TEST_F(ConnectionTest, WhoeverIsGoneAtOnceIsNotWrittenFor) {
  for (int i = 0; i < 12; ++i) ClientConnection(small_->port()).send(long_stream());
  EXPECT_EQ(small_->status_when_free("/v1/completions", {{"model", "one"}, {"prompt", "a"}, {"max_tokens", 2}}), 200);
  EXPECT_TRUE(small_->falls_idle());
}

TEST_F(ConnectionTest, WhoeverGoesWhileItsRequestWaitsIsForgotten) {
  std::vector<std::unique_ptr<ClientConnection>> streams;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(std::make_unique<ClientConnection>(small_->port()));
    streams.back()->send(long_stream());
    receive_until(*streams.back(), "data: ");
  }
  const std::uint64_t texts = small_->counts().texts;
  {
    ClientConnection waits(small_->port());
    waits.send(long_stream());
    EXPECT_TRUE(
        SmallServer::comes_true([&] { return small_->counts().waiting == 1 || small_->counts().texts > texts; }));
  }
  EXPECT_TRUE(SmallServer::comes_true([] { return small_->counts().waiting == 0; }));
  streams.clear();
  EXPECT_TRUE(small_->falls_idle());
}

TEST_F(ConnectionTest, ACancelledTextTakesNoMoreThanOneSubmission) {
  infer::Engine& engine = small_->server().service().engine();
  infer::GenerateOptions options{.max_tokens = 2000};
  options.sampler.logit_bias.emplace_back(256, -double{1e4});
  for (int i = 0; i < 20; ++i) {
    const auto submitted = engine.submit(0, {{.ids = {97}, .options = options}});
    ASSERT_TRUE(submitted.job);
    while (submitted.job->take(milliseconds(1000)).empty()) {
    }
    submitted.job->cancel();
    const std::uint64_t then = engine.counts().submissions;
    ASSERT_TRUE(SmallServer::comes_true([&] { return engine.counts().running == 0; }));
    EXPECT_LE(engine.counts().submissions, then + 1);
  }
}

TEST(Connections, AReaderThatStallsLosesItsSlotAndNobodyElseWaits) {
  SmallServer small({.write = milliseconds(300), .slots = 1, .queue = 8});
  ClientConnection stalled(small.port(), 4096);
  stalled.send(long_stream(R"(,"logprobs":20,"n":4)"));  // some 20 MB, beyond what systems keep
  EXPECT_EQ(small.status_when_free("/v1/completions", {{"model", "one"}, {"prompt", "a"}, {"max_tokens", 2}}), 200);
  EXPECT_TRUE(SmallServer::comes_true([&] { return small.counts().cancelled > 0; }));
  EXPECT_TRUE(small.falls_idle());
}

TEST(Connections, SixtyFourStreamsAtOnceSayWhatEachWouldSayAlone) {
  SmallServer small({.slots = 8, .queue = 64});
  const auto body = [](int seed) {
    return json{{"model", "two"}, {"prompt", "Once"}, {"max_tokens", 12},
                {"seed", seed},   {"stream", true},   {"stream_options", {{"include_usage", true}}}};
  };
  const auto text_of = [](const ClientReply& reply) {
    std::string text;
    for (std::size_t at = 0; (at = reply.body.find("data: {", at)) != std::string::npos; ++at) {
      const json event = json::parse(reply.body.substr(at + 6, reply.body.find("\n\n", at) - at - 6));
      for (const json& choice : event["choices"]) text += choice["text"].get<std::string>();
    }
    return text;
  };
  std::vector<std::thread> askers;
  std::vector<ClientReply> replies(64);
  for (int i = 0; i < 64; ++i)
    askers.emplace_back([&, i] { replies[i] = ask(small.port(), "POST", "/v1/completions", body(i % 4).dump()); });
  for (std::thread& asker : askers) asker.join();
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(replies[i].status, 200);
    EXPECT_TRUE(replies[i].whole && replies[i].body.ends_with("data: [DONE]\n\n"));
    EXPECT_EQ(text_of(replies[i]), text_of(replies[i % 4]));
  }
  EXPECT_EQ(text_of(replies[0]), text_of(ask(small.port(), "POST", "/v1/completions", body(0).dump())));
}

TEST(ServerStop, RefusesWhatIsNewAndLetsTextsEnd) {
  SmallServer small({.grace = milliseconds(60000)});
  ClientConnection connection(small.port());
  connection.send(long_stream());
  std::string came = receive_until(connection, "data: ");
  std::thread stop([&] { small.server().stop(); });
  ClientReply refused;
  EXPECT_TRUE(SmallServer::comes_true([&] {
    refused = ask(small.port(), "POST", "/v1/completions", R"({"model":"two","prompt":"a","max_tokens":1})");
    return refused.status != 200;
  }));
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.head.find("Retry-After: "), std::string::npos);
  came += all_of(connection);
  stop.join();
  EXPECT_TRUE(parse_reply(came).whole);
  EXPECT_NE(came.find("\"finish_reason\":\"length\""), std::string::npos);
}

TEST(ServerStop, TellsReadersAndEnds) {
  SmallServer small;
  ClientConnection connection(small.port());
  connection.send(long_stream());
  std::string came = connection.receive(milliseconds(5000));
  std::thread stop([&] { small.server().stop(); });
  came += all_of(connection);
  stop.join();
  const ClientReply reply = parse_reply(came);
  EXPECT_TRUE(reply.whole);
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
  // It was told to stop in mid-stream: either the text was over within the grace, or its reader is told.
  EXPECT_TRUE(reply.body.find("unavailable_error") != std::string::npos ||
              reply.body.find("\"finish_reason\":\"length\"") != std::string::npos);
}

}  // namespace
}  // namespace fabula::serve
