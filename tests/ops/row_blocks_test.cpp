// Values larger than the device's storage range go by row blocks, with the same results.
#include <gtest/gtest.h>

#include "graph/check.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {

struct Setting {
  const char *op, *op_case;
  std::uint64_t range;  ///< bytes; a row quantum of the widest value fits, the value does not
};

class RowBlocks : public testing::TestWithParam<Setting> {};

TEST_P(RowBlocks, GiveTheSameResults) {
  const graph::OpEntry& op = ops::op_table().find(GetParam().op);
  vk::DeviceProfile profile = device().profile();
  profile.limits.max_storage_range = GetParam().range;
  bool found = false;
  for (const graph::OpCase& op_case : op.cases()) {
    if (op_case.name != GetParam().op_case) continue;
    found = true;
    for (const auto& result :
         graph::check_case(device(), ops::op_table(), op, op_case, {.repeats = 2, .profile = &profile}))
      EXPECT_TRUE(result.ok) << result.op << "/" << result.case_name << " variant '" << result.variant
                             << "': " << result.detail;
  }
  EXPECT_TRUE(found) << GetParam().op << " has no case " << GetParam().op_case;
}

INSTANTIATE_TEST_SUITE_P(
    Ops, RowBlocks,
    testing::Values(
        Setting{"layer_norm", "even_130x256", 64 * 1024},  // x: blocks of 64, 64, 2
        Setting{"layer_norm_backward", "even_130x256", 64 * 1024},
        Setting{"layer_norm_backward", "tall_3001x7", 32 * 1024},
        Setting{"layer_norm_backward", "residual_130x512", 128 * 1024}, Setting{"rms_norm", "even_130x256", 64 * 1024},
        Setting{"rms_norm_backward", "tall_3001x7", 32 * 1024},
        Setting{"rms_norm_backward", "residual_130x512", 128 * 1024},
        Setting{"rotary", "blocks_2x100_heads4x32", 32 * 1024},  // x and the angles
        Setting{"repeat_heads", "blocks_131_heads2x16_four_times", 64 * 512},
        Setting{"repeat_heads_backward", "blocks_131_heads2x16_four_times", 64 * 512},
        Setting{"embedding", "wide_70x200x513", 2064 * 64},              // table and y
        Setting{"embedding_backward", "wide_70x200x513", 2064 * 64},     // table and d_y
        Setting{"embedding_backward", "frequent_1500x7x18", 64 * 1024},  // d_y alone: partial rows over blocks
        Setting{"embedding_backward_add", "wide_70x200x513", 2064 * 64},
        Setting{"embedding_backward_add", "frequent_1500x7x18", 64 * 1024},
        Setting{"add_position", "whole_table", 2048}, Setting{"add_position_backward", "whole_table", 2048},
        Setting{"add_position_backward", "single_position", 64 * 64}, Setting{"dropout", "mask_129x70", 32 * 1024},
        Setting{"clip_scale", "chunks_4200x520", 256 * 1024}, Setting{"clip_scale", "no_clipping_five", 40 * 1024},
        Setting{"adamw", "five_tensors", 40 * 1024}, Setting{"scale_by", "odd_130x33", 64 * 144},
        Setting{"concat_rows", "blocks_130x70_and_201", 64 * 288},  // rows move from block to block
        Setting{"slice_rows", "blocks_of_331x70", 64 * 288}, Setting{"expand", "wide_70x513", 64 * 2064},
        Setting{"expand", "ids_100x300x77", 64 * 320},
        Setting{"embed_tokens", "i8_6x5x130x77", 64 * 80},  // bytes and their scales
        Setting{"add_class_vectors", "wide_8x300x224x513", 64 * 2064},
        Setting{"concat_columns", "blocks_131x70_and_130", 64 * 800}, Setting{"row_max", "130x225", 64 * 912},
        Setting{"cross_entropy", "counts_130x1100", 64 * 4400},
        Setting{"cross_entropy_backward", "counts_130x225", 64 * 912},
        Setting{"group_affine", "residual_130x224x225", 64 * 912},  // positions and groups
        Setting{"group_affine_backward", "paper_130x224x225", 64 * 912},
        Setting{"prototype_scores", "blocks_130x512_221x2", 64 * 3824},
        Setting{"prototype_scores_backward", "blocks_130x512_221x2", 64 * 3824},
        Setting{"grouped_all_logits", "blocks_130x130x33", 64 * 4 * 4164},  // rows
        Setting{"grouped_all_logits", "sparse_3x150x64", 64 * 256},
        Setting{"grouped_log_softmax", "blocks_130x7_50x21", 64 * 4 * 1060},
        Setting{"grouped_joint", "blocks_130x7_50x21", 64 * 4 * 1060},
        Setting{"sample_tokens", "blocks_130x500", 64 * 4 * 500},  // rows and slots
        Setting{"row_product", "long_2x5003x6", 64 * 1024},        // K
        Setting{"row_product", "i8_1x256x300_nt", 64 * 256}, Setting{"embed_tokens", "wide_8x8x300x513", 64 * 2064}),
    [](const auto& setting) { return std::string(setting.param.op) + "_" + setting.param.op_case; });

}  // namespace
}  // namespace fabula::test
