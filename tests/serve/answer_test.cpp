#include "serve/answer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "text/train_bpe.hpp"

namespace fabula::serve {
namespace {

using infer::Finish;

/// 256 bytes and what ends a document.
const text::Tokenizer& bytes() {
  static const text::Tokenizer tokenizer = [] {
    const std::string_view documents[] = {"abc"};
    return text::train_bpe(documents, {.vocab_size = 257});
  }();
  return tokenizer;
}

std::uint32_t id_of(char c) {
  return bytes().token_id(std::string_view(&c, 1)).value();
}

infer::TextEvent drawn(std::uint32_t id, std::string shown) {
  return {.token = infer::GeneratedToken{.id = id, .log_prob = -0.5f, .top = {{id, -0.5f}}}, .shown = std::move(shown)};
}

AnswerHead head_of(AnswerKind kind) {
  return {.kind = kind, .id = "x-1", .model = "m", .created = 7, .tokenizer = &bytes(), .usage = true};
}

TEST(Answers, StreamsAreTheseBytes) {
  AnswerHead head = head_of(AnswerKind::kCompletion);
  head.logprobs = true;
  const ChoicePiece piece{.text = "é\n",
                          .tokens = {{.id = id_of('a'), .log_prob = -0.5f, .top = {{id_of('b'), -0.25f}}}}};
  EXPECT_EQ(
      piece_event(head, 1, piece),
      "data: {\"id\":\"x-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\",\"system_fingerprint\":"
      "\"fabula\",\"choices\":[{\"index\":1,\"text\":\"é\\n\",\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":"
      "[-0.5],\"top_logprobs\":[{\"b\":-0.25,\"a\":-0.5}],\"text_offset\":[0]},\"finish_reason\":null}],\"usage\":"
      "null}\n\n");
  head = head_of(AnswerKind::kChat);
  EXPECT_EQ(
      role_event(head, 0) + piece_event(head, 0, {.text = "hi"}) + piece_event(head, 0, {.finish = Finish::kStop}) +
          usage_event(head, {3, 2}, {}) + std::string(kDoneEvent),
      "data: {\"id\":\"x-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
      "\"system_fingerprint\":\"fabula\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
      "\"\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
      "data: {\"id\":\"x-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
      "\"system_fingerprint\":\"fabula\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"logprobs\":null,"
      "\"finish_reason\":null}],\"usage\":null}\n\n"
      "data: {\"id\":\"x-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
      "\"system_fingerprint\":\"fabula\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
      "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
      "data: {\"id\":\"x-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
      "\"system_fingerprint\":\"fabula\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"
      "\"total_tokens\":5}}\n\n"
      "data: [DONE]\n\n");
}

TEST(Answers, InfinityIsClampedAndNamesDoNotCollide) {
  AnswerHead head = head_of(AnswerKind::kCompletion);
  head.logprobs = true;
  const std::string text = answer_json(
      head, {{.text = "a", .tokens = {{.id = id_of('a'), .log_prob = -INFINITY}}, .finish = Finish::kLength}}, {1, 1},
      {});
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["choices"][0]["logprobs"]["token_logprobs"][0], -9999.0);
  EXPECT_EQ(token_name(bytes(), id_of('\xff')), "bytes:\\xff");
  EXPECT_EQ(token_name(bytes(), 9999), "token:9999");
}

TEST(Choices, EchoTellsThePromptWithNullFirst) {
  const std::vector<std::uint32_t> ids{256, id_of('a'), id_of('b')};
  Choice choice(bytes(), {.echo = "ab", .prompt = ids, .before_text = 1, .echoes = true, .tokens = true});
  infer::TextEvent event{.text = 0};
  event.prompt = {{id_of('a'), -1.0f, {}}, {id_of('b'), -2.0f, {}}};
  const ChoicePiece piece = choice.add(event);
  EXPECT_EQ(piece.text, "ab");
  ASSERT_EQ(piece.tokens.size(), 2u);
  EXPECT_FALSE(piece.tokens[0].log_prob);
  EXPECT_EQ(piece.tokens[1].log_prob, -2.0f);
  EXPECT_EQ(piece.tokens[1].offset, 1u);
  const ChoicePiece next = choice.add(drawn(id_of('c'), "c"));
  ASSERT_EQ(next.tokens.size(), 1u);
  EXPECT_EQ(next.tokens[0].offset, 2u);
}

TEST(Choices, TokensOfAStopTextAreNotToldTheTokenThatEndsATextIs) {
  Choice by_text(bytes(), {.prompt = {256}, .stop_ids = {256}, .tokens = true});
  EXPECT_EQ(by_text.add(drawn(id_of('a'), "a")).tokens.size(), 1u);
  EXPECT_TRUE(by_text.add(drawn(id_of('b'), "")).tokens.empty());
  EXPECT_TRUE(by_text.add(drawn(id_of('c'), "")).tokens.empty());
  EXPECT_TRUE(by_text.add({.finish = Finish::kStop}).tokens.empty());
  EXPECT_EQ(by_text.written(), 3);
  Choice by_token(bytes(), {.prompt = {256}, .stop_ids = {256}, .tokens = true});
  by_token.add(drawn(id_of('a'), "a"));
  by_token.add(drawn(256, ""));
  const ChoicePiece last = by_token.add({.finish = Finish::kStop});
  ASSERT_EQ(last.tokens.size(), 1u);
  EXPECT_EQ(last.tokens[0].id, 256u);
}

TEST(Choices, TextIsValidUtf8) {
  EXPECT_EQ(valid_text("a\xff"
                       "b\xc3"),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
  EXPECT_EQ(characters("aé漢"), 3u);
}

}  // namespace
}  // namespace fabula::serve
