#include "formats/gguf.hpp"

#include <cstring>

#include "fuzz/targets.hpp"

namespace fabula::fuzz {
namespace {

/// Asks for every key's value as every kind; that a key has one of them is all that is sure.
void ask_for_all(const GgufFile& file) {
  for (const std::string& key : file.keys()) {
    int kinds = 0;
    kinds += takes([&] { file.integer(key); });
    kinds += takes([&] { file.number(key); });
    kinds += takes([&] { file.flag(key); });
    kinds += takes([&] { file.text(key); });
    kinds += takes([&] { file.integers(key); });
    kinds += takes([&] { file.numbers(key); });
    kinds += takes([&] { require(file.texts(key)->size() == file.find(key)->count, "texts are lost"); });
    require(kinds <= 1, "a key's value has two kinds");
  }
}

}  // namespace

bool gguf(std::string_view bytes) {
  return takes([&] {
    const GgufFile file = GgufFile::open(file_with(bytes, "read.gguf"));
    ask_for_all(file);
    GgufKeys keys;
    for (const std::string& key : file.keys())
      if (key != kGgufAlignmentKey) keys.copy(key, *file.find(key));
    std::vector<GgufTensorSource> tensors;
    for (const std::string& name : file.tensors()) {
      const GgufTensorInfo& info = file.info(name);
      require(file.raw(name).size() == info.bytes, "a tensor's bytes are not as many as its shape takes");
      tensors.push_back({name, info.type, info.shape, [&file, name](const GgufSink& sink) { sink(file.raw(name)); }});
    }
    const std::filesystem::path path = file_with("", "written.gguf");
    require(takes([&] { write_gguf(path, keys, tensors); }), "what was read cannot be written");
    require(takes([&] {
              const GgufFile again = GgufFile::open(path);
              require(again.keys().size() == keys.list().size() && again.tensors() == file.tensors(),
                      "keys or tensors are lost in writing");
              for (const std::string& key : again.keys())
                require(again.find(key)->bytes == file.find(key)->bytes, "\"" + key + "\" changes when it is written");
              for (const std::string& name : again.tensors()) {
                const auto left = again.raw(name), right = file.raw(name);
                require(again.info(name).shape == file.info(name).shape && left.size() == right.size() &&
                            std::memcmp(left.data(), right.data(), left.size()) == 0,
                        "\"" + name + "\" changes when it is written");
              }
            }),
            "a file that was written is refused");
  });
}

}  // namespace fabula::fuzz
