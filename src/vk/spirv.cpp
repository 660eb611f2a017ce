#include "vk/spirv.hpp"

#include "base/fail.hpp"
#include "vk/spirv_words.hpp"

namespace fabula::vk {
namespace {

using namespace spirv;

using Operands = std::span<const std::uint32_t>;

std::uint32_t operand(Operands operands, std::size_t index) {
  ensure(index < operands.size(), "SPIR-V instruction has {} operands, at least {} are needed", operands.size(),
         index + 1);
  return operands[index];
}

std::vector<std::uint32_t> rest(Operands operands, std::size_t from) {
  if (from >= operands.size()) return {};
  return {operands.begin() + static_cast<std::ptrdiff_t>(from), operands.end()};
}

std::uint32_t literal_or_zero(Operands operands, std::size_t index) {
  return index < operands.size() ? operands[index] : 0;
}

void read_mode(SpirvModule& module, std::uint32_t op, Operands in) {
  const std::uint32_t mode = operand(in, 1);
  const auto three = [&] { return std::array{operand(in, 2), operand(in, 3), operand(in, 4)}; };
  if (op == kOpExecutionMode && mode == kModeLocalSize) module.local_size = three();
  if (op == kOpExecutionModeId && mode == kModeLocalSizeId) module.local_size_ids = three();
}

void read_instruction(SpirvModule& module, std::uint32_t op, Operands in) {
  switch (op) {
    case kOpCapability:
      module.capabilities.push_back(operand(in, 0));
      break;
    case kOpExecutionMode:
    case kOpExecutionModeId:
      read_mode(module, op, in);
      break;
    case kOpTypeBool:
    case kOpTypeInt:
    case kOpTypeFloat:
    case kOpTypeVector:
    case kOpTypeMatrix:
    case kOpTypeImage:
    case kOpTypeSampledImage:
    case kOpTypeArray:
    case kOpTypeRuntimeArray:
    case kOpTypeStruct:
    case kOpTypePointer:
      module.types[operand(in, 0)] = {op, rest(in, 1)};
      break;
    case kOpConstantTrue:
    case kOpConstantFalse:
    case kOpConstant:
    case kOpConstantComposite:
    case kOpSpecConstantTrue:
    case kOpSpecConstantFalse:
    case kOpSpecConstant:
    case kOpSpecConstantComposite:
    case kOpSpecConstantOp:
      module.constants[operand(in, 1)] = {op, operand(in, 0), rest(in, 2)};
      break;
    case kOpVariable:
      module.variables.push_back({operand(in, 1), operand(in, 0), operand(in, 2)});
      break;
    case kOpDecorate:
      module.decorations[operand(in, 0)].values[operand(in, 1)] = literal_or_zero(in, 2);
      break;
    case kOpMemberDecorate:
      module.decorations[operand(in, 0)].members[operand(in, 1)][operand(in, 2)] = literal_or_zero(in, 3);
      break;
    default:
      break;
  }
}

}  // namespace

SpirvModule SpirvModule::parse(std::span<const std::uint32_t> words) {
  constexpr std::size_t kHeaderWords = 5;
  ensure(words.size() >= kHeaderWords && words[0] == kMagic,
         "not a SPIR-V module: {} words, first {:#x}, expected {:#x}", words.size(), words.empty() ? 0u : words[0],
         kMagic);
  SpirvModule module;
  for (std::size_t at = kHeaderWords; at < words.size();) {
    const std::uint32_t length = words[at] >> 16, op = words[at] & 0xffff;
    ensure(length != 0 && length <= words.size() - at,
           "SPIR-V module is cut short: instruction {} at word {} of {} has length {}", op, at, words.size(), length);
    read_instruction(module, op, words.subspan(at + 1, length - 1));
    at += length;
  }
  return module;
}

const SpirvModule::Type& SpirvModule::type(std::uint32_t id) const {
  const auto found = types.find(id);
  ensure(found != types.end(), "SPIR-V id {} is no type that a fabula shader may use in its interface", id);
  return found->second;
}

std::optional<std::uint32_t> SpirvModule::decoration(std::uint32_t id, std::uint32_t decoration) const {
  const auto found = decorations.find(id);
  if (found == decorations.end()) return std::nullopt;
  const auto value = found->second.values.find(decoration);
  if (value == found->second.values.end()) return std::nullopt;
  return value->second;
}

bool SpirvModule::has(std::uint32_t id, std::uint32_t which) const {
  return decoration(id, which).has_value();
}

}  // namespace fabula::vk
