#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "serve/answer.hpp"
#include "served_model.hpp"

namespace fabula::serve {
namespace {

using std::chrono::milliseconds;

class ServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { small_ = new SmallServer; }
  static void TearDownTestSuite() { delete small_; }

  static ClientReply post(const std::string& path, const json& body) {
    return ask(small_->port(), "POST", path, body.dump());
  }
  static json completion(json body) {
    if (!body.contains("model")) body["model"] = "one";
    const ClientReply reply = post("/v1/completions", body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return json::parse(reply.body);
  }
  static int status_of(const json& body) { return post("/v1/completions", body).status; }
  static int status_when_free(const json& body) { return small_->status_when_free("/v1/completions", body); }

  static SmallServer* small_;
};
SmallServer* ServerTest::small_ = nullptr;

TEST_F(ServerTest, AnswersWhileItLoadsAndThenIsHealthy) {
  EXPECT_EQ(small_->while_loading, 503);
  EXPECT_EQ(ask(small_->port(), "GET", "/health").body, "{\"status\":\"ok\"}");
  const ClientReply head = ask(small_->port(), "HEAD", "/health");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_NE(head.head.find("x-request-id: "), std::string::npos);
  const json models = json::parse(ask(small_->port(), "GET", "/v1/models").body);
  EXPECT_EQ(models["data"].size(), 2u);
  EXPECT_EQ(json::parse(ask(small_->port(), "GET", "/v1/models/two").body)["id"], "two");
  EXPECT_EQ(ask(small_->port(), "GET", "/v1/models/three").status, 404);
  EXPECT_NE(ask(small_->port(), "GET", "/metrics").body.find("fabula_slots 6\n"), std::string::npos);
}

TEST_F(ServerTest, ErrorsAreErrorObjects) {
  const std::pair<int, ClientReply> replies[] = {
      {404, ask(small_->port(), "GET", "/nothing")},
      {405, ask(small_->port(), "GET", "/v1/completions")},
      {405, ask(small_->port(), "PUT", "/health")},
      {400, ask(small_->port(), "POST", "/v1/completions", "{")},
      {400, ask(small_->port(), "POST", "/v1/completions", "{\"prompt\":\"\xff\"}")},
      {404, post("/v1/completions", {{"model", "three"}})},
      {400, post("/v1/completions", {{"model", "one"}, {"max_tokens", 5000}})},
      {400, post("/v1/completions", {{"model", "one"}, {"prompt", {300}}})},
      {413, ask(small_->port(), "POST", "/v1/completions", std::string(2 << 20, ' '))},
      {403, ask(small_->port(), "GET", "/health", {}, {"Origin: https://evil.example"})},
      {431, ask(small_->port(), "GET", "/health", {}, std::vector<std::string>(60, "X-A: " + std::string(900, 'a')))},
      {414, ask(small_->port(), "GET", "/" + std::string(2000, 'a'))}};
  for (const auto& [status, reply] : replies) {
    EXPECT_EQ(reply.status, status) << reply.head << reply.body;
    const json body = json::parse(reply.body, nullptr, false);
    ASSERT_TRUE(body.is_object() && body.contains("error")) << reply.body;
    EXPECT_EQ(body.size(), 1u);
    EXPECT_TRUE(body["error"]["message"].is_string());
  }
  EXPECT_NE(replies[1].second.head.find("Allow: POST"), std::string::npos);
}

TEST_F(ServerTest, PagesElsewhereAskFirst) {
  const ClientReply reply = ask(small_->port(), "OPTIONS", "/v1/completions", {},
                                {"Origin: http://localhost:3000", "Access-Control-Request-Headers: authorization"});
  EXPECT_EQ(reply.status, 204);
  EXPECT_NE(reply.head.find("Access-Control-Allow-Origin: http://localhost:3000"), std::string::npos);
  EXPECT_NE(reply.head.find("authorization"), std::string::npos);
}

TEST_F(ServerTest, StreamsSayWhatWholeAnswersSay) {
  json body{{"model", "one"}, {"prompt", "Once"}, {"max_tokens", 24}, {"temperature", 1}, {"seed", 5}};
  const json whole = completion(body);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const ClientReply reply = post("/v1/completions", body);
  ASSERT_TRUE(reply.whole);
  EXPECT_NE(reply.head.find("Content-Type: text/event-stream"), std::string::npos);
  std::string text, finish, end = "data: [DONE]\n\n";
  ASSERT_TRUE(reply.body.ends_with(end));
  std::size_t usages = 0;
  for (std::size_t at = 0; (at = reply.body.find("data: {", at)) != std::string::npos; ++at) {
    const std::string line = reply.body.substr(at + 6, reply.body.find("\n\n", at) - at - 6);
    const json event = json::parse(line);
    if (event["choices"].empty()) {
      EXPECT_EQ(event["usage"], whole["usage"]);
      ++usages;
      continue;
    }
    text += event["choices"][0]["text"].get<std::string>();
    if (event["choices"][0]["finish_reason"].is_string())
      finish = event["choices"][0]["finish_reason"].get<std::string>();
  }
  EXPECT_EQ(usages, 1u);
  EXPECT_EQ(text, whole["choices"][0]["text"]);
  EXPECT_EQ(finish, whole["choices"][0]["finish_reason"]);
  EXPECT_NE(completion({{"prompt", "Once"}, {"model", "two"}, {"max_tokens", 24}, {"seed", 5}})["choices"][0]["text"],
            text)
      << "the other model is the same";
}

TEST_F(ServerTest, ScoresAsLmEvaluationHarnessAsks) {
  const json answer = completion({{"prompt", {{65, 66, 67, 68}, {70, 71}}},
                                  {"max_tokens", 1},
                                  {"temperature", 0},
                                  {"echo", true},
                                  {"logprobs", 1},
                                  {"seed", 1234}});
  ASSERT_EQ(answer["choices"].size(), 2u);
  const json& logprobs = answer["choices"][0]["logprobs"];
  for (const char* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
    ASSERT_EQ(logprobs[list].size(), 5u) << list;
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null() && logprobs["top_logprobs"][0].is_null());
  for (std::size_t i = 1; i < 5; ++i) {
    const double own = logprobs["token_logprobs"][i];
    double best = -INFINITY;
    for (const auto& [name, value] : logprobs["top_logprobs"][i].items()) best = std::max(best, value.get<double>());
    EXPECT_LE(own, best);
    EXPECT_TRUE(std::isfinite(own));
  }
  // The token that was drawn greedily is the likeliest, by equality.
  EXPECT_EQ(logprobs["token_logprobs"][4], logprobs["top_logprobs"][4].begin().value());
  // Told by the prompt's pass or by a step: about the same number.
  const json scored = completion({{"prompt", {65, 66, 67}}, {"max_tokens", 1}, {"temperature", 0}, {"logprobs", 20}});
  const std::string name = logprobs["tokens"][3];
  const json& top = scored["choices"][0]["logprobs"]["top_logprobs"][0];
  if (top.contains(name)) {
    EXPECT_NEAR(top[name].get<double>(), logprobs["token_logprobs"][3].get<double>(), 1e-4);
  }
  const json only = completion({{"prompt", "abc"}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 0}});
  EXPECT_EQ(only["choices"][0]["text"], "abc");
  EXPECT_EQ(only["choices"][0]["logprobs"]["tokens"].size(), 3u);
  EXPECT_EQ(only["usage"]["completion_tokens"], 0);
}

TEST_F(ServerTest, ChoicesStopsPenaltiesAndBiases) {
  const json many = completion({{"prompt", {"a", "b"}}, {"n", 2}, {"max_tokens", 8}, {"seed", 3}});
  ASSERT_EQ(many["choices"].size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(many["choices"][i]["index"], i);
  EXPECT_NE(many["choices"][0]["text"], many["choices"][1]["text"]);
  const std::string x = completion(
      {{"prompt", "a"}, {"max_tokens", 6}, {"temperature", 0}, {"logit_bias", {{"87", 100}}}})["choices"][0]["text"];
  EXPECT_EQ(x, std::string(6, x[0]));
  const json stopped = completion({{"prompt", "a"},
                                   {"max_tokens", 6},
                                   {"temperature", 0},
                                   {"logit_bias", {{"87", 100}}},
                                   {"stop", {x.substr(0, 3)}}});
  EXPECT_EQ(stopped["choices"][0]["text"], "");
  EXPECT_EQ(stopped["choices"][0]["finish_reason"], "stop");
  const json ended = completion({{"prompt", "a"}, {"max_tokens", 6}, {"logit_bias", {{"256", 100}}}});
  EXPECT_EQ(ended["choices"][0]["finish_reason"], "stop");
  const std::string penalised = completion({{"prompt", "a"},
                                            {"max_tokens", 6},
                                            {"temperature", 0},
                                            {"logit_bias", {{"256", -100}}},
                                            {"frequency_penalty", 2},
                                            {"presence_penalty", 2}})["choices"][0]["text"];
  EXPECT_EQ(penalised.find(penalised.substr(0, 1), 1), std::string::npos);
}

TEST_F(ServerTest, ChatsAndTokens) {
  const json body{{"model", "one"},
                  {"messages", json::array({{{"role", "user"}, {"content", "hi"}}})},
                  {"max_tokens", 3},
                  {"logprobs", true},
                  {"top_logprobs", 2},
                  {"seed", 1},
                  {"logit_bias", {{"256", -100}}}};
  const json chat = json::parse(post("/v1/chat/completions", body).body);
  EXPECT_EQ(chat["object"], "chat.completion");
  EXPECT_EQ(chat["choices"][0]["message"]["role"], "assistant");
  ASSERT_EQ(chat["choices"][0]["logprobs"]["content"].size(), 3u);
  EXPECT_EQ(chat["choices"][0]["logprobs"]["content"][0]["top_logprobs"].size(), 2u);
  const json tokens = json::parse(post("/tokenize", {{"model", "one"}, {"content", "hé"}}).body);
  EXPECT_EQ(tokens["tokens"].size(), 3u);
  EXPECT_EQ(json::parse(post("/detokenize", {{"model", "one"}, {"tokens", tokens["tokens"]}}).body)["content"], "hé");
}

TEST_F(ServerTest, TextsThatAreOnlyScoredKeepNobodyWaiting) {
  const json prompts(200, std::vector<int>(1500, 97));
  const json body{{"model", "one"}, {"prompt", prompts}, {"echo", true}, {"max_tokens", 0}, {"logprobs", 0}};
  ClientConnection flood(small_->port());
  flood.send(request_bytes("POST", "/v1/completions", body.dump()));
  EXPECT_TRUE(SmallServer::comes_true([] { return small_->counts().waiting > 0; }));
  EXPECT_EQ(status_of({{"model", "one"}, {"prompt", "a"}, {"max_tokens", 2}}), 200);
  EXPECT_GT(small_->counts().waiting, 0u) << "the flood is over before it could be told that it is no obstacle";
}

TEST_F(ServerTest, WhatWouldNotFitIsRefused) {
  const json prompts(100, std::vector<int>(1000, 97));
  EXPECT_EQ(status_of({{"prompt", prompts}, {"model", "one"}, {"echo", true}, {"max_tokens", 0}, {"logprobs", 20}}),
            400);
  EXPECT_EQ(status_of({{"prompt", "a"}, {"model", "one"}, {"stop", std::string(2000, 'x')}}), 400);
}

TEST_F(ServerTest, RangesAndUnclearLengthsAreNoWayIn) {
  const std::string health = "{\"status\":\"ok\"}";
  EXPECT_EQ(ask(small_->port(), "GET", "/health", {}, {"Range: bytes=0-3"}).body, health);
  std::string many = "Range: bytes=0-0";
  for (int i = 0; i < 1900; ++i) many += ",0-0";
  const int status = ask(small_->port(), "GET", "/health", {}, {many}).status;
  EXPECT_TRUE(status == 200 || status >= 400) << status;
  const auto answer_to = [](const std::string& bytes) {
    ClientConnection connection(small_->port());
    connection.send(bytes);
    return connection.receive(milliseconds(3000)).substr(0, 12);
  };
  EXPECT_EQ(answer_to("POST /tokenize HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer_to("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
            "HTTP/1.1 400");
  EXPECT_EQ(answer_to("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: "
                      "chunked\r\n\r\n{}"),
            "HTTP/1.1 400");
  EXPECT_EQ(answer_to("GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost%0d%0aX-Y:z\r\n\r\n"),
            "HTTP/1.1 400");
}

TEST_F(ServerTest, AFullQueueIs429AndOthersGoOn) {
  // Two requests with more texts than there are slots: both have texts that wait, and wait on.
  std::vector<std::unique_ptr<ClientConnection>> streams;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(std::make_unique<ClientConnection>(small_->port()));
    streams.back()->send(long_stream(R"(,"n":32)"));
  }
  EXPECT_TRUE(SmallServer::comes_true([] { return small_->counts().waiting == 2; }));
  const ClientReply refused = post("/v1/completions", {{"model", "one"}, {"prompt", "a"}, {"max_tokens", 2}});
  EXPECT_EQ(refused.status, 429);
  EXPECT_NE(refused.head.find("Retry-After: "), std::string::npos);
  EXPECT_EQ(status_of({{"model", "two"}, {"prompt", "a"}, {"max_tokens", 2}}), 200) << "it has slots that are free";
  for (const auto& stream : streams) EXPECT_NE(stream->receive(milliseconds(5000)), "");
  streams.clear();
  EXPECT_TRUE(small_->falls_idle());
}

TEST_F(ServerTest, SixtyFourConnectionsAtOnceAreAllAnswered) {
  std::vector<std::thread> askers;
  std::vector<int> statuses(64, 0);
  for (int& status : statuses)
    askers.emplace_back([&status] { status = status_of({{"model", "two"}, {"prompt", "a"}, {"max_tokens", 4}}); });
  for (std::thread& asker : askers) asker.join();
  for (const int status : statuses) EXPECT_TRUE(status == 200 || status == 429) << status;
}

TEST_F(ServerTest, ThousandDamagedRequestsAndSlowOnesHarmNobody) {
  std::mt19937 random(7);
  const std::string good =
      request_bytes("POST", "/v1/completions", R"({"model":"one","prompt":"a","max_tokens":1,"n":2,"echo":true})");
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = good;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits)
      bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    ClientConnection connection(small_->port());
    connection.send(bytes);
    if (random() % 8 == 0) connection.receive(milliseconds(20));
  }
  ClientConnection slow(small_->port());
  slow.send("POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  std::string came;
  while (!slow.ended() && came.size() < 5000) came += slow.receive(milliseconds(3000));
  EXPECT_NE(came.find(" 408 "), std::string::npos) << came;
  EXPECT_TRUE(small_->falls_idle());
  EXPECT_EQ(status_when_free({{"model", "one"}, {"prompt", "a"}, {"max_tokens", 2}}), 200);
}

}  // namespace
}  // namespace fabula::serve
