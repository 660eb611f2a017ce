#include <algorithm>

#include "base/fail.hpp"
#include "vk/spirv.hpp"
#include "vk/spirv_words.hpp"

namespace fabula::vk {
namespace {

using namespace spirv;

std::uint32_t part(const std::vector<std::uint32_t>& operands, std::size_t index) {
  ensure(index < operands.size(), "a SPIR-V instruction has {} operands, {} are needed", operands.size(), index + 1);
  return operands[index];
}

/// Evaluates integer constants of a module under given specialisation values.
class Evaluator {
 public:
  Evaluator(const SpirvModule& module, std::span<const std::uint32_t> constants)
      : module_(module), constants_(constants) {}

  std::uint64_t value(std::uint32_t id) const {
    const Depth depth(*this);
    const SpirvModule::Constant& constant = find(id);
    if (const auto spec = module_.decoration(id, kSpecId); spec && *spec < constants_.size()) return constants_[*spec];
    switch (constant.op) {
      case kOpConstantTrue:
      case kOpSpecConstantTrue:
        return 1;
      case kOpConstantFalse:
      case kOpSpecConstantFalse:
        return 0;
      case kOpConstant:
      case kOpSpecConstant:
        return literal(constant);
      case kOpSpecConstantOp:
        return operation(constant);
      default:
        fail(ErrorCode::kInternal, "SPIR-V id {} is no scalar constant", id);
    }
  }

  std::array<std::uint32_t, 3> triple(std::uint32_t id) const {
    const SpirvModule::Constant& constant = find(id);
    ensure(constant.operands.size() == 3, "SPIR-V id {} has {} constituents, expected 3", id, constant.operands.size());
    std::array<std::uint32_t, 3> result{};
    for (std::size_t i = 0; i < 3; ++i) result[i] = static_cast<std::uint32_t>(value(constant.operands[i]));
    return result;
  }

  /// Bytes of a type in shared memory, tightly packed: what every driver needs at least.
  std::uint64_t size_of(std::uint32_t id) const {
    const Depth depth(*this);
    const SpirvModule::Type& type = module_.type(id);
    switch (type.op) {
      case kOpTypeBool:
        return 4;
      case kOpTypeInt:
      case kOpTypeFloat:
        return part(type.operands, 0) / 8;
      case kOpTypeVector:
      case kOpTypeMatrix:
        return part(type.operands, 1) * size_of(part(type.operands, 0));
      case kOpTypeArray: {
        const std::uint64_t stride = module_.decoration(id, kArrayStride).value_or(0);
        return value(part(type.operands, 1)) * (stride != 0 ? stride : size_of(part(type.operands, 0)));
      }
      case kOpTypeStruct:
        return size_of_struct(id, type);
      default:
        fail(ErrorCode::kInternal, "SPIR-V type {} (op {}) has no size", id, type.op);
    }
  }

 private:
  /// A module that refers to itself must end in an error, not in a full stack.
  struct Depth {
    explicit Depth(const Evaluator& of) : evaluator(of) {
      constexpr int kDeepest = 64;
      ensure(++evaluator.depth_ <= kDeepest, "a SPIR-V type or constant is nested deeper than {}", kDeepest);
    }
    ~Depth() { --evaluator.depth_; }
    const Evaluator& evaluator;
  };

  const SpirvModule::Constant& find(std::uint32_t id) const {
    const auto found = module_.constants.find(id);
    ensure(found != module_.constants.end(), "SPIR-V id {} is no constant", id);
    return found->second;
  }

  static std::uint64_t literal(const SpirvModule::Constant& constant) {
    std::uint64_t result = part(constant.operands, 0);
    if (constant.operands.size() > 1) result |= static_cast<std::uint64_t>(constant.operands[1]) << 32;
    return result;
  }

  std::uint64_t size_of_struct(std::uint32_t id, const SpirvModule::Type& type) const {
    const auto decorated = module_.decorations.find(id);
    std::uint64_t end = 0;
    for (std::uint32_t i = 0; i < type.operands.size(); ++i) {
      std::uint64_t offset = end;
      if (decorated != module_.decorations.end()) {
        const auto member = decorated->second.members.find(i);
        if (member != decorated->second.members.end() && member->second.count(kOffset) != 0) {
          offset = member->second.at(kOffset);
        }
      }
      end = std::max(end, offset + size_of(type.operands[i]));
    }
    return end;
  }

