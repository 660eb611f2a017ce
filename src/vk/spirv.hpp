#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "vk/shader_interface.hpp"

namespace fabula::vk {

/// The tables of a SPIR-V module that its interface is read from. Ids are the module's own.
struct SpirvModule {
  struct Type {
    std::uint32_t op = 0;                 ///< OpType...
    std::vector<std::uint32_t> operands;  ///< after the result id
  };
  struct Constant {
    std::uint32_t op = 0, type = 0;
    std::vector<std::uint32_t> operands;  ///< literal words, constituents, or opcode and operands of OpSpecConstantOp
  };
  struct Variable {
    std::uint32_t id = 0, pointer_type = 0, storage_class = 0;
  };
  struct Decorations {
    std::map<std::uint32_t, std::uint32_t> values;  ///< decoration -> first literal (0 without one)
    std::map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>> members;  ///< member -> the same
  };

  /// Throws kInternal for a malformed module.
  static SpirvModule parse(std::span<const std::uint32_t> words);

  const Type& type(std::uint32_t id) const;
  bool has(std::uint32_t id, std::uint32_t decoration) const;
  std::optional<std::uint32_t> decoration(std::uint32_t id, std::uint32_t decoration) const;

  std::vector<std::uint32_t> capabilities;
  std::map<std::uint32_t, Type> types;
  std::map<std::uint32_t, Constant> constants;
  std::map<std::uint32_t, Decorations> decorations;
  std::vector<Variable> variables;
  std::array<std::uint32_t, 3> local_size{1, 1, 1};
  std::optional<std::array<std::uint32_t, 3>> local_size_ids;  ///< OpExecutionModeId LocalSizeId
};

/// A compiled shader with what specialisation decides about it.
class ShaderInfo {
 public:
  /// See reflect() for the rules that are checked here.
  explicit ShaderInfo(std::vector<std::uint32_t> words);

  const ShaderInterface& interface() const { return interface_; }
  const std::vector<std::uint32_t>& capabilities() const { return module_.capabilities; }
  std::span<const std::uint32_t> words() const { return words_; }
  std::uint32_t storage_buffers() const;
  const std::set<std::uint32_t>& specialization_ids() const { return ids_; }
  /// Workgroup size and bytes of shared memory under these specialisation constants.
  std::array<std::uint32_t, 3> workgroup_size(std::span<const std::uint32_t> constants) const;
  std::uint64_t shared_bytes(std::span<const std::uint32_t> constants) const;

 private:
  std::vector<std::uint32_t> words_;
  SpirvModule module_;
  ShaderInterface interface_;
  std::set<std::uint32_t> ids_;
};

}  // namespace fabula::vk
