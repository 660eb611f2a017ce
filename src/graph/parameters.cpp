#include "graph/parameters.hpp"

#include "base/fail.hpp"

namespace fabula::graph {

void ParameterSet::add(ParameterSpec spec) {
  ensure(!spec.is_vector || spec.shape.rows == 1, "\"{}\" is no vector: {}", spec.name, to_string(spec.shape));
  ensure(index_.emplace(spec.name, specs_.size()).second, "the parameter \"{}\" is declared twice", spec.name);
  specs_.push_back(std::move(spec));
}

const ParameterSpec& ParameterSet::find(std::string_view name) const {
  const auto it = index_.find(name);
  ensure(it != index_.end(), "there is no parameter \"{}\"", name);
  return specs_[it->second];
}

std::int64_t ParameterSet::count() const {
  std::int64_t count = 0;
  for (const ParameterSpec& spec : specs_) count += spec.shape.count();
  return count;
}

}  // namespace fabula::graph