  std::uint64_t operation(const SpirvModule::Constant& constant) const {
    const auto& in = constant.operands;
    const auto a = [&] { return static_cast<std::uint32_t>(value(part(in, 1))); };
    const auto b = [&] { return static_cast<std::uint32_t>(value(part(in, 2))); };
    const auto sa = [&] { return static_cast<std::int32_t>(a()); };
    const auto sb = [&] { return static_cast<std::int32_t>(b()); };
    const auto divisor = [&] {
      ensure(b() != 0, "a specialisation constant of a shader divides by zero");
      return b();
    };
    const auto signed_divisor = [&]() -> std::int64_t { return static_cast<std::int32_t>(divisor()); };
    const auto word = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
    switch (part(in, 0)) {
      case kOpUConvert:
      case kOpSConvert:
      case kOpBitcast:
        return a();
      case kOpIAdd:
        return a() + b();
      case kOpISub:
        return a() - b();
      case kOpIMul:
        return a() * b();
      case kOpUDiv:
        return a() / divisor();
      case kOpSDiv:
        return word(sa() / signed_divisor());
      case kOpUMod:
        return a() % divisor();
      case kOpSRem:
      case kOpSMod:
        return word(sa() % signed_divisor());
      case kOpLogicalEqual:
      case kOpIEqual:
        return a() == b();
      case kOpLogicalNotEqual:
      case kOpINotEqual:
        return a() != b();
      case kOpLogicalOr:
        return a() != 0 || b() != 0;
      case kOpLogicalAnd:
        return a() != 0 && b() != 0;
      case kOpLogicalNot:
        return a() == 0;
      case kOpSelect:
        return value(a() != 0 ? part(in, 2) : part(in, 3));
      case kOpUGreaterThan:
        return a() > b();
      case kOpSGreaterThan:
        return sa() > sb();
      case kOpUGreaterThanEqual:
        return a() >= b();
      case kOpSGreaterThanEqual:
        return sa() >= sb();
      case kOpULessThan:
        return a() < b();
      case kOpSLessThan:
        return sa() < sb();
      case kOpULessThanEqual:
        return a() <= b();
      case kOpSLessThanEqual:
        return sa() <= sb();
      case kOpShiftRightLogical:
        return a() >> (b() & 31);
      case kOpShiftRightArithmetic:
        return static_cast<std::uint32_t>(sa() >> (b() & 31));
      case kOpShiftLeftLogical:
        return a() << (b() & 31);
      case kOpBitwiseOr:
        return a() | b();
      case kOpBitwiseXor:
        return a() ^ b();
      case kOpBitwiseAnd:
        return a() & b();
      default:
        fail(ErrorCode::kInternal, "a shader's specialisation uses SPIR-V operation {}, which reflection does not know",
             part(in, 0));
    }
  }

  const SpirvModule& module_;
  std::span<const std::uint32_t> constants_;
  mutable int depth_ = 0;
};

/// Whether a decoration stands on the variable itself or on every member of its block (where GLSL compilers put it).
bool on_all_members(const SpirvModule& module, std::uint32_t variable, std::uint32_t block, std::uint32_t decoration) {
  if (module.has(variable, decoration)) return true;
  const std::size_t count = module.type(block).operands.size();
  const auto found = module.decorations.find(block);
  if (found == module.decorations.end() || count == 0) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto member = found->second.members.find(i);
    if (member == found->second.members.end() || member->second.count(decoration) == 0) return false;
  }
  return true;
}

ShaderInterface::Slot storage_slot(const SpirvModule& module, std::uint32_t variable, std::uint32_t block) {
  const bool read_only = on_all_members(module, variable, block, kNonWritable);
  const bool write_only = on_all_members(module, variable, block, kNonReadable);
  ensure(!(read_only && write_only), "a storage buffer is both readonly and writeonly");
  const Access access = read_only ? Access::kRead : write_only ? Access::kWrite : Access::kReadWrite;
  return {BindingKind::kStorage, access};
}

/// The slot that a variable binds, or nothing for a variable that is no binding.
std::optional<ShaderInterface::Slot> slot_of(const SpirvModule& module, const SpirvModule::Variable& variable) {
  // Other variables may be of types that nothing is known of here, as cooperative matrices are.
  if (variable.storage_class != kStorageBuffer && variable.storage_class != kUniform &&
      variable.storage_class != kUniformConstant)
    return std::nullopt;
  const std::uint32_t pointee = part(module.type(variable.pointer_type).operands, 1);
  const SpirvModule::Type& type = module.type(pointee);
  switch (variable.storage_class) {
    case kStorageBuffer:
      ensure(type.op == kOpTypeStruct, "an array of storage buffers is not supported");
      return storage_slot(module, variable.id, pointee);
    case kUniform:
      ensure(type.op == kOpTypeStruct && module.has(pointee, kBufferBlock),
             "uniform buffers are not supported: use push constants or a readonly storage buffer");
      return storage_slot(module, variable.id, pointee);
    case kUniformConstant: {
      const SpirvModule::Type& image = type.op == kOpTypeSampledImage ? module.type(part(type.operands, 0)) : type;
      constexpr std::uint32_t kSampled = 1;
      ensure(image.op == kOpTypeImage && part(image.operands, 1) == kDimBuffer && part(image.operands, 5) == kSampled,
             "of images only uniform texel buffers (samplerBuffer or textureBuffer) are supported");
      const SpirvModule::Type& element = module.type(part(image.operands, 0));
      const bool words = element.op == kOpTypeInt && part(element.operands, 1) == 0;
      ensure((words || element.op == kOpTypeFloat) && part(element.operands, 0) == 32,
             "a texel buffer's element must be a 32-bit float or unsigned word");
      return ShaderInterface::Slot{words ? BindingKind::kTexelWords : BindingKind::kTexel, Access::kRead};
    }
    default:
      return std::nullopt;
  }
}

std::vector<ShaderInterface::Slot> read_slots(const SpirvModule& module) {
  std::map<std::uint32_t, ShaderInterface::Slot> by_binding;
  for (const SpirvModule::Variable& variable : module.variables) {
    const auto slot = slot_of(module, variable);
    if (!slot) continue;
    const auto set = module.decoration(variable.id, kDescriptorSet), binding = module.decoration(variable.id, kBinding);
    ensure(set && binding, "a bound variable of a shader has no set or binding number");
    ensure(*set == 0, "a shader binds in set {}, only set 0 is used", *set);
    // A buffer may be declared twice, as words of two kinds (shaders/include/values.glsl), if both say the same of it.
    const auto [known, fresh] = by_binding.emplace(*binding, *slot);
    ensure(fresh || (known->second.kind == BindingKind::kStorage && slot->kind == BindingKind::kStorage &&
                     known->second.access == slot->access),
           "binding {} of a shader is taken twice, in different ways", *binding);
  }
  std::vector<ShaderInterface::Slot> slots;
  for (const auto& [binding, slot] : by_binding) {
    ensure(binding == slots.size(),
           "bindings of a shader have a gap: {} follows {} bindings (a buffer that is declared but never "
           "used is dropped by the compiler)",
           binding, slots.size());
    slots.push_back(slot);
  }
  return slots;
}

}  // namespace

