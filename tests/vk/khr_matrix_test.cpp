#include "vk/khr_matrix.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "vk/open_device.hpp"
#include "vk/shader_table.hpp"
#include "vk/spirv.hpp"
#include "vk/spirv_words.hpp"

namespace fabula::vk {
namespace {

using namespace spirv;
using test::expect_error;
using Words = std::vector<std::uint32_t>;

template <class Visit>
void for_each_instruction(const Words& words, const Visit& visit) {
  for (std::size_t at = 5; at < words.size(); at += words[at] >> 16)
    visit(words[at] & 0xffff, std::span(words).subspan(at + 1, (words[at] >> 16) - 1));
}

/// The words with one more instruction behind the first of `op`.
Words with_instruction_after(const Words& words, std::uint32_t op, std::initializer_list<std::uint32_t> added) {
  Words out(words.begin(), words.begin() + 5);
  bool done = false;
  for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) {
    out.insert(out.end(), words.begin() + static_cast<std::ptrdiff_t>(at),
               words.begin() + static_cast<std::ptrdiff_t>(at + (words[at] >> 16)));
    if (!done && (words[at] & 0xffff) == op) out.insert(out.end(), added);
    done = done || (words[at] & 0xffff) == op;
  }
  EXPECT_TRUE(done);
  return out;
}

/// What KHR's instructions ask of a module: checked by id, type by type.
struct KhrModule {
  explicit KhrModule(const Words& words) : module(SpirvModule::parse(words)) {
    for_each_instruction(words, [&](std::uint32_t op, std::span<const std::uint32_t> in) {
      if (op == kOpTypeCooperativeMatrixKHR) {
        use[in[0]] = value(in[5]);
        EXPECT_EQ(value(in[3]), 16u);
        EXPECT_EQ(value(in[4]), 16u);
        EXPECT_FALSE(module.has(in[4], kSpecId));
      }
      // Results of the instructions that make or fetch matrices: type, result.
      if (in.size() >= 2 && use.contains(in[0])) type_of[in[1]] = in[0];
      if (op == kOpCooperativeMatrixLoadKHR) loads.insert({use.at(in[0]), value(in[3])});
      if (op == kOpCooperativeMatrixMulAddKHR)
        products.push_back({use.at(type_of.at(in[2])), use.at(type_of.at(in[3])), use.at(type_of.at(in[4]))});
      if (op == kOpCooperativeMatrixStoreKHR) stores.push_back({use.at(type_of.at(in[1])), value(in[2])});
      EXPECT_FALSE(op >= kOpTypeCooperativeMatrixNV && op <= kOpCooperativeMatrixLengthNV) << op;
    });
  }

  std::uint32_t value(std::uint32_t id) const {
    const auto found = module.constants.find(id);
    EXPECT_TRUE(found != module.constants.end() && found->second.operands.size() == 1) << "id " << id;
    return found == module.constants.end() ? ~0u : found->second.operands[0];
  }

  SpirvModule module;
  std::map<std::uint32_t, std::uint32_t> use, type_of;  ///< of matrix types | of values
  std::vector<std::array<std::uint32_t, 3>> products;
  std::vector<std::array<std::uint32_t, 2>> stores;  ///< use, order
  std::set<std::array<std::uint32_t, 2>> loads;      ///< the same
};

/// What spirv-val says of a module; nothing where it is content.
std::string complaint_about(const Words& words) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("fabula_khr_{}.spv", ::getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(words.data()), static_cast<std::streamsize>(words.size() * 4));
  const std::string command = fmt::format("'{}' --target-env vulkan1.3 '{}' 2>&1", FABULA_SPIRV_VAL, path.string());
  std::string said;
  if (FILE* pipe = ::popen(command.c_str(), "r")) {
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) said += static_cast<char>(c);
    if (::pclose(pipe) != 0 && said.empty()) said = "spirv-val could not be run";
  }
  std::filesystem::remove(path);
  return said;
}

class KhrMatrix : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const ShaderBinary& shader : shader_table())
      if (shader.rewriting != Rewriting::kNone) shaders_.push_back(shader);
    if (shaders_.empty()) GTEST_SKIP() << "this build's shader compiler knows no GL_NV_cooperative_matrix";
  }
  std::vector<ShaderBinary> shaders_;
};

TEST_F(KhrMatrix, EveryMatrixHasTheUseThatItsProductsAskFor) {
  for (const ShaderBinary& shader : shaders_) {
    SCOPED_TRACE(std::string(shader.name));
    const KhrModule khr(device_words(shader));
    EXPECT_FALSE(khr.products.empty());
    for (const auto& product : khr.products)
      EXPECT_EQ(product, (std::array<std::uint32_t, 3>{kMatrixA, kMatrixB, kMatrixAccumulator}));
    EXPECT_FALSE(khr.stores.empty());
    for (const auto& store : khr.stores)
      EXPECT_EQ(store, (std::array<std::uint32_t, 2>{kMatrixAccumulator, kRowMajor}));
  }
}

TEST_F(KhrMatrix, EveryLoadKeepsItsOrder) {
  const auto loads = [](const char* name) {
    const ShaderBinary* shader = find_shader(name);
    EXPECT_NE(shader, nullptr) << name;
    return KhrModule(device_words(*shader)).loads;
  };
  using Loads = std::set<std::array<std::uint32_t, 2>>;
  EXPECT_EQ(loads("matmul_coop_khr_wide_bf16_nn"), (Loads{{kMatrixA, kRowMajor}, {kMatrixB, kRowMajor}}));
  EXPECT_EQ(loads("matmul_coop_khr_bf16_nt"), (Loads{{kMatrixA, kRowMajor}, {kMatrixB, kColumnMajor}}));
  EXPECT_EQ(loads("matmul_coop_khr_bf16_tn"), (Loads{{kMatrixA, kColumnMajor}, {kMatrixB, kRowMajor}}));
}

