#include "formats/safetensors.hpp"

#include <cstring>

#include "fuzz/targets.hpp"

namespace fabula::fuzz {
namespace {

using Tensors = std::map<std::string, std::vector<float>>;

/// Those whose type holds weights.
Tensors read_all(const SafetensorsFile& file) {
  Tensors tensors;
  for (const std::string& name : file.names()) {
    const TensorInfo& info = file.info(name);
    require(file.raw(name).size() == info.bytes, "a tensor's bytes are not as many as its header says");
    std::vector<float> values(static_cast<std::size_t>(info.elements));
    if (takes([&] { file.read_f32(name, values); })) tensors[name] = std::move(values);
  }
  return tensors;
}

}  // namespace

bool safetensors(std::string_view bytes) {
  return takes([&] {
    const SafetensorsFile file = SafetensorsFile::open(file_with(bytes, "read.safetensors"));
    const Tensors tensors = read_all(file);
    std::vector<TensorSource> sources;
    for (const auto& [name, values] : tensors)
      sources.push_back(tensor_from_memory(name, file.info(name).shape, values));
    const std::filesystem::path path = file_with("", "written.safetensors");
    require(takes([&] { write_safetensors(path, sources, file.metadata()); }),
            "tensors that were read cannot be written");
    require(takes([&] {
              const SafetensorsFile again = SafetensorsFile::open(path);
              const Tensors reread = read_all(again);
              require(again.metadata() == file.metadata() && reread.size() == tensors.size(),
                      "metadata or tensors are lost in writing");
              for (const auto& [name, values] : tensors) {
                const std::vector<float>& other = reread.at(name);
                require(again.info(name).shape == file.info(name).shape && other.size() == values.size() &&
                            (values.empty() || std::memcmp(other.data(), values.data(), values.size() * 4) == 0),
                        "\"" + name + "\" changes when it is written");
              }
            }),
            "tensors that were written are refused");
  });
}

}  // namespace fabula::fuzz
