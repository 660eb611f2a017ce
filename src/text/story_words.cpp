#include <algorithm>
#include <iterator>

#include "text/story_grammar.hpp"

namespace fabula::text {
namespace {

using Words = std::span<const std::string_view>;

constexpr std::string_view kGirls[] = {"Lily",  "Mia",  "Anna",  "Sara", "Ella",  "Nora", "Zoe",   "Ruby",
                                       "Clara", "Emma", "Lucy",  "Rosa", "Ivy",   "Maya", "Hanna", "Tess",
                                       "Nina",  "Eva",  "Daisy", "Amy",  "Kate",  "Lena", "June",  "Olga",
                                       "Priya", "Aiko", "Fatma", "Ines", "Marta", "Wendy"};
constexpr std::string_view kBoys[] = {"Tom",   "Ben",   "Max",   "Sam",  "Leo",   "Tim",  "Jack",  "Finn",
                                      "Oscar", "Hugo",  "Noah",  "Paul", "Eli",   "Adam", "Peter", "Omar",
                                      "Luca",  "Felix", "Theo",  "Will", "Jonas", "Ravi", "Kenji", "Diego",
                                      "Ivan",  "Mark",  "Anton", "Nico", "Bruno", "Emil"};
constexpr std::string_view kAnimalGirls[] = {"Poppy",  "Bella", "Dotty", "Hazel", "Pearl", "Willow",
                                             "Minnie", "Honey", "Luna",  "Tilly", "Maple", "Penny"};
constexpr std::string_view kAnimalBoys[] = {"Pip",  "Benny",  "Rusty", "Milo",  "Bob", "Chester",
                                            "Toby", "Snuffy", "Ollie", "Rocky", "Gus", "Barney"};
constexpr Species kSpecies[] = {{"rabbit", "burrow", "carrots"},    {"fox", "den", "berries"},
                                {"bear", "cave", "honey cakes"},    {"mouse", "hole", "cheese crackers"},
                                {"squirrel", "tree", "nuts"},       {"hedgehog", "nest", "apples"},
                                {"duck", "nest", "peas"},           {"frog", "hollow log", "plums"},
                                {"owl", "tree", "seeds"},           {"turtle", "mud house", "green leaves"},
                                {"kitten", "basket", "fish cakes"}, {"puppy", "kennel", "biscuits"},
                                {"pony", "stable", "oat cakes"},    {"lamb", "barn", "clover buns"},
                                {"piglet", "barn", "pears"},        {"beaver", "lodge", "willow buds"},
                                {"badger", "den", "mushrooms"},     {"deer", "thicket", "chestnuts"}};

constexpr std::string_view kTraits[] = {"kind",     "curious",  "brave",   "quiet",   "funny",  "gentle",  "clever",
                                        "cheerful", "shy",      "playful", "careful", "lively", "helpful", "polite",
                                        "patient",  "friendly", "honest",  "dreamy",  "busy",   "proud"};
constexpr std::string_view kColors[] = {"red",  "blue",  "green", "yellow", "orange", "purple",
                                        "pink", "white", "brown", "silver", "golden"};
constexpr std::string_view kToys[] = {"ball",  "kite",    "doll", "drum",    "puzzle", "teddy bear", "boat",
                                      "train", "car",     "hat",  "scarf",   "bell",   "whistle",    "bucket",
                                      "robot", "balloon", "book", "blanket", "crown",  "lantern"};
constexpr std::string_view kFood[] = {"cookies", "apples", "cherries",     "pancakes",    "grapes",  "sandwiches",
                                      "muffins", "pears",  "strawberries", "honey cakes", "raisins", "waffles"};
constexpr std::string_view kChildPlaces[] = {"park", "garden", "playground", "beach", "forest", "farm",
                                             "lake", "market", "meadow",     "hill",  "river",  "village square"};
constexpr std::string_view kAnimalPlaces[] = {"meadow", "pond",  "forest", "hill",
                                              "river",  "field", "valley", "old oak tree"};

constexpr std::string_view kDays[] = {"One day",      "One morning",       "One afternoon",  "One bright day",
                                      "One warm day", "One quiet morning", "One spring day", "One summer day"};
constexpr std::string_view kHappily[] = {"very happy", "so happy",        "full of joy",
                                         "glad",       "happy and proud", "delighted"};
constexpr std::string_view kSadly[] = {"sad", "very sad", "upset", "unhappy", "so sad that {he} wanted to cry"};
constexpr std::string_view kSmiles[] = {"smiled", "laughed", "grinned", "smiled a big smile", "clapped and laughed",
                                        "giggled"};
constexpr std::string_view kAnimalSmiles[] = {"smiled",         "laughed", "grinned", "smiled a big smile",
                                              "jumped for joy", "giggled"};
constexpr std::string_view kHobbies[] = {"to paint pictures",        "to sing songs",        "to climb trees",
                                         "to look at the clouds",    "to collect shells",    "to dance in the kitchen",
                                         "to read about dragons",    "to jump in puddles",   "to build towers",
                                         "to ask questions",         "to count the stars",   "to play in the sand",
                                         "to listen to old stories", "to ride on the swing", "to draw maps"};
constexpr std::string_view kAnimalHobbies[] = {
    "to run in the tall grass", "to roll down the hill",  "to nap in the sun",        "to look at the moon",
    "to splash in the water",   "to smell the flowers",   "to hide behind the rocks", "to chase leaves",
    "to eat {treat}",           "to sing with the birds", "to dig in the soft ground"};
constexpr std::string_view kChildOpenings[] = {
    "Once upon a time, there was a [little|small|young] {kind} named {hero}. {He} was {a trait} {kind} who loved "
    "{hobby}.",
    "{hero} was {a trait} [little |]{kind}. {He} lived with {elder} in a [small|cozy|white|tall] house near the "
    "{place}.",
    "There was once a {kind} called {hero}. {He} had {a color} {toy} and liked {hobby}.",
    "{hero} was a [little|young] {kind} who liked {hobby}. Everyone said that {he} was very {trait}.",
    "In a [small|quiet|little] town there lived a {kind} named {hero}. {He} was {trait} and loved {hobby}.",
    "[Long ago|A long time ago], a [little|young] {kind} named {hero} lived near a [big|green|quiet] {place}. {He} "
    "loved {hobby}."};
constexpr std::string_view kAnimalOpenings[] = {
    "Once upon a time, there was a [little|small|young] {kind} named {hero}. {He} was {trait} and loved "
    "{hobby_animal}.",
    "{hero} was {a trait} [little |]{kind}. {He} lived in a [warm|cozy|small] {home} near the {place}.",
    "In a [green|quiet|deep] forest there lived {a kind} called {hero}. Every day {he} liked {hobby_animal}.",
    "There was once a [little|young] {kind} named {hero}, who lived with {elder} in [an old|a cozy|a dry] {home}. {He} "
    "loved {hobby_animal}.",
    "[Long ago|A long time ago], {a trait} {kind} named {hero} had a {home} by the {place}. {He} liked "
    "{hobby_animal}."};
constexpr std::string_view kChildDetails[] = {
    "{He} had [curly|short|long] hair and a [loud|soft|happy] voice.",
    "Every evening, {elder} told {him} a story about [pirates|a lost princess|a flying ship|a sleepy giant].",
    "{His} room was full of [books|stones|feathers|drawings|buttons].",
    "{He} always wore {a color} [coat|sweater|cap|ribbon].",
    "In {his} pocket {he} kept [a smooth stone|a piece of string|three nuts|a tiny mirror] for good luck.",
    "In the morning {he} ate [bread with jam|eggs and toast|a bowl of rice|warm porridge] and ran outside.",
    "{He} had a {pet} named {pet_name} that followed {him} around.",
    "When {he} was older, {he} wanted to be [a doctor|a teacher|a painter|a captain|a cook|a farmer].",
    "On Sundays {he} helped {elder} to [wash the dishes|feed the hens|water the plants|sweep the floor]."};
constexpr std::string_view kAnimalDetails[] = {
    "{He} had [a soft voice|a warm heart|a quick step] and [bright|round|dark] eyes.",
    "{His} [ears|feet|eyes] were very [big|small|funny].",
    "Every night {he} slept on a bed of [moss|dry leaves|feathers|straw].",
    "In the morning {he} washed {his} face in the [cool|clear] stream.",
    "{Elder} knew every [path|tree|stone|secret] in the forest.",
    "The other animals liked {him} because {he} was [so funny|never mean|always ready to help].",
    "In winter it was [cold|white and still] there, but in summer everything was [green|full of flowers].",
    "{His} favorite food was [a plate of |some fresh |]{treat}."};
constexpr std::string_view kPets[] = {"cat", "dog", "goat", "parrot", "hen", "hamster"};
constexpr std::string_view kPetNames[] = {"Biscuit", "Fluffy", "Button", "Pepper", "Spot", "Muffin"};
constexpr std::string_view kEndings[] = {"From that day on, {hero} and {friend} were the best of friends.",
                                         "That night, {hero} fell asleep with a smile.",
                                         "At bedtime, {hero} and {elder} talked about it once more.",
                                         "It was the best day of the [week|year|summer].",
                                         "And {hero} never forgot that day.",
                                         "{hero} was {happily}, and so was {friend}.",
                                         "Then they all went home to eat {treat}.",
                                         "In the evening, {elder} gave {him} a big hug. The end.",
                                         "They lived happily ever after.",
                                         "When the sun went down, {hero} was tired but {happily}."};
constexpr std::string_view kThanks[] = {
    "\"Thank you so much!\" said {hero}.", "\"Oh, thank you, {friend}!\" {hero} said.",
    "{hero} said thank you and gave {friend} a hug.", "\"You are a good friend,\" said {hero}. \"Thank you.\""};

struct List {
  std::string_view name;
  Words words;
};

constexpr List kLists[] = {{"trait_word", kTraits},
                           {"color_word", kColors},
                           {"toy_word", kToys},
                           {"food", kFood},
                           {"place_child", kChildPlaces},
                           {"place_animal", kAnimalPlaces},
                           {"one_day", kDays},
                           {"happily", kHappily},
                           {"sadly", kSadly},
                           {"smiled_child", kSmiles},
                           {"smiled_animal", kAnimalSmiles},
                           {"hobby", kHobbies},
                           {"hobby_animal", kAnimalHobbies},
                           {"opening_child", kChildOpenings},
                           {"opening_animal", kAnimalOpenings},
                           {"detail_child", kChildDetails},
                           {"detail_animal", kAnimalDetails},
                           {"pet", kPets},
                           {"pet_name", kPetNames},
                           {"ending", kEndings},
                           {"thanks", kThanks}};

}  // namespace

std::span<const std::string_view> story_list(std::string_view name) {
  const List* const found =
      std::find_if(std::begin(kLists), std::end(kLists), [&](const List& list) { return list.name == name; });
  return found != std::end(kLists) ? found->words : Words();
}

std::span<const std::string_view> child_names(Gender gender) {
  return gender == Gender::kFemale ? Words(kGirls) : Words(kBoys);
}

std::span<const std::string_view> animal_names(Gender gender) {
  return gender == Gender::kFemale ? Words(kAnimalGirls) : Words(kAnimalBoys);
}

std::span<const Species> animal_species() {
  return kSpecies;
}

}  // namespace fabula::text
