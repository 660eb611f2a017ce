#include "vk/open_device.hpp"
#include "vk/shader_table.hpp"
#include "vk/spirv.hpp"

namespace fabula::vk {
namespace {

using test::expect_error;

std::vector<std::uint32_t> words_of(const char* name) {
  const ShaderBinary* shader = find_shader(name);
  EXPECT_NE(shader, nullptr) << name;
  return shader == nullptr ? std::vector<std::uint32_t>{} : std::vector<std::uint32_t>(shader->begin, shader->end);
}

TEST(Reflect, BindingsPushConstantsAndConstants) {
  const ShaderInterface copy = reflect(words_of("test_copy"));
  ASSERT_EQ(copy.slots.size(), 2u);
  EXPECT_EQ(copy.slots[0].kind, BindingKind::kStorage);
  EXPECT_EQ(copy.slots[0].access, Access::kRead);
  EXPECT_EQ(copy.slots[1].access, Access::kWrite);
  EXPECT_EQ(copy.push_constant_bytes, sizeof(CopyPush));
  EXPECT_EQ(copy.specialization_count, 2u);

  const ShaderInterface add = reflect(words_of("test_add"));
  ASSERT_EQ(add.slots.size(), 1u);
  EXPECT_EQ(add.slots[0].access, Access::kReadWrite);
  EXPECT_EQ(add.specialization_count, 0u);

  const ShaderInterface texel = reflect(words_of("test_texel"));
  ASSERT_EQ(texel.slots.size(), 2u);
  EXPECT_EQ(texel.slots[0].kind, BindingKind::kTexel);
  EXPECT_EQ(texel.slots[0].access, Access::kRead);
  EXPECT_EQ(reflect(words_of("row_product_texel_nn")).slots.at(2).kind, BindingKind::kTexelWords);
}

TEST(Reflect, WorkgroupAndSharedMemoryFollowTheConstants) {
  const auto words = words_of("test_copy");
  const ShaderInfo shader(words);
  const std::uint32_t constants[] = {48, 100};
  EXPECT_EQ(shader.workgroup_size(constants), (std::array<std::uint32_t, 3>{48, 1, 1}));
  EXPECT_EQ(shader.shared_bytes(constants), 100u * 2 * 4);
  const auto wide_words = words_of("test_copy_wide");
  const ShaderInfo wide(wide_words);
  EXPECT_EQ(wide.workgroup_size({}), (std::array<std::uint32_t, 3>{256, 1, 1}));
  EXPECT_EQ(wide.shared_bytes({}), 256u * 32 * 4);
}

TEST(Reflect, EveryEmbeddedShaderKeepsTheRules) {
  ASSERT_FALSE(shader_table().empty());
  for (const ShaderBinary& shader : shader_table()) {
    EXPECT_NO_THROW(reflect({shader.begin, shader.end})) << shader.name;
    EXPECT_EQ(find_shader(shader.name)->begin, shader.begin);
  }
  EXPECT_EQ(find_shader("no_such_shader"), nullptr);
}

TEST(Reflect, DamagedModulesAreRefused) {
  expect_error(ErrorCode::kInternal, {"not a SPIR-V module"}, [] { reflect({}); });
  auto words = words_of("test_copy");
  words[0] ^= 1;
  expect_error(ErrorCode::kInternal, {"not a SPIR-V module"}, [&] { reflect(words); });
  words[0] ^= 1;
  for (std::size_t length = 1; length < words.size();
       ++length) {  // cut anywhere: an Error or a smaller interface, never a crash
    try {
      reflect(std::span(words).first(length));
    } catch (const Error&) {
    }
  }
}

TEST(Reflect, AlteredModulesNeverCrash) {
  const auto words = words_of("test_copy");
  std::uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525u + 1013904223u; };
  for (int round = 0; round < 5000; ++round) {
    auto altered = words;
    for (int i = 0; i < 3; ++i) altered[5 + (next() >> 8) % (altered.size() - 5)] = round % 2 ? next() : next() >> 24;
    try {
      reflect(altered);
    } catch (const std::exception&) {
    }
  }
}

TEST(Reflect, GapsAndOtherSetsAreRefused) {
  auto words = words_of("test_add");
  // OpDecorate <id> Binding 0 / DescriptorSet 0: raise the literal.
  const auto raise = [&](std::uint32_t decoration) {
    auto changed = words;
    for (std::size_t at = 5; at < changed.size(); at += changed[at] >> 16) {
      if ((changed[at] & 0xffff) == 71 && changed[at + 2] == decoration) changed[at + 3] = 1;
    }
    return changed;
  };
  expect_error(ErrorCode::kInternal, {"gap"}, [&] { reflect(raise(33)); });
  expect_error(ErrorCode::kInternal, {"set 1"}, [&] { reflect(raise(34)); });
}

}  // namespace
}  // namespace fabula::vk
