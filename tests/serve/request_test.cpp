#include "serve/request.hpp"

#include <gtest/gtest.h>

#include "serve/access.hpp"
#include "serve/errors.hpp"

namespace fabula::serve {
namespace {

/// The field that a body is refused for.
std::string refused_field(const char* body, bool chat = false) {
  try {
    chat ? (void)parse_chat(body) : (void)parse_completion(body);
  } catch (const RequestError& error) {
    EXPECT_EQ(error.status(), 400) << body;
    return error.param();
  } catch (const Error& error) {
    EXPECT_EQ(error_status(error), 400) << body;
    return "(body)";
  }
  return "(taken)";
}

TEST(Requests, TakeAllFourKindsOfPrompts) {
  EXPECT_EQ(std::get<std::string>(parse_completion(R"({"prompt":"a b"})").prompts.at(0)), "a b");
  EXPECT_EQ(parse_completion(R"({"prompt":["a","b","c"]})").prompts.size(), 3u);
  using Ids = std::vector<std::uint32_t>;
  EXPECT_EQ(std::get<Ids>(parse_completion(R"({"prompt":[1,2.0,3]})").prompts.at(0)), (Ids{1, 2, 3}));
  EXPECT_EQ(std::get<Ids>(parse_completion(R"({"prompt":[[1],[2,3]]})").prompts.at(1)), (Ids{2, 3}));
  EXPECT_EQ(std::get<std::string>(parse_completion(R"({"prompt":null})").prompts.at(0)), "");
  for (const char* bad : {R"({"prompt":[1,"a"]})", R"({"prompt":["a",[1]]})", R"({"prompt":[]})", R"({"prompt":5})",
                          R"({"prompt":[-1]})", R"({"prompt":[4294967296]})", R"({"prompt":[1.5]})"})
    EXPECT_EQ(refused_field(bad), "prompt") << bad;
}

TEST(Requests, NullIsNotGivenAndUnknownFieldsArePassedOver) {
  const CompletionRequest request = parse_completion(
      R"({"model":null,"prompt":"a","max_tokens":null,"temperature":null,"top_p":null,"seed":null,"logit_bias":null,
          "stop":null,"n":null,"best_of":null,"stream":null,"stream_options":null,"echo":null,"logprobs":null,
          "suffix":null,"user":"u","metadata":{"a":1},"store":true})");
  EXPECT_FALSE(request.options.max_tokens || request.options.seed_given || request.options.logprobs);
  EXPECT_EQ(request.options.sampler.temperature, 1);
  EXPECT_EQ(request.options.n, 1);
  EXPECT_FALSE(request.options.stream || request.echo);
}

TEST(Requests, FieldsOutOfRangeAreNamed) {
  const std::pair<const char*, const char*> bad[] = {
      {R"({"temperature":-1})", "temperature"},
      {R"({"temperature":"1"})", "temperature"},
      {R"({"top_p":0})", "top_p"},
      {R"({"top_p":1.1})", "top_p"},
      {R"({"max_tokens":-1})", "max_tokens"},
      {R"({"max_tokens":1.5})", "max_tokens"},
      {R"({"n":0})", "n"},
      {R"({"n":33})", "n"},
      {R"({"best_of":2})", "best_of"},
      {R"({"presence_penalty":2.1})", "presence_penalty"},
      {R"({"frequency_penalty":-2.1})", "frequency_penalty"},
      {R"({"logit_bias":{"a":1}})", "logit_bias"},
      {R"({"logit_bias":{"1":101}})", "logit_bias"},
      {R"({"logit_bias":{"":1}})", "logit_bias"},
      {R"({"stop":[""]})", "stop"},
      {R"({"stop":1})", "stop"},
      {R"({"logprobs":21})", "logprobs"},
      {R"({"stream":"yes"})", "stream"},
      {R"({"seed":1.5})", "seed"},
      {R"({"tools":[{"type":"function"}]})", "tools"},
      {R"({"response_format":{"type":"json_object"}})", "response_format"},
      {R"([1])", ""},
      {"{\"prompt\":\"\xff\"}", "(body)"},
      {"", "(body)"},
      {R"({"n":1,"n":2})", "(body)"}};
  for (const auto& [body, field] : bad) EXPECT_EQ(refused_field(body), field) << body;
  EXPECT_EQ(refused_field(R"({"tools":[],"tool_choice":"none","response_format":{"type":"text"},"suffix":""})"),
            "(taken)");
}

TEST(Requests, ChatsJoinPartsAndRefuseOthers) {
  const ChatRequest request = parse_chat(
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],
          "logprobs":true,"top_logprobs":2,"max_tokens":3,"max_completion_tokens":5})");
  EXPECT_EQ(request.messages.at(0).content, "ab");
  EXPECT_EQ(request.options.logprobs, 2);
  EXPECT_EQ(request.options.max_tokens, 5);
  for (const char* bad : {R"({})", R"({"messages":[]})", R"({"messages":[{"content":"a"}]})",
                          R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})"})
    EXPECT_EQ(refused_field(bad, true), "messages") << bad;
  EXPECT_EQ(refused_field(R"({"messages":[{"role":"u","content":"a"}],"top_logprobs":2})", true), "top_logprobs");
}