ShaderInfo::ShaderInfo(std::vector<std::uint32_t> words)
    : words_(std::move(words)), module_(SpirvModule::parse(words_)) {
  interface_.slots = read_slots(module_);
  const Evaluator evaluator(module_, {});
  for (const SpirvModule::Variable& variable : module_.variables) {
    if (variable.storage_class != kPushConstant) continue;
    const std::uint64_t size = evaluator.size_of(part(module_.type(variable.pointer_type).operands, 1));
    interface_.push_constant_bytes = static_cast<std::uint32_t>(size);
  }
  constexpr std::uint32_t kMaxPushConstants = 128, kMaxSpecializationId = 64;  // 128: what every Vulkan device has
  ensure(interface_.push_constant_bytes <= kMaxPushConstants,
         "a shader takes {} bytes of push constants, at most {} are portable", interface_.push_constant_bytes,
         kMaxPushConstants);
  for (const auto& [id, decorations] : module_.decorations) {
    const auto spec = decorations.values.find(kSpecId);
    if (spec == decorations.values.end()) continue;
    ensure(spec->second < kMaxSpecializationId, "constant_id {} of a shader is above {}", spec->second,
           kMaxSpecializationId - 1);
    const auto constant = module_.constants.find(id);
    ensure(constant != module_.constants.end() && constant->second.operands.size() <= 1,
           "constant_id {} of a shader is not a 32-bit scalar", spec->second);
    ids_.insert(spec->second);
  }
  for (std::uint32_t id : ids_)
    if (id < kElementTypeId) interface_.specialization_count = id + 1;
}

std::uint32_t ShaderInfo::storage_buffers() const {
  return static_cast<std::uint32_t>(std::count_if(interface_.slots.begin(), interface_.slots.end(),
                                                  [](const auto& s) { return s.kind == BindingKind::kStorage; }));
}

std::array<std::uint32_t, 3> ShaderInfo::workgroup_size(std::span<const std::uint32_t> constants) const {
  const Evaluator evaluator(module_, constants);
  // The built-in constant wins over the execution mode (SPIR-V, BuiltIn WorkgroupSize).
  for (const auto& [id, decorations] : module_.decorations) {
    const auto built_in = decorations.values.find(kBuiltIn);
    if (built_in != decorations.values.end() && built_in->second == kBuiltInWorkgroupSize) return evaluator.triple(id);
  }
  if (!module_.local_size_ids) return module_.local_size;
  std::array<std::uint32_t, 3> size{};
  for (std::size_t i = 0; i < 3; ++i)
    size[i] = static_cast<std::uint32_t>(evaluator.value((*module_.local_size_ids)[i]));
  return size;
}

std::uint64_t ShaderInfo::shared_bytes(std::span<const std::uint32_t> constants) const {
  const Evaluator evaluator(module_, constants);
  std::uint64_t total = 0;
  for (const SpirvModule::Variable& variable : module_.variables) {
    if (variable.storage_class != kWorkgroup) continue;
    total += evaluator.size_of(part(module_.type(variable.pointer_type).operands, 1));
  }
  return total;
}

ShaderInterface reflect(std::span<const std::uint32_t> spirv) {
  return ShaderInfo({spirv.begin(), spirv.end()}).interface();
}

}  // namespace fabula::vk
