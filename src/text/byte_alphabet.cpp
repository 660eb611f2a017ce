#include "text/byte_alphabet.hpp"

#include "text/utf8.hpp"

namespace fabula::text {
namespace {

constexpr char32_t kFirstStandIn = 0x100;  // the unprintable bytes take the characters from here on
constexpr size_t kUnprintable = 68;

constexpr bool is_printable(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Alphabet {
  std::array<uint8_t, 256> order{};
  std::array<char32_t, 256> character{};
  std::array<int, kFirstStandIn + kUnprintable> byte{};

  constexpr Alphabet() {
    byte.fill(-1);
    size_t next = 0;
    char32_t stand_in = kFirstStandIn;
    for (const bool printable : {true, false}) {
      for (unsigned value = 0; value < 256; ++value) {
        if (is_printable(value) != printable) continue;
        order[next++] = static_cast<uint8_t>(value);
        character[value] = printable ? static_cast<char32_t>(value) : stand_in++;
        byte[character[value]] = static_cast<int>(value);
      }
    }
  }
};

constexpr Alphabet kAlphabet;

}  // namespace

const std::array<uint8_t, 256>& gpt2_byte_order() {
  return kAlphabet.order;
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(out, kAlphabet.character[static_cast<unsigned char>(byte)]);
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view printable) {
  std::string out;
  while (!printable.empty()) {
    const Utf8Sequence sequence = first_utf8_sequence(printable);
    if (sequence.kind != Utf8Sequence::Kind::kValid) return std::nullopt;
    const char32_t character = decode_utf8(printable.substr(0, sequence.length));
    if (character >= kAlphabet.byte.size() || kAlphabet.byte[character] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kAlphabet.byte[character]));
    printable.remove_prefix(sequence.length);
  }
  return out;
}

}  // namespace fabula::text
