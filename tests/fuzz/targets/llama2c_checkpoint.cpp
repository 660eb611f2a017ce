#include <vector>

#include "formats/llama2c_file.hpp"
#include "fuzz/targets.hpp"

namespace fabula::fuzz {

bool llama2c_checkpoint(std::string_view bytes) {
  return takes([&] {
    const Llama2cFile file = Llama2cFile::open(file_with(bytes, "model.bin"));
    std::size_t numbers = 0;
    for (std::size_t i = 0; i < kLlama2cParts; ++i) {
      const auto part = static_cast<Llama2cPart>(i);
      if (part == Llama2cPart::kClassifier && file.sizes().tied) continue;
      const bool once =
          part == Llama2cPart::kTokens || part == Llama2cPart::kFinalNorm || part == Llama2cPart::kClassifier;
      std::vector<float> values(static_cast<std::size_t>(file.shape(part).elements()));
      for (std::int64_t layer = 0; layer < (once ? 1 : file.sizes().layers); ++layer) {
        file.read(part, layer, 0, values);
        numbers += values.size();
      }
    }
    require(28 + 4 * numbers < bytes.size(), "a checkpoint has more numbers than its file");
  });
}

}  // namespace fabula::fuzz
