#include "vk/khr_matrix.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/fail.hpp"
#include "vk/spirv.hpp"
#include "vk/spirv_words.hpp"

namespace fabula::vk {
namespace {

using namespace spirv;

constexpr std::size_t kHeaderWords = 5, kBoundWord = 3;
constexpr std::string_view kExtensionNV = "SPV_NV_cooperative_matrix", kExtensionKHR = "SPV_KHR_cooperative_matrix",
                           kExtensionBf16 = "SPV_KHR_bfloat16";

std::string_view text_of(std::span<const std::uint32_t> words) {
  const char* text = reinterpret_cast<const char*>(words.data());
  return {text, strnlen(text, words.size_bytes())};
}

class Rewriter {
 public:
  Rewriter(std::span<const std::uint32_t> words, bool bf16)
      : words_(words), module_(SpirvModule::parse(words)), bf16_(bf16) {
    // The constants of uses and layouts: 0, 1 and 2, behind the first 32-bit integer type.
    out_.assign(words.begin(), words.begin() + kHeaderWords);
    first_constant_ = out_[kBoundWord];
    out_[kBoundWord] += kConstants;
  }

  std::vector<std::uint32_t> run() {
    for (std::size_t at = kHeaderWords; at < words_.size(); at += words_[at] >> 16)
      rewrite(words_[at] & 0xffff, words_.subspan(at + 1, (words_[at] >> 16) - 1));
    return std::move(out_);
  }

 private:
  using Operands = std::span<const std::uint32_t>;
  static constexpr std::uint32_t kConstants = 3;

  void put(std::uint32_t op, Operands head, std::initializer_list<std::uint32_t> added = {}, Operands tail = {}) {
    out_.push_back(static_cast<std::uint32_t>(1 + head.size() + added.size() + tail.size()) << 16 | op);
    out_.insert(out_.end(), head.begin(), head.end());
    out_.insert(out_.end(), added.begin(), added.end());
    out_.insert(out_.end(), tail.begin(), tail.end());
  }

  std::uint32_t constant(std::uint32_t value) const {
    ensure(has_constants_, "a cooperative matrix is declared before any 32-bit integer type");
    return first_constant_ + value;
  }

  void rewrite(std::uint32_t op, Operands in) {
    const auto need = [&](std::size_t count) {
      ensure(in.size() >= count, "SPIR-V instruction {} has {} operands, at least {} are needed", op, in.size(), count);
    };
    if (bf16_) refuse_other_halves(op, in);
    switch (op) {
      case kOpCapability:
        need(1);
        return put_capability(in[0]);
      case kOpExtension:
        if (text_of(in) != kExtensionNV) break;
        put_extension(kExtensionKHR);
        if (bf16_) put_extension(kExtensionBf16);
        return;
      case kOpTypeInt:
        put(op, in);
        if (!has_constants_) declare_constants(in);
        return;
      case kOpTypeFloat:  // result, bits
        need(2);
        if (!bf16_ || in[1] != 16) break;
        half_ = in[0];
        return put(op, in.first(2), {kEncodingBFloat16KHR});
      case kOpSpecConstantOp:  // type, result, operation
        need(3);
        ensure(in[2] != kOpCooperativeMatrixLengthNV, "a cooperative matrix's length is used in a constant");
        break;
      case kOpTypeCooperativeMatrixNV:  // result, component, scope, rows, columns
        need(5);
        return put(kOpTypeCooperativeMatrixKHR, in.first(4),
                   {columns_of(in[3], in[4]), constant(use_of(in[1], in[4]))});
      case kOpCooperativeMatrixLoadNV:  // type, result, pointer, stride, column major, memory operands
        need(5);
        return put(kOpCooperativeMatrixLoadKHR, in.first(3), {layout_of(in[4]), in[3]}, in.subspan(5));
      case kOpCooperativeMatrixStoreNV:  // pointer, matrix, stride, column major, memory operands
        need(4);
        return put(kOpCooperativeMatrixStoreKHR, in.first(2), {layout_of(in[3]), in[2]}, in.subspan(4));
      case kOpCooperativeMatrixMulAddNV:
        return put(kOpCooperativeMatrixMulAddKHR, in);
      case kOpCooperativeMatrixLengthNV:
        return put(kOpCooperativeMatrixLengthKHR, in);
      default:
        break;
    }
    put(op, in);
  }

