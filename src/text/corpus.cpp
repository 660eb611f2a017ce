#include "text/corpus.hpp"

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "text/documents.hpp"
#include "text/story_grammar.hpp"
#include "text/story_template.hpp"

namespace fabula::text {
namespace {

/// Binds a character's name and pronouns under a prefix: "" for the hero, "f" for the friend, "e" for the grown-up.
void bind_pronouns(StoryTemplate::Words& words, std::string_view prefix, Gender gender) {
  const bool female = gender == Gender::kFemale;
  const auto bind = [&](std::string_view name, std::string_view value) {
    words[fmt::format("{}{}", prefix, name)] = value;
  };
  bind("he", female ? "she" : "he");
  bind("him", female ? "her" : "him");
  bind("his", female ? "her" : "his");
  bind("himself", female ? "herself" : "himself");
}

/// Chooses who is in the story and what it is about.
class StoryMaker {
 public:
  explicit StoryMaker(uint64_t seed, uint64_t number) : random_(seed, number) {}

  std::string tell() {
    const Plot& plot = pick(std::span(story_plots()));
    const bool animals = plot.cast == Cast::kAnimals || (plot.cast == Cast::kAnyone && random_.below(3) == 0);
    bind_hero_and_friend(animals);
    bind_grown_up();
    const std::vector<std::string_view>& row = pick(std::span(plot.rows));
    for (size_t i = 0; i < plot.facts.size(); ++i) words_[std::string(plot.facts[i])] = row.at(i);
    const StoryTemplate expansion(random_, words_);
    std::string story = expansion.expand(animals ? "{opening_animal}" : "{opening_child}");
    if (random_.below(2) == 0) story += " " + expansion.expand(animals ? "{detail_animal}" : "{detail_child}");
    for (const std::string_view paragraph : plot.paragraphs) {
      story += "\n";
      story += expansion.expand(paragraph);
    }
    return story;
  }

 private:
  template <class T>
  const T& pick(std::span<const T> choices) {
    return choices[random_.below(static_cast<uint32_t>(choices.size()))];
  }
  Gender pick_gender() { return random_.below(2) == 0 ? Gender::kFemale : Gender::kMale; }

  void bind_hero_and_friend(bool animals) {
    const Gender gender = pick_gender(), friend_gender = pick_gender();
    const auto names = [&](Gender of) { return animals ? animal_names(of) : child_names(of); };
    words_["hero"] = pick(names(gender));
    do {
      words_["friend"] = pick(names(friend_gender));
    } while (words_["friend"] == words_["hero"]);
    bind_pronouns(words_, "", gender);
    bind_pronouns(words_, "f", friend_gender);
    if (animals) {
      const Species &species = pick(animal_species()), &friend_species = pick(animal_species());
      words_["kind"] = species.kind;
      words_["home"] = species.home;
      words_["treat"] = species.food;
      words_["fkind"] = friend_species.kind;
      words_["friend_intro"] = "{his} friend {friend} the {fkind}";
      words_["smiled"] = "{smiled_animal}";
      words_["place"] = pick(story_list("place_animal"));
    } else {
      words_["kind"] = gender == Gender::kFemale ? "girl" : "boy";
      words_["home"] = "house";
      words_["treat"] = pick(story_list("food"));
      words_["fkind"] = friend_gender == Gender::kFemale ? "girl" : "boy";
      words_["friend_intro"] = "{his} friend {friend}";
      words_["smiled"] = "{smiled_child}";
      words_["place"] = pick(story_list("place_child"));
    }
    words_["trait"] = pick(story_list("trait_word"));
    words_["color"] = pick(story_list("color_word"));
    words_["toy"] = pick(story_list("toy_word"));
  }

  void bind_grown_up() {
    struct GrownUp {
      std::string_view noun, call;
      Gender gender;
    };
    constexpr GrownUp kGrownUps[] = {{"mom", "Mom", Gender::kFemale},         {"mom", "Mom", Gender::kFemale},
                                     {"dad", "Dad", Gender::kMale},           {"dad", "Dad", Gender::kMale},
                                     {"grandma", "Grandma", Gender::kFemale}, {"grandpa", "Grandpa", Gender::kMale}};
    const GrownUp& grown_up = pick(std::span<const GrownUp>(kGrownUps));
    words_["elder"] = fmt::format("{{his}} {}", grown_up.noun);
    words_["elder_call"] = grown_up.call;
    bind_pronouns(words_, "e", grown_up.gender);
  }

  Philox random_;
  StoryTemplate::Words words_;
};

}  // namespace

std::string generate_story(uint64_t seed, uint64_t number) {
  return StoryMaker(seed, number).tell();
}

void write_corpus(uint64_t seed, uint64_t stories, const std::function<void(std::string_view)>& write) {
  for (uint64_t number = 0; number < stories; ++number) write(ended_document(generate_story(seed, number)));
}

uint64_t write_corpus_file(const std::filesystem::path& path, uint64_t seed, uint64_t stories) {
  AtomicFile file(path);
  write_corpus(seed, stories, [&](std::string_view story) { file.write(story); });
  file.commit();
  return file.size();
}

std::string generate_corpus(uint64_t seed, uint64_t stories) {
  std::string text;
  write_corpus(seed, stories, [&](std::string_view story) { text += story; });
  return text;
}

}  // namespace fabula::text
