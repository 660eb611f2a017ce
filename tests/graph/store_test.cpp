// What the store holds: every type, up and down; and graphs that share a name agree on what it is.
#include <gtest/gtest.h>

#include <numeric>

#include "expect_error.hpp"
#include "graph/device_test.hpp"
#include "graph/runtime.hpp"
#include "ops/op_table.hpp"

namespace fabula::test {
namespace {
using graph::DType;
using graph::Graph;
using graph::Runtime;
using graph::Shape;
using graph::Workload;

constexpr DType kAll[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kU32, DType::kI8};

class Store : public DeviceTest {
 protected:
  /// A runtime whose store holds states of these shapes, one a name: "0", "1", ...
  Runtime holding(const std::vector<Shape>& shapes) {
    Graph graph(ops::op_table());
    for (std::size_t i = 0; i < shapes.size(); ++i) graph.state(std::to_string(i), shapes[i]);
    Workload workload(device_->profile());
    workload.add("holds", std::move(graph));
    return {*device_, std::move(workload)};
  }
};

std::vector<std::byte> counting_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(1 + i % 255);
  return bytes;
}

TEST_F(Store, GivesBackTheElementsOfEveryType) {
  std::vector<Shape> shapes;
  for (const DType dtype : kAll) shapes.push_back({5, 19, dtype});
  Runtime runtime = holding(shapes);
  const auto elements = [&](std::size_t i) {
    return counting_bytes(static_cast<std::size_t>(shapes[i].rows * shapes[i].dense_row_bytes()));
  };
  for (std::size_t i = 0; i < shapes.size(); ++i) runtime.upload(std::to_string(i), shapes[i].dtype, elements(i));
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    std::vector<std::byte> back(elements(i).size());
    runtime.download(std::to_string(i), shapes[i].dtype, back);
    EXPECT_EQ(back, elements(i)) << to_string(shapes[i].dtype);
  }
}

TEST_F(Store, RoundsNumbersAndKeepsWords) {
  Runtime runtime = holding({{2, 3, DType::kF16}, {2, 3, DType::kU32}});
  const std::vector<float> numbers{1, -2, 0.1f, 4, 5, 6};
  runtime.upload("0", numbers);
  std::vector<float> rounded(6);
  runtime.download("0", rounded);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(rounded[i], graph::half_value(DType::kF16, graph::half_bits(DType::kF16, numbers[i])));
  std::vector<std::byte> halves(12);
  runtime.download("0", DType::kF16, halves);
  EXPECT_EQ(reinterpret_cast<const std::uint16_t*>(halves.data())[2], graph::half_bits(DType::kF16, 0.1f));
  const std::vector<std::uint32_t> words{1, 2, 3, 0xFFFFFFFFu, 5, 6};
  runtime.upload("1", words);
  std::vector<std::uint32_t> back(6);
  runtime.download("1", std::span<std::uint32_t>(back));
  EXPECT_EQ(back, words);
}

TEST_F(Store, RowsGoWithTheNextSubmission) {
  Graph graph(ops::op_table());
  const graph::Value state = graph.state("words", {3, 6, DType::kU32});
  graph.keep(state);
  Workload workload(device_->profile());
  workload.add("tells", std::move(graph));
  Runtime runtime(*device_, std::move(workload));
  const auto row = [](std::uint32_t first) {
    std::vector<std::uint32_t> words(6);
    std::iota(words.begin(), words.end(), first);
    return words;
  };
  std::vector<std::uint32_t> expected(18, 0);
  const auto write = [&](std::int64_t at, std::uint32_t first) {
    const std::vector<std::uint32_t> words = row(first);
    runtime.upload_row("words", at, std::span<const std::uint32_t>(words));
    std::copy(words.begin(), words.end(), expected.begin() + 6 * at);
  };
  runtime.submit({0});  // recorded
  for (std::uint32_t round = 1; round <= 5; ++round) {
    const std::uint64_t before = device_->submissions();
    write(0, 100 * round);
    write(2, 200 * round);
    write(2, 300 * round);  // over the one before
    EXPECT_EQ(device_->submissions(), before);
    runtime.submit({0});
    EXPECT_EQ(device_->submissions(), before + 1);
    EXPECT_EQ(runtime.read_words(0, state), expected);
  }
  write(1, 7);  // without a graph
  std::vector<std::uint32_t> back(18);
  runtime.download("words", std::span<std::uint32_t>(back));
  EXPECT_EQ(back, expected);
  write(1, 8);
  runtime.upload("words", std::vector<std::uint32_t>(18, 5));  // comes behind the row
  runtime.submit({0});
  EXPECT_EQ(runtime.read_words(0, state), std::vector<std::uint32_t>(18, 5));
}

