// Gradients leave in the order in which they become final, each once.
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/config_io.hpp"
#include "train/gradient_exchange.hpp"

namespace fabula::train {
namespace {

TEST(GradientBuckets, HoldEveryRowOnceBehindItsLastWriter) {
  for (const std::int64_t accumulation : {1, 2}) {
    RunConfig config = parse_config(R"({"model_type": "gpt2", "vocab_size": 9000, "n_positions": 16, "n_embd": 128,
      "n_layer": 2, "n_head": 2, "tie_word_embeddings": true, "head": {"kind": "fused"}})",
                                    "this test");
    config.train.batch_size = 1;
    config.train.grad_accumulation = accumulation;
    const models::LanguageModel model(config.model);
    const TrainingPlan plan = plan_training({}, model, config.train, {.with_extras = false});
    const graph::Graph& graph = plan.workload.graphs().at(plan.graphs.accumulate.index).graph;
    const std::vector<GradientBucket> buckets = gradient_buckets(graph);
    std::map<std::string, std::int64_t> rows;
    std::int32_t before = -1;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      EXPECT_GE(buckets[b].last_writer, before);
      before = buckets[b].last_writer;
      std::int64_t bytes = 0;
      for (const graph::StoredRows& part : buckets[b].rows) {
        EXPECT_EQ(part.begin, rows[part.name]) << part.name;
        rows[part.name] = part.end;
        const graph::Value value = graph.find(part.name);
        bytes += (part.end - part.begin) * graph.shape(value).row_bytes();
        for (std::size_t n = static_cast<std::size_t>(buckets[b].last_writer) + 1; n < graph.nodes().size(); ++n) {
          const graph::Node& node = graph.nodes()[n];
          EXPECT_EQ(std::count(node.outputs.begin(), node.outputs.end(), value), 0) << part.name;
          for (const std::size_t i : graph::mutated_inputs(graph, node))
            EXPECT_FALSE(i < node.inputs.size() && node.inputs[i] == value) << part.name << " by " << node.label;
        }
      }
      EXPECT_LE(bytes, b == 0 ? kFirstBucketBytes : kBucketBytes);
    }
    EXPECT_GE(buckets.size(), 2u);
    const auto specs = model.trained_parameters();
    EXPECT_EQ(rows.size(), specs.size() + 1);  // and the loss
    for (const graph::ParameterSpec& spec : specs)
      EXPECT_EQ(rows.at(std::string(graph::kGradientPrefix) + spec.name), spec.shape.rows) << spec.name;
    // The look-up and the product share the table: no other gradient is final after it.
    const std::string table = std::string(graph::kGradientPrefix) + model.body().token_embedding().name;
    const auto& last = buckets.back().rows;
    EXPECT_TRUE(std::any_of(last.begin(), last.end(), [&](const auto& part) { return part.name == table; }));
  }
}

}  // namespace
}  // namespace fabula::train
