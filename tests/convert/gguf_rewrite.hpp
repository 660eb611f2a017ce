#pragma once
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "formats/gguf.hpp"

namespace fabula::test {

/// In what a file is to differ from another.
struct GgufChange {
  std::function<void(GgufKeys&)> keys = {};  ///< adds keys, in the place of those of the same name
  std::vector<std::string> without_keys = {}, without_tensors = {};
  std::map<std::string, std::uint32_t> retyped = {};  ///< the type's number; the bytes are zeros
  struct Vector {
    std::string name;
    std::vector<std::int64_t> shape;
    float value;
  };
  std::vector<Vector> more = {};
};

inline void rewrite_gguf(const std::filesystem::path& from, const std::filesystem::path& to, const GgufChange& change) {
  const GgufFile file = GgufFile::open(from);
  GgufKeys keys;
  if (change.keys) change.keys(keys);
  const std::vector<GgufKeys::Key> changed = keys.list();
  const auto listed = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const std::string& name : file.keys()) {
    const auto same = [&](const GgufKeys::Key& key) { return key.name == name; };
    if (std::any_of(changed.begin(), changed.end(), same) || listed(change.without_keys, name)) continue;
    keys.copy(name, *file.find(name));
  }
  std::vector<GgufTensorSource> tensors;
  for (const std::string& name : file.tensors()) {
    if (listed(change.without_tensors, name)) continue;
    const GgufTensorInfo& info = file.info(name);
    tensors.push_back({name, info.type, info.shape, [&file, name](const GgufSink& sink) { sink(file.raw(name)); }});
    const auto retyped = change.retyped.find(name);
    if (retyped == change.retyped.end()) continue;
    tensors.back().type = static_cast<GgufType>(retyped->second);
    const GgufTypeInfo& type = *gguf_type_info(tensors.back().type);
    tensors.back().write = [size = static_cast<std::uint64_t>(info.elements / type.block) *
                                   type.bytes](const auto& sink) { sink(std::vector<std::byte>(size)); };
  }
  for (const GgufChange::Vector& vector : change.more)
    tensors.push_back({vector.name, GgufType::kF32, vector.shape, [vector](const GgufSink& sink) {
                         const std::vector<float> values(static_cast<std::size_t>(vector.shape[0]), vector.value);
                         sink(std::as_bytes(std::span(values)));
                       }});
  write_gguf(to, keys, tensors);
}

}  // namespace fabula::test
