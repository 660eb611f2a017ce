#include "text/token_file.hpp"

#include <cstring>

#include "base/hash.hpp"
#include "fuzz/targets.hpp"

namespace fabula::fuzz {
namespace {

bool read(std::string_view bytes) {
  return takes([&] {
    const std::filesystem::path path = file_with(bytes, "tokens.bin");
    text::is_token_file(path);
    const text::TokenFile file(path);
    std::vector<std::uint32_t> tokens(file.size());
    file.read(0, tokens);
    for (std::uint64_t i = 0; i < file.size(); ++i)
      require(tokens[i] == file[i] && tokens[i] < file.vocab_size(), "an id is outside the vocabulary");
    require(file.document_offsets().size() == file.document_count() + 1 &&
                file.document_offsets()[file.document_count()] == file.size(),
            "documents do not end where the tokens do");
    for (std::uint64_t d = 0; d < file.document_count(); ++d)
      require(file.document_offsets()[d] <= file.document_offsets()[d + 1], "a document ends before it begins");
  });
}

}  // namespace

bool token_file(std::string_view bytes) {
  const bool taken = read(bytes);
  // And with a header that is whole: no one finds its checksum by trying.
  constexpr std::size_t kChecked = 120, kHeader = 128;
  if (bytes.size() < kHeader) return taken;
  std::string sealed(bytes);
  const std::uint64_t checksum = fnv1a(sealed.data(), kChecked);
  std::memcpy(sealed.data() + kChecked, &checksum, sizeof checksum);
  return read(sealed) || taken;
}

}  // namespace fabula::fuzz
