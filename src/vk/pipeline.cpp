#include "vk/pipeline.hpp"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/fail.hpp"
#include "base/parallel.hpp"
#include "vk/device_impl.hpp"
#include "vk/result.hpp"
#include "vk/shader_table.hpp"
#include "vk/slow_compiles.hpp"
#include "vk/spirv_words.hpp"

namespace fabula::vk {
namespace {

/// Which feature of the profile a SPIR-V capability rests on.
void check_capabilities(const std::string& name, const ShaderInfo& shader, const Features& features) {
  const auto need = [&](bool present, const char* feature) {
    ensure(present, "shader \"{}\" needs the feature {}, which this device or limits profile does not have", name,
           feature);
  };
  const auto& used = shader.capabilities();
  // The extension's capability does not say of which type; the feature of the same name is fp16's.
  const bool bf16 = std::find(used.begin(), used.end(), spirv::kBFloat16CooperativeMatrixKHR) != used.end();
  for (std::uint32_t capability : used) {
    switch (capability) {
      case spirv::kGroupNonUniformArithmetic:
      case spirv::kGroupNonUniformClustered:
        need(features.subgroup_arithmetic, "subgroup_arithmetic");
        break;
      case spirv::kGroupNonUniformShuffle:
      case spirv::kGroupNonUniformShuffleRelative:
        need(features.subgroup_shuffle, "subgroup_shuffle");
        break;
      case spirv::kGroupNonUniformBallot:
        need(features.subgroup_ballot, "subgroup_ballot");
        break;
      case spirv::kFloat16:
        need(features.float16, "float16");
        break;
      case spirv::kStorageBuffer16BitAccess:
      case spirv::kUniformAndStorageBuffer16BitAccess:
        need(features.storage_16bit, "storage_16bit");
        break;
      case spirv::kCooperativeMatrixNV:
        need(features.cooperative_matrix_nv, "cooperative_matrix_nv");
        break;
      case spirv::kCooperativeMatrixKHR:
        need(bf16 || features.cooperative_matrix_khr, "cooperative_matrix_khr");
        break;
      case spirv::kBFloat16CooperativeMatrixKHR:
        need(features.cooperative_matrix_bf16, "cooperative_matrix_bf16");
        break;
      case spirv::kFloat64:
      case spirv::kInt64:
      case spirv::kInt16:
      case spirv::kInt8:
      case spirv::kStoragePushConstant16:
      case spirv::kGroupNonUniformVote:
      case spirv::kGroupNonUniformQuad:
        fail(ErrorCode::kInternal, "shader \"{}\" uses SPIR-V capability {}, which fabula enables on no device", name,
             capability);
      default:
        break;
    }
  }
}

SetLayoutHandle make_set_layout(DeviceRef device, const ShaderInterface& interface) {
  std::vector<VkDescriptorSetLayoutBinding> bindings;
  for (const auto& slot : interface.slots) {
    VkDescriptorSetLayoutBinding binding{};
    binding.binding = static_cast<std::uint32_t>(bindings.size());
    binding.descriptorType = slot.kind == BindingKind::kStorage ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                                : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
    binding.descriptorCount = 1;
    binding.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    bindings.push_back(binding);
  }
  VkDescriptorSetLayoutCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  info.bindingCount = static_cast<std::uint32_t>(bindings.size());
  info.pBindings = bindings.data();
  VkDescriptorSetLayout layout = VK_NULL_HANDLE;
  check(device.table->vkCreateDescriptorSetLayout(device.device, &info, nullptr, &layout),
        "creating a descriptor set layout");
  return {device, layout};
}

PipelineLayoutHandle make_layout(DeviceRef device, const ShaderInterface& interface, VkDescriptorSetLayout set) {
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, (interface.push_constant_bytes + 3) & ~3u};
  VkPipelineLayoutCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  info.setLayoutCount = 1;
  info.pSetLayouts = &set;
  info.pushConstantRangeCount = range.size != 0 ? 1 : 0;
  info.pPushConstantRanges = &range;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  check(device.table->vkCreatePipelineLayout(device.device, &info, nullptr, &layout), "creating a pipeline layout");
  return {device, layout};
}

ShaderModuleHandle make_module(DeviceRef device, const ShaderInfo& shader, const std::string& name) {
  VkShaderModuleCreateInfo info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  info.codeSize = shader.words().size_bytes();
  info.pCode = shader.words().data();
  VkShaderModule module = VK_NULL_HANDLE;
  check(device.table->vkCreateShaderModule(device.device, &info, nullptr, &module), "creating shader module " + name);
  return {device, module};
}

}  // namespace