  /// Only matrices may be made of what becomes bf16: of anything else the bits would change their meaning.
  void refuse_other_halves(std::uint32_t op, Operands in) const {
    if (half_ == 0 || op == kOpName || op == kOpTypeCooperativeMatrixNV) return;
    const bool composed = op == kOpTypeVector || op == kOpTypeArray || op == kOpTypeRuntimeArray;
    const std::size_t at = composed ? 1 : op == kOpTypePointer ? 2 : 0;  // elsewhere the result's type comes first
    const bool member = op == kOpTypeStruct && std::find(in.begin(), in.end(), half_) != in.end();
    ensure(!member && (at >= in.size() || in[at] != half_),
           "SPIR-V instruction {} uses 16-bit floats outside cooperative matrices, which cannot become bf16", op);
  }

  void put_capability(std::uint32_t capability) {
    if (capability == kFloat16 && bf16_) return put(kOpCapability, {}, {kBFloat16TypeKHR});
    if (capability != kCooperativeMatrixNV) return put(kOpCapability, {}, {capability});
    put(kOpCapability, {}, {kCooperativeMatrixKHR});
    if (bf16_) put(kOpCapability, {}, {kBFloat16CooperativeMatrixKHR});
  }

  void put_extension(std::string_view name) {
    std::vector<std::uint32_t> text(name.size() / 4 + 1);
    std::memcpy(text.data(), name.data(), name.size());
    put(kOpExtension, text);
  }

  void declare_constants(Operands type) {
    constexpr std::uint32_t kBits = 32;
    if (type.size() < 2 || type[1] != kBits) return;
    for (std::uint32_t value = 0; value < kConstants; ++value)
      put(kOpConstant, {}, {type[0], first_constant_ + value, value});
    has_constants_ = true;
  }

  std::uint32_t use_of(std::uint32_t component, std::uint32_t columns) const {
    const SpirvModule::Type& type = module_.type(component);
    ensure(type.op == kOpTypeFloat && !type.operands.empty(), "a cooperative matrix of SPIR-V type {}, expected floats",
           type.op);
    if (type.operands[0] == 32) return kMatrixAccumulator;
    return module_.decoration(columns, kSpecId) == kMatrixBColumnsId ? kMatrixB : kMatrixA;
  }

  /// A plain constant, as compilers that know KHR's form write it, in place of the specialisation constant that told
  /// the types apart: matrices are square, so the number of rows will do.
  std::uint32_t columns_of(std::uint32_t rows, std::uint32_t columns) const {
    if (module_.decoration(columns, kSpecId) != kMatrixBColumnsId) return columns;
    const auto high = module_.constants.find(rows), wide = module_.constants.find(columns);
    ensure(high != module_.constants.end() && wide != module_.constants.end() &&
               high->second.operands == wide->second.operands,
           "a cooperative matrix with specialisation constant {} as its columns is not square", kMatrixBColumnsId);
    return rows;
  }

  std::uint32_t layout_of(std::uint32_t column_major) const {
    const auto found = module_.constants.find(column_major);
    ensure(found != module_.constants.end() &&
               (found->second.op == kOpConstantTrue || found->second.op == kOpConstantFalse),
           "a cooperative matrix's order is not a constant");
    return constant(found->second.op == kOpConstantTrue ? kColumnMajor : kRowMajor);
  }

  std::span<const std::uint32_t> words_;
  SpirvModule module_;
  bool bf16_;
  std::vector<std::uint32_t> out_;
  std::uint32_t first_constant_ = 0, half_ = 0;  ///< ids; half_: the 16-bit float type, once it is declared
  bool has_constants_ = false;
};

}  // namespace

std::vector<std::uint32_t> khr_from_nv_matrices(std::span<const std::uint32_t> words, bool bf16) {
  return Rewriter(words, bf16).run();
}

}  // namespace fabula::vk
