#include <algorithm>

#include "base/fail.hpp"
#include "text/scheme.hpp"

namespace fabula::text {
namespace {

class ByteLevelScheme final : public Tokenizer::Scheme {
 public:
  ByteLevelScheme(const TokenizerParts& parts, const std::unordered_map<std::string_view, uint32_t>& ids)
      : pre_tokenizer_(parts.patterns) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char value = static_cast<char>(byte);
      const auto id = ids.find(std::string_view(&value, 1));
      if (id == ids.end()) {
        fail(ErrorCode::kFormat,
             "the vocabulary has no token for the byte 0x{:02x}, so it is not byte-level BPE; all 256 are needed",
             byte);
      }
      byte_ids_[byte] = id->second;
    }
  }

  void split(std::string_view text, const PreTokenizer::PieceSink& sink) const override {
    pre_tokenizer_.split(text, sink);
  }
  void start(std::string_view piece, std::vector<uint32_t>& ids) const override {
    for (const char byte : piece) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  }
  bool is_start(uint32_t id) const override {
    return std::find(byte_ids_.begin(), byte_ids_.end(), id) != byte_ids_.end();
  }

 private:
  PreTokenizer pre_tokenizer_;
  std::array<uint32_t, 256> byte_ids_{};
};

}  // namespace

std::unique_ptr<const Tokenizer::Scheme> byte_level_scheme(const TokenizerParts& parts,
                                                           const std::unordered_map<std::string_view, uint32_t>& ids) {
  return std::make_unique<ByteLevelScheme>(parts, ids);
}

}  // namespace fabula::text