TEST_F(Store, GoesByPiecesWhereABlockIsTooSmall) {
  vk::DeviceProfile small = device_->profile();
  small.limits.max_allocation = 4096;
  Graph graph(ops::op_table());
  graph.state("codes", {300, 17, DType::kI8});  // 64 rows take 2,048 bytes
  Workload workload(small);
  workload.add("holds", std::move(graph));
  ASSERT_GT(workload.stored().at("codes").placement.pieces.size(), 1u);
  Runtime runtime(*device_, std::move(workload));
  const std::vector<std::byte> bytes = counting_bytes(300 * 17);
  runtime.upload("codes", DType::kI8, bytes);
  std::vector<std::byte> back(bytes.size());
  runtime.download("codes", DType::kI8, back);
  EXPECT_EQ(back, bytes);
}

TEST_F(Store, RefusesWhatIsOfAnotherTypeOrSize) {
  Runtime runtime = holding({{2, 3, DType::kI8}, {2, 3, DType::kU32}, {2, 3}});
  std::vector<float> numbers(6);
  std::vector<std::uint32_t> words(6);
  std::vector<std::byte> bytes(6), halves(12);
  const auto refused = [](const std::vector<std::string>& parts, const std::function<void()>& action) {
    expect_error(ErrorCode::kInternal, parts, action);
  };
  refused({"\"0\"", "i8", "fp32"}, [&] { runtime.upload("0", numbers); });
  refused({"\"1\"", "u32", "fp32"}, [&] { runtime.upload("1", numbers); });
  refused({"\"2\"", "fp32", "u32"}, [&] { runtime.upload("2", words); });
  refused({"\"1\"", "u32", "i8"}, [&] { runtime.download("1", DType::kI8, bytes); });
  refused({"\"2\"", "fp32", "fp16"}, [&] { runtime.upload("2", DType::kF16, halves); });
  refused({"\"0\"", "[2, 3] i8", "12 elements"}, [&] { runtime.upload("0", DType::kI8, halves); });
  refused({"\"1\"", "[2, 3] u32", "5 elements"}, [&] { runtime.upload("1", std::span(words).first(5)); });
  refused({"\"3\""}, [&] { runtime.upload("3", numbers); });
}

TEST_F(Store, RefusesInputsOfAnotherType) {
  Graph graph(ops::op_table());
  graph.input("ids", {1, 3}, DType::kU32);
  graph.input("halves", {1, 3}, DType::kF16);
  graph.state("state", {1, 3});
  Workload workload(device_->profile());
  workload.add("reads", std::move(graph));
  Runtime runtime(*device_, std::move(workload));
  const std::vector<float> numbers(3);
  const std::vector<std::uint32_t> words(3);
  expect_error(ErrorCode::kInternal, {"\"ids\"", "\"reads\"", "u32", "fp32"},
               [&] { runtime.set_input(0, "ids", numbers); });
  expect_error(ErrorCode::kInternal, {"\"halves\"", "\"reads\"", "fp16", "words"},
               [&] { runtime.set_input(0, "halves", words); });
  expect_error(ErrorCode::kInternal, {"\"state\"", "\"reads\""}, [&] { runtime.set_input(0, "state", words); });
}

TEST_F(Store, BytesAreNotTakenForNumbers) {
  Graph graph(ops::op_table());
  graph.op("add", {graph.state("a", {2, 3, DType::kI8}), graph.state("b", {2, 3, DType::kI8})});
  Workload workload(device_->profile());
  workload.add("sum", std::move(graph));
  Runtime runtime(*device_, std::move(workload));
  expect_error(ErrorCode::kInternal, {"\"add\"", "signed bytes"}, [&] { runtime.submit({0}); });
}

TEST(WorkloadStore, GraphsThatShareANameAgreeOnShapeTypeAndRole) {
  const auto add = [](Workload& workload, const std::string& name, const std::function<void(Graph&)>& declare) {
    Graph graph(ops::op_table());
    declare(graph);
    workload.add(name, std::move(graph));
  };
  const auto refused = [&](const std::vector<std::string>& parts, const std::function<void(Graph&)>& declare) {
    Workload workload(vk::DeviceProfile{});
    add(workload, "first", [](Graph& graph) { graph.parameter("x", {2, 3}); });
    expect_error(ErrorCode::kInternal, parts, [&] { add(workload, "second", declare); });
  };
  refused({"\"first\"", "parameter [2, 3]", "\"second\"", "parameter [3, 2]"}, [](Graph& graph) {
    graph.parameter("x", {3, 2});
  });
  refused({"\"first\"", "\"second\"", "parameter [2, 3] fp16"}, [](Graph& graph) {
    graph.parameter("x", {2, 3, DType::kF16});
  });
  refused({"\"first\"", "\"second\"", "state [2, 3]"}, [](Graph& graph) { graph.state("x", {2, 3}); });
  Workload workload(vk::DeviceProfile{});
  for (const char* name : {"first", "second"})
    add(workload, name, [](Graph& graph) { graph.parameter("x", {2, 3, DType::kI8}); });
  EXPECT_EQ(workload.stored().size(), 1u);
  EXPECT_EQ(workload.report().parameters, 32u);
}

}  // namespace
}  // namespace fabula::test
