// What heads say of themselves, and what they refuse.
#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "heads/small_head.hpp"
#include "heads/token_groups.hpp"

namespace fabula::heads {
namespace {
using test::expect_error;

TEST(FullHead, ATiedHeadHasNoMatrixOfItsOwn) {
  EXPECT_TRUE(head_of(config(HeadKind::kFull, true))->parameters().specs().empty());
  const auto untied = head_of(config(HeadKind::kFull, false, true))->parameters().specs();
  ASSERT_EQ(untied.size(), 2u);
  EXPECT_EQ(untied[0].name, "lm_head.weight");
  EXPECT_TRUE(untied[0].decay);
  EXPECT_EQ(untied[1].name, "lm_head.bias");
  EXPECT_FALSE(untied[1].decay);
}

TEST(Heads, SayWhatTheyAreAndHowManyLogitsTheyTake) {
  ModelConfig model = config(HeadKind::kGrouped, true, true, 8);
  model.head.modulation = HeadModulation::kPerGroup;
  model.head.shortlist = 5;
  EXPECT_EQ(head_of(model)->describe(), "grouped per_group, shortlist 5, 4 groups of 8, id_ranges, tied");
  EXPECT_EQ(head_of(model)->logits(), 5 + 4 + 8);
  model.tie_word_embeddings = false;
  model.head.modulation = HeadModulation::kLowRank;
  model.head.rank = 3;
  model.head.prototypes = 2;
  EXPECT_EQ(head_of(model)->describe(), "grouped low_rank 3, shortlist 5, 4 groups of 8, id_ranges, 2 prototypes");
  EXPECT_EQ(head_of(model)->logits(), 5 + 2 * 4 + 8 + 3);
  EXPECT_EQ(head_of(config(HeadKind::kFused, true, true))->describe(), "fused, tied, bias");
  EXPECT_EQ(head_of(config(HeadKind::kFull))->logits(), kVocabulary);
  ModelConfig adaptive = config(HeadKind::kAdaptive);
  adaptive.head.cutoffs = {3, 9};
  EXPECT_EQ(head_of(adaptive)->describe(), "adaptive, cutoffs 3 9");
  EXPECT_EQ(head_of(adaptive)->logits(), kVocabulary + 2);
}

// Rows of the first level's vectors that the input takes: groups stand behind the shortlist, whose tokens take none and
// which has no rows where it is tied.
TEST(Heads, SayWhichVectorsTheInputTakes) {
  EXPECT_EQ(head_of(config(HeadKind::kFull))->input_classes(), nullptr);
  ModelConfig model = config(HeadKind::kGrouped, false, true, 8);
  model.head.shortlist = 5;
  EXPECT_EQ(head_of(model)->input_classes(), nullptr);
  model.head.class_input = true;
  for (const bool tied : {false, true}) {
    model.tie_word_embeddings = tied;
    const auto head = head_of(model);
    const InputClasses* classes = head->input_classes();
    ASSERT_NE(classes, nullptr);
    EXPECT_EQ(classes->vectors, &head->parameters().find("lm_head.group.weight"));
    EXPECT_EQ(classes->vectors->shape.rows, tied ? 4 : 9);
    ASSERT_EQ(classes->rows.size(), kVocabulary);
    for (std::uint32_t v = 0; v < kVocabulary; ++v)
      EXPECT_EQ(classes->rows[v], v < 5 ? TokenGroups::kNone : (tied ? 0 : 5) + (v - 5) / 8) << v;
    EXPECT_NE(head->describe().find("class vectors at the input"), std::string::npos);
  }
  ModelConfig adaptive = config(HeadKind::kAdaptive);
  adaptive.head.cutoffs = {3, 9};
  adaptive.head.class_input = true;
  const auto head = head_of(adaptive);
  const std::vector<std::uint32_t>& rows = head->input_classes()->rows;
  EXPECT_EQ(std::vector(rows.begin(), rows.begin() + 4),
            (std::vector{TokenGroups::kNone, TokenGroups::kNone, TokenGroups::kNone, 3u}));
  EXPECT_EQ(rows.back(), 4u);
  model.head.prototypes = 2;
  expect_error(ErrorCode::kInvalidArgument, {"2 prototypes", "input"}, [&] { head_of(model); });
}

TEST(Heads, ATokenBeyondTheVocabularyIsRefusedByPosition) {
  for (const HeadKind kind : {HeadKind::kFull, HeadKind::kGrouped}) {
    const auto head = head_of(config(kind));
    const std::vector<std::uint32_t> labels = {0, kIgnoredLabel, 31};
    expect_error(ErrorCode::kInvalidArgument, {"token id 31", "position 2", "31 tokens"},
                 [&] { head->batch_inputs(labels, LossUse::kGradient); });
  }
}

TEST(Heads, SizesThatDoNotFitNameTheField) {
  ModelConfig empty = config(HeadKind::kFull);
  empty.vocab_size = 0;
  expect_error(ErrorCode::kInvalidArgument, {"vocab_size is 0"}, [&] { head_of(empty); });
  ModelConfig grouped = config(HeadKind::kGrouped);
  expect_error(ErrorCode::kFormat, {"5 groups", "head.groups 5", "shortlist of 2", "head.shortlist 0"},
               [&] { head_of(grouped, {.map = scattered_map(2, 5), .counts = {}}); });
  expect_error(ErrorCode::kFormat, {"a group has 31 tokens", "head.group_size is 7", "at least 31"},
               [&] { head_of(grouped, {.map = scattered_map(0, 1), .counts = {}}); });
  expect_error(ErrorCode::kInvalidArgument, {"counts of 3 tokens", "vocab_size is 31"}, [&] {
    head_of(grouped, {.map = {}, .counts = {1, 2, 3}});
  });
  ModelConfig adaptive = config(HeadKind::kAdaptive);
  adaptive.head.cutoffs = {3, 9};
  expect_error(ErrorCode::kFormat, {"clusters", "head.cutoffs"},
               [&] { head_of(adaptive, {.map = scattered_map(3, 3), .counts = {}}); });
}

}  // namespace
}  // namespace fabula::heads