TEST_F(KhrMatrix, TheInterfaceStaysAndTheExtensionIsKhr) {
  for (const ShaderBinary& shader : shaders_) {
    SCOPED_TRACE(std::string(shader.name));
    const Words before(shader.begin, shader.end), after = device_words(shader);
    const ShaderInterface is = reflect(after), was = reflect(before);
    EXPECT_EQ(is.slots.size(), was.slots.size());
    EXPECT_EQ(is.push_constant_bytes, was.push_constant_bytes);
    EXPECT_EQ(is.specialization_count, was.specialization_count);
    const SpirvModule module = SpirvModule::parse(after);
    const auto has = [&](std::uint32_t capability) {
      return std::count(module.capabilities.begin(), module.capabilities.end(), capability) == 1;
    };
    const bool bf16 = shader.rewriting == Rewriting::kKhrBf16;
    EXPECT_TRUE(has(kCooperativeMatrixKHR));
    EXPECT_FALSE(has(kCooperativeMatrixNV));
    EXPECT_EQ(has(kFloat16), !bf16);
    EXPECT_EQ(has(kBFloat16TypeKHR), bf16);
    EXPECT_EQ(has(kBFloat16CooperativeMatrixKHR), bf16);
    for (const auto& [id, type] : module.types) {
      const bool half = type.op == kOpTypeFloat && type.operands[0] == 16;
      if (!half) continue;
      EXPECT_EQ(type.operands.size(), bf16 ? 2u : 1u) << "the encoding of type " << id;
    }
    int extensions = 0;
    for_each_instruction(after, [&](std::uint32_t op, std::span<const std::uint32_t> in) {
      if (op != kOpExtension) return;
      const std::string text = reinterpret_cast<const char*>(in.data());
      extensions += text == "SPV_KHR_cooperative_matrix" || (bf16 && text == "SPV_KHR_bfloat16");
      EXPECT_NE(text, "SPV_NV_cooperative_matrix");
    });
    EXPECT_EQ(extensions, bf16 ? 2 : 1);
  }
}

TEST_F(KhrMatrix, TheValidatorIsContent) {
  for (const ShaderBinary& shader : shaders_) {
    const std::string complaint = complaint_about(device_words(shader));
    // spirv-val of before 2023 knows no KHR matrices, of before 2025 no bf16.
    for (const char* unknown : {"Invalid capability operand: 6022", "Invalid capability operand: 5116"})
      if (complaint.find(unknown) != std::string::npos) GTEST_SKIP() << complaint;
    EXPECT_EQ(complaint, "") << shader.name;
  }
}

TEST_F(KhrMatrix, DamagedModulesAreRefused) {
  expect_error(ErrorCode::kInternal, {"not a SPIR-V module"}, [] { khr_from_nv_matrices({}, false); });
  const Words words(shaders_[0].begin, shaders_[0].end);
  expect_error(ErrorCode::kInternal, {"cut short"}, [&] { khr_from_nv_matrices(std::span(words).first(6), false); });
  Words integers = words;  // matrices of integers: which use they have is not known
  for (std::size_t at = 5; at < integers.size(); at += integers[at] >> 16) {
    const auto module = SpirvModule::parse(words);
    if ((integers[at] & 0xffff) != kOpTypeCooperativeMatrixNV) continue;
    for (const auto& [id, type] : module.types)
      if (type.op == kOpTypeInt) integers[at + 2] = id;
    break;
  }
  expect_error(ErrorCode::kInternal, {"expected floats"}, [&] { khr_from_nv_matrices(integers, false); });
}

TEST_F(KhrMatrix, HalvesOutsideMatricesCannotBecomeBf16) {
  const Words words(shaders_[0].begin, shaders_[0].end);
  std::uint32_t half = 0;
  for (const auto& [id, type] : SpirvModule::parse(words).types)
    if (type.op == kOpTypeFloat && type.operands[0] == 16) half = id;
  ASSERT_NE(half, 0u);
  const Words constant =
      with_instruction_after(words, kOpTypeCooperativeMatrixNV, {4u << 16 | kOpConstant, half, 9999, 0x3c00});
  const Words vector =
      with_instruction_after(words, kOpTypeCooperativeMatrixNV, {4u << 16 | kOpTypeVector, 9999, half, 2});
  EXPECT_NO_THROW(khr_from_nv_matrices(words, true));
  for (const Words& other : {constant, vector}) {
    EXPECT_NO_THROW(khr_from_nv_matrices(other, false));
    expect_error(ErrorCode::kInternal, {"outside cooperative matrices"}, [&] { khr_from_nv_matrices(other, true); });
  }
}

TEST(KhrMatrixless, AModuleWithoutMatricesKeepsItsInterface) {
  const ShaderBinary* shader = find_shader("test_copy");
  ASSERT_NE(shader, nullptr);
  EXPECT_EQ(reflect(khr_from_nv_matrices({shader->begin, shader->end}, false)).slots.size(), 2u);
}

}  // namespace
}  // namespace fabula::vk