/// The status that a request from somewhere gets; 200: it may ask.
int access_status(const AccessOptions& options, HttpHeaders headers) {
  const HttpRequest request{.method = "GET", .path = "/", .body = {}, .headers = std::move(headers)};
  try {
    check_origin(options, request);
    check_key(options, request);
    return 200;
  } catch (const RequestError& error) {
    return error.status();
  }
}

TEST(Access, HostsOriginsAndKeysAreChecked) {
  const AccessOptions open;
  EXPECT_EQ(access_status(open, {}), 200);
  EXPECT_EQ(access_status(open, {{"Host", "localhost:8080"}, {"Authorization", "Bearer "}}), 200);
  EXPECT_EQ(access_status(open, {{"Host", "[::1]:8080"}, {"Origin", "http://127.0.0.1:3000"}}), 200);
  EXPECT_EQ(access_status(open, {{"Host", "evil.example"}}), 403);
  // A name that leads here, once the server listens to all: a page of it is no page of the server.
  const AccessOptions everywhere{.bound_host = "0.0.0.0"};
  EXPECT_EQ(access_status(everywhere, {{"Host", "evil.example:80"}, {"Origin", "http://evil.example:80"}}), 403);
  EXPECT_EQ(access_status(everywhere, {{"Host", "10.0.0.2:80"}, {"Origin", "http://10.0.0.2:80"}}), 200);
  const AccessOptions locked{.key = "secret"};
  EXPECT_EQ(access_status(locked, {{"Authorization", "bearer secret"}}), 200);
  EXPECT_EQ(access_status(locked, {{"Authorization", "Bearer "}, {"X-Api-Key", "secret"}}), 200);
  EXPECT_EQ(access_status(locked, {{"Authorization", "Bearer wrong"}, {"X-Api-Key", "secret"}}), 401);
  EXPECT_EQ(access_status(open, {{"Host", "127.0.0.1.evil.example"}}), 403);
  EXPECT_EQ(access_status(open, {{"Host", "localhost"}, {"Origin", "https://evil.example"}}), 403);
  EXPECT_EQ(access_status(open, {{"Host", "localhost"}, {"Origin", "null"}}), 403);
  const AccessOptions wide{.bound_host = "0.0.0.0", .key = "secret", .origins = {"https://a.example"}};
  EXPECT_EQ(access_status(wide, {{"Host", "box.lan"}, {"authorization", "Bearer secret"}}), 200);
  EXPECT_EQ(access_status(wide, {{"Host", "box.lan"}, {"X-Api-Key", "secret"}, {"Origin", "https://a.example"}}), 200);
  for (const char* key : {"", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret", "secret"})
    EXPECT_EQ(access_status(wide, {{"Authorization", key}}), 401) << key;
}

}  // namespace
}  // namespace fabula::serve