PipelineStore::PipelineStore(Device::Impl& device, const std::string& cache_dir)
    : device_(device), cache_(device.ref(), device.physical, cache_dir), notes_(cache_.notes_path()) {}

PipelineStore::~PipelineStore() {
  save_cache();
}

void PipelineStore::save_cache() {
  if (notes_.save()) cache_.save();  // where one cannot be written, one warning is enough
}

const ShaderInfo& PipelineStore::shader(const std::string& name) {
  if (const auto found = shaders_.find(name); found != shaders_.end()) return found->second;
  const ShaderBinary* binary = find_shader(name);
  ensure(binary != nullptr,
         "no shader \"{}\" in this build ({} variants): is the file under shaders/, or was the variant left out?", name,
         shader_table().size());
  try {
    return shaders_.emplace(name, ShaderInfo(device_words(*binary))).first->second;
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("shader \"{}\": {}", name, error.what()));
  }
}

const Pipeline* PipelineStore::get(const KernelKey& key) {
  prepare({&key, 1});
  return pipelines_.at(key).get();
}

void PipelineStore::prepare(std::span<const KernelKey> keys) {
  struct Missing {
    const KernelKey* key;
    const ShaderInfo* shader;
    std::unique_ptr<Pipeline> made;
  };
  std::vector<Missing> missing;
  std::set<KernelKey> seen;
  for (const KernelKey& key : keys)
    if (!pipelines_.contains(key) && seen.insert(key).second) missing.push_back({&key, &shader(key.shader), {}});
  if (missing.empty()) return;
  SlowCompiles slow;
  parallel_for(0, missing.size(), [&](std::size_t, std::size_t i) {
    const SlowCompiles::One one(slow, missing[i].key->shader);
    missing[i].made = create(*missing[i].key, *missing[i].shader, {.cache = cache_.get()});
  });
  cache_.note_change();
  for (Missing& entry : missing) {
    device_.name_object(VK_OBJECT_TYPE_PIPELINE, reinterpret_cast<std::uint64_t>(entry.made->pipeline.get()),
                        entry.key->shader);
    pipelines_[*entry.key] = std::move(entry.made);
  }
}

