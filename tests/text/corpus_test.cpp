#include "text/corpus.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/hash.hpp"
#include "expect_error.hpp"
#include "text/documents.hpp"
#include "text/story_grammar.hpp"
#include "text/story_template.hpp"

namespace fabula::text {
namespace {

TEST(Corpus, IsTheSameEverywhere) {
  EXPECT_EQ(fmt::format("{:016x}", fnv1a(generate_corpus(1, 200))), "9c26034b06afeebb");
  EXPECT_EQ(generate_corpus(1, 3), generate_story(1, 0) + "\n<|endoftext|>\n" + generate_story(1, 1) +
                                       "\n<|endoftext|>\n" + generate_story(1, 2) + "\n<|endoftext|>\n");
  EXPECT_EQ(generate_corpus(9, 0), "");
  EXPECT_NE(generate_story(1, 0), generate_story(2, 0));
}

TEST(Corpus, IsVaried) {
  const std::string corpus = generate_corpus(7, 5000);
  const std::vector<std::string_view> stories = split_documents(corpus);
  ASSERT_EQ(stories.size(), 5000u);
  EXPECT_GT(std::set<std::string_view>(stories.begin(), stories.end()).size(), 4990u);
  std::set<std::string> words;
  std::string word;
  for (const char c : corpus) {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(c));
    } else if (!word.empty()) {
      words.insert(std::exchange(word, ""));
    }
  }
  EXPECT_GT(words.size(), 1000u);
  for (const std::string_view story : stories) {
    const auto spaces = std::count(story.begin(), story.end(), ' ');
    EXPECT_GT(spaces, 80) << story;
    EXPECT_LT(spaces, 330) << story;
  }
}

TEST(Corpus, IsWellFormed) {
  const std::regex flaw(
      R"([\[\]{}|]|  |\n\n| \n| [.,!?]|\.\.| a [aeiou]| an [^aeiouh]|[.!?] [a-z]|(^|\n)[a-z]|\b(\w+) \2\b)");
  const std::string corpus = generate_corpus(3, 2000);
  for (const std::string_view story : split_documents(corpus)) {
    EXPECT_EQ(std::count(story.begin(), story.end(), '"') % 2, 0) << story;
    std::match_results<std::string_view::const_iterator> found;
    EXPECT_FALSE(std::regex_search(story.begin(), story.end(), found, flaw)) << found.str() << " in " << story;
  }
}

TEST(Corpus, PronounsFitTheCast) {
  // Where hero, friend and grown-up are female, no male pronoun may fall outside what is said; and the other way round.
  std::set<std::string> female = {"mom", "grandma"}, male = {"dad", "grandpa"};
  for (const auto& [names, gender] : {std::pair(&female, Gender::kFemale), std::pair(&male, Gender::kMale)}) {
    for (const std::string_view name : child_names(gender)) names->insert(std::string(name));
    for (const std::string_view name : animal_names(gender)) names->insert(std::string(name));
  }
  const std::set<std::string> she = {"she", "her", "herself", "girl"}, he = {"he", "him", "his", "himself", "boy"};
  const std::regex quote("\"[^\"]*\""), word("[A-Za-z]+");
  int checked = 0;
  for (uint64_t number = 0; number < 3000; ++number) {
    const std::string story = generate_story(4, number), told = std::regex_replace(story, quote, "");
    bool has_female = false, has_male = false, has_she = false, has_he = false;
    for (std::sregex_iterator it(told.begin(), told.end(), word), end; it != end; ++it) {
      std::string text = it->str();
      has_female |= female.count(text) != 0;
      has_male |= male.count(text) != 0;
      text[0] = static_cast<char>(std::tolower(text[0]));
      has_she |= she.count(text) != 0;
      has_he |= he.count(text) != 0;
      has_female |= text == "mom" || text == "grandma";
      has_male |= text == "dad" || text == "grandpa";
    }
    EXPECT_TRUE(has_female || !has_she) << story;
    EXPECT_TRUE(has_male || !has_he) << story;
    checked += has_female != has_male;
  }
  EXPECT_GT(checked, 300);
}

TEST(StoryGrammar, EveryRowFillsItsFacts) {
  ASSERT_GE(story_plots().size(), 15u);
  std::set<std::string_view> names;
  for (const Plot& plot : story_plots()) {
    names.insert(plot.name);
    EXPECT_GE(plot.rows.size(), 5u) << plot.name;
    for (const auto& row : plot.rows) EXPECT_EQ(row.size(), plot.facts.size()) << plot.name << ": " << row[0];
  }
  EXPECT_EQ(names.size(), story_plots().size());
}

TEST(StoryTemplate, ExpandsSlotsAndChoices) {
  Philox random(1);
  const StoryTemplate::Words words = {
      {"hero", "Ann"}, {"he", "she"}, {"thing", "[old box|old box]"}, {"again", "{hero}!"}};
  const StoryTemplate text(random, words);
  EXPECT_EQ(text.expand("{hero} saw {a thing}. {He} said {again}[|]"), "Ann saw an old box. She said Ann!");
  EXPECT_EQ(text.expand("{A hero} [x[y]|x[y]]"), "A Ann xy");
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(text.expand("[a|b[c|d]|]"));
  EXPECT_EQ(seen, (std::set<std::string>{"a", "bc", "bd", ""}));
  for (const char* const bad : {"{nothing}", "{hero", "[a|b", "[a|[b]"}) {
    test::expect_error(ErrorCode::kInternal, {"story grammar"}, [&] { text.expand(bad); });
  }
}

}  // namespace
}  // namespace fabula::text
