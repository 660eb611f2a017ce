#include "serve/inspect.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "expect_error.hpp"

namespace fabula::serve {
namespace {

using nlohmann::json;
using Ids = std::vector<std::uint32_t>;

TEST(InspectRequest, IsReadWithATextOrIds) {
  const InspectRequest text =
      parse_inspect(R"({"model": "little", "prompt": "Once", "tokens": [3, 4], "token": 5, "temperature": 1})");
  EXPECT_EQ(text.model, "little");
  EXPECT_EQ(std::get<std::string>(text.prompt), "Once");
  EXPECT_EQ(text.tokens, (Ids{3, 4}));
  EXPECT_EQ(text.token, 5u);
  const InspectRequest ids = parse_inspect(R"({"prompt": [1, 2], "tokens": null, "token": 0, "model": null})");
  EXPECT_EQ(std::get<Ids>(ids.prompt), (Ids{1, 2}));
  EXPECT_TRUE(ids.tokens.empty());
  EXPECT_TRUE(ids.model.empty());
  EXPECT_EQ(std::get<std::string>(parse_inspect(R"({"token": 0})").prompt), "") << "the beginning of a text";
}

TEST(InspectRequest, RefusesWhatItCannotRead) {
  const auto refused = [](const std::string& body, const std::string& key) {
    test::expect_error(ErrorCode::kInvalidArgument, {key}, [&] { parse_inspect(body); });
  };
  refused("[]", "not a JSON object");
  refused(R"({"prompt": "x"})", "\"token\"");
  refused(R"({"token": -1})", "\"token\"");
  refused(R"({"token": 1.5})", "\"token\"");
  refused(R"({"token": 4294967296})", "\"token\"");
  refused(R"({"token": 1, "tokens": 7})", "\"tokens\"");
  refused(R"({"token": 1, "tokens": ["a"]})", "\"tokens\"");
  refused(R"({"token": 1, "prompt": 7})", "\"prompt\"");
  refused(R"({"token": 1, "prompt": [[1]]})", "\"prompt\"");
  refused(R"({"token": 1, "model": 7})", "\"model\"");
  for (const char* body : {"", "{", "\xff", "{\"token\": 1"})
    test::expect_error(ErrorCode::kFormat, {"the body"}, [&] { parse_inspect(body); });
}

TEST(InspectAnswer, HasTheLevelsByName) {
  const std::vector<float> log_probs{std::log(0.5f), std::log(0.1f), std::log(0.4f),
                                     -std::numeric_limits<float>::infinity()};
  const TokenMap map{.shortlist = {2}, .groups = {{0, 1}, {3}}};
  const TokenName name = [](std::uint32_t id) { return " t" + std::to_string(id); };
  const json answer = json::parse(inspection_json(infer::inspect(log_probs, &map, 1, 10), "little", 4, name));
  EXPECT_EQ(answer["object"], "inspection");
  EXPECT_EQ(answer["model"], "little");
  EXPECT_EQ(answer["vocabulary"], 4);
  EXPECT_EQ(answer["token"]["id"], 1);
  EXPECT_EQ(answer["token"]["text"], " t1");
  EXPECT_EQ(answer["token"]["rank"], 3);
  EXPECT_EQ(answer["joint"].size(), 4u);
  EXPECT_EQ(answer["joint"][0]["id"], 0);
  EXPECT_EQ(answer["joint"][3]["logprob"], -9999) << "what is impossible has a number all the same";
  const json& levels = answer["levels"];
  EXPECT_EQ(levels["shortlist"], 1);
  EXPECT_EQ(levels["groups"], 2);
  EXPECT_EQ(levels["class"], 1);
  EXPECT_NEAR(levels["token_logprob"].get<double>(), std::log(0.1 / 0.6), 1e-6);
  ASSERT_EQ(levels["classes"].size(), 3u);
  EXPECT_EQ(levels["classes"][0]["class"], 1);
  EXPECT_EQ(levels["classes"][0]["kind"], "group");
  EXPECT_EQ(levels["classes"][0]["size"], 2);
  EXPECT_EQ(levels["classes"][0]["tokens"][0]["text"], " t0");
  EXPECT_EQ(levels["classes"][1]["kind"], "token");
  EXPECT_EQ(levels["classes"][2]["logprob"], -9999);
  const json flat = json::parse(inspection_json(infer::inspect(log_probs, nullptr, 1, 2), "little", 4, name));
  EXPECT_TRUE(flat["levels"].is_null());
  EXPECT_EQ(flat["joint"].size(), 3u);
}

TEST(InspectAnswer, IsJsonWhateverATokenIsCalled) {
  const TokenName name = [](std::uint32_t) { return std::string("\xff\"\n"); };
  const std::vector<float> log_probs{0};
  EXPECT_EQ(json::parse(inspection_json(infer::inspect(log_probs, nullptr, 0, 1), "m", 1, name))["token"]["text"],
            "\xEF\xBF\xBD\"\n");
}

}  // namespace
}  // namespace fabula::serve