void PipelineStore::check_limits(const KernelKey& key, const ShaderInfo& shader, const Pipeline& pipeline) const {
  const std::string& name = key.shader;
  const Limits& limits = device_.profile().limits;
  const Features& features = device_.profile().features;
  const auto& size = pipeline.workgroup_size;
  ensure(key.constants.size() == shader.interface().specialization_count,
         "shader \"{}\" takes {} specialisation constants, {} were given", name,
         shader.interface().specialization_count, key.constants.size());
  for (std::uint32_t b = 0; b < key.types.size(); ++b)
    ensure(key.types[b] == 0 || shader.specialization_ids().contains(kElementTypeId + b),
           "shader \"{}\" knows binding {} in 32 bits only, a value of smaller elements was bound", name, b);
  for (std::uint32_t b = 0; b < key.types.size(); ++b)
    ensure(key.types[b] != kBytesCode || shader.specialization_ids().contains(kBytesId + b),
           "shader \"{}\" knows no signed bytes at binding {}, and such were bound", name, b);
  const std::uint64_t invocations = std::uint64_t{size[0]} * size[1] * size[2];
  ensure(invocations != 0 && invocations <= limits.max_invocations && size[0] <= limits.max_workgroup_size[0] &&
             size[1] <= limits.max_workgroup_size[1] && size[2] <= limits.max_workgroup_size[2],
         "shader \"{}\" has workgroups of {}x{}x{}, the device takes {} invocations and {}x{}x{}", name, size[0],
         size[1], size[2], limits.max_invocations, limits.max_workgroup_size[0], limits.max_workgroup_size[1],
         limits.max_workgroup_size[2]);
  const std::uint64_t shared = shader.shared_bytes(key.constants);
  ensure(shared <= limits.max_shared_memory, "shader \"{}\" uses {} bytes of shared memory, the device has {}", name,
         shared, limits.max_shared_memory);
  ensure(shader.storage_buffers() <= limits.max_storage_buffers,
         "shader \"{}\" binds {} storage buffers, the device takes {}", name, shader.storage_buffers(),
         limits.max_storage_buffers);
  ensure(shader.interface().push_constant_bytes <= limits.max_push_constants,
         "shader \"{}\" takes {} bytes of push constants, the device {}", name, shader.interface().push_constant_bytes,
         limits.max_push_constants);
  check_capabilities(name, shader, features);
  if (key.subgroup_size == 0) return;
  const std::uint32_t subgroup = key.subgroup_size;
  ensure(size[0] % subgroup == 0, "shader \"{}\" asks for full subgroups of {} in workgroups {} wide", name, subgroup,
         size[0]);
  const auto sizes = [&] {
    if (!features.full_subgroups) return std::string("cannot require full subgroups");
    return fmt::format(
        "has sizes from {} to {} and takes {} a workgroup", features.min_subgroup_size, features.max_subgroup_size,
        limits.max_workgroup_subgroups == 0 ? "any number" : std::to_string(limits.max_workgroup_subgroups));
  };
  ensure(promised_subgroup_size(device_.profile(), subgroup, static_cast<std::uint32_t>(invocations)) == subgroup,
         "shader \"{}\" asks for subgroups of {} in workgroups of {}; the device {}", name, subgroup, invocations,
         sizes());
}

CompiledKernel PipelineStore::compile(const KernelKey& key) {
  const ShaderInfo& info = shader(key.shader);
  const bool capture = device_.statistics && device_.physical.quirks.tells(key.shader);
  const auto begin = std::chrono::steady_clock::now();
  const std::unique_ptr<Pipeline> made = create(key, info, {.capture = capture});
  CompiledKernel compiled;
  compiled.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  notes_.note_compiled(key);
  if (capture) compiled.statistics = read_statistics(device_.ref(), made->pipeline.get());
  return compiled;
}

std::unique_ptr<Pipeline> PipelineStore::create(const KernelKey& key, const ShaderInfo& info,
                                                const Making& making) const {
  auto made = std::make_unique<Pipeline>();
  made->key = key;
  made->shader = &info;
  made->workgroup_size = info.workgroup_size(key.constants);
  check_limits(key, info, *made);
  const DeviceRef device = device_.ref();
  made->set_layout = make_set_layout(device, info.interface());
  made->layout = make_layout(device, info.interface(), made->set_layout.get());
  const ShaderModuleHandle module = make_module(device, info, key.shader);

  std::vector<VkSpecializationMapEntry> entries;
  std::vector<std::uint32_t> constants = key.constants;
  constants.resize(kElementTypeId);
  constants.insert(constants.end(), key.types.begin(), key.types.end());
  for (std::uint32_t id : info.specialization_ids())
    if (id < constants.size()) entries.push_back({id, id * 4, 4});
  const VkSpecializationInfo specialization{static_cast<std::uint32_t>(entries.size()), entries.data(),
                                            constants.size() * 4, constants.data()};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo required{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, nullptr, key.subgroup_size};
  VkComputePipelineCreateInfo create{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  create.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  create.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  create.stage.module = module.get();
  create.stage.pName = "main";
  create.stage.pSpecializationInfo = &specialization;
  if (key.subgroup_size != 0) {
    if (device_.profile().features.subgroup_size_control) create.stage.pNext = &required;
    create.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  create.layout = made->layout.get();
  if (making.capture) create.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const KernelNotes::OnTrial marker(notes_, {&key, 1}, KernelNotes::Trial::kCompiled);
  check(device.table->vkCreateComputePipelines(device.device, making.cache, 1, &create, nullptr, &pipeline),
        fmt::format("compiling shader \"{}\"", key.shader));
  made->pipeline = PipelineHandle(device, pipeline);
  return made;
}

}  // namespace fabula::vk
