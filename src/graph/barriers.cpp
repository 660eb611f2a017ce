#include "graph/barriers.hpp"

#include "vk/shader_table.hpp"

namespace fabula::graph {

std::vector<vk::HazardTracker::Use> uses_of(const Step& step) {
  const vk::ShaderInterface* shader = step.shader.empty() ? nullptr : vk::shader_interface(step.shader);
  std::vector<vk::HazardTracker::Use> uses;
  for (std::size_t i = 0; i < step.bindings.size(); ++i) {
    const Range& range = step.bindings[i];
    const std::uint64_t buffer = std::uint64_t(range.pool) << 32 | range.block;
    const bool write = shader == nullptr || shader->slots.at(i).access != vk::Access::kRead;
    uses.push_back({buffer, range.offset, range.offset + range.size, write});
  }
  return uses;
}

std::size_t barrier_count(const Program& program) {
  vk::HazardTracker tracker;
  std::size_t count = 0;
  for (const Step& step : program.steps) count += tracker.add(uses_of(step)) ? 1 : 0;
  return count;
}

}  // namespace fabula::graph
