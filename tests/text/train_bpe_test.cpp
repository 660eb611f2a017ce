#include "text/train_bpe.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "text/byte_alphabet.hpp"
#include "text/corpus.hpp"
#include "text/documents.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

TEST(TrainBpe, LearnsWhatAPlainTrainerLearns) {
  const nlohmann::json fixture = test::read_fixture("small_bpe.json");
  const std::string training = fixture.at("training");
  const std::string_view document = training;
  const Tokenizer trained = train_bpe(std::span(&document, 1), {.vocab_size = 700});
  EXPECT_EQ(trained.vocab_size(), fixture.at("vocab_size").get<uint32_t>());
  EXPECT_EQ(trained.eot_id(), trained.vocab_size() - 1);
  const auto expected = fixture.at("merges").get<std::vector<std::string>>();
  ASSERT_EQ(trained.parts().merges.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const Merge& merge = trained.parts().merges[i];
    EXPECT_EQ(
        to_byte_alphabet(trained.token_bytes(merge.left)) + " " + to_byte_alphabet(trained.token_bytes(merge.right)),
        expected[i])
        << "merge " << i;
    EXPECT_EQ(merge.result, 256 + i);
  }
  EXPECT_EQ(trained.fingerprint(), test::small_tokenizer().fingerprint());
}

TEST(TrainBpe, DoesNotDependOnThreads) {
  const std::string corpus = generate_corpus(5, 400);
  const std::vector<std::string_view> documents = split_documents(corpus);
  const Tokenizer one = train_bpe(documents, {.vocab_size = 900, .threads = 1});
  for (const size_t threads : {2, 3, 7}) {
    EXPECT_EQ(train_bpe(documents, {.vocab_size = 900, .threads = threads}).fingerprint(), one.fingerprint());
  }
  EXPECT_EQ(one.vocab_size(), 900u);
  EXPECT_LT(one.encode(corpus).size() * 2, corpus.size());  // a token stands for more than two bytes
}

TEST(TrainBpe, StopsWhenNoPairIsLeft) {
  const std::string_view document = "aaaa aaaa";
  const Tokenizer trained = train_bpe(std::span(&document, 1), {.vocab_size = 5000, .min_count = 1});
  EXPECT_EQ(trained.encode("aaaa aaaa").size(), 2u);
  EXPECT_LT(trained.vocab_size(), 265u);
  const Tokenizer strict = train_bpe(std::span(&document, 1), {.vocab_size = 5000, .min_count = 1000});
  EXPECT_EQ(strict.vocab_size(), 257u);
}

TEST(TrainBpe, BadRequestsAreErrors) {
  const std::string_view document = "abc", empty;
  test::expect_error(ErrorCode::kInvalidArgument, {"256", "257"},
                     [&] { train_bpe(std::span(&document, 1), {.vocab_size = 256}); });
  test::expect_error(ErrorCode::kInvalidArgument, {"no text"}, [&] { train_bpe(std::span(&empty, 1), {}); });
  test::expect_error(ErrorCode::kInvalidArgument, {"no text", "0 documents"}, [&] { train_bpe({}, {}); });
}

TEST(Documents, AreSplitAndTrimmed) {
  using Documents = std::vector<std::string_view>;
  EXPECT_EQ(split_documents("\na\nb\n<|endoftext|>\n\n<|endoftext|>\n \n<|endoftext|>c<|endoftext|>"),
            (Documents{"a\nb", "c"}));
  EXPECT_EQ(split_documents("alone"), Documents{"alone"});
  EXPECT_EQ(split_documents(" <|endoftext"), Documents{" <|endoftext"});
  EXPECT_TRUE(split_documents("").empty());
  EXPECT_TRUE(split_documents("<|endoftext|><|endoftext|>\n").empty());
  EXPECT_EQ(split_documents("a\r\n<|endoftext|>\r\nb\r\n"), (Documents{"a", "b"}));
}

}  // namespace
}  // namespace fabula::text
