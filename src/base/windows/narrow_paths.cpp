#include <cwchar>

// Strings are UTF-8 in fabula, and so are the names in them. libstdc++ makes a std::filesystem::path of a string by
// mbrtowc() (std::codecvt<wchar_t, char, mbstate_t>), which goes by the C locale, and msvcrt.dll has no locale of
// UTF-8: each byte would become a character. So this stands in mbrtowc's place, by the linker's --wrap
// (CMakeLists.txt). A character beyond U+FFFF is two units of UTF-16: the first comes of three of
// its bytes, the second of the last one.
namespace {

constexpr auto kInvalid = static_cast<std::size_t>(-1);
constexpr auto kIncomplete = static_cast<std::size_t>(-2);

struct Lead {
  std::size_t length;  // bytes of the character; 0: none begins so
  unsigned bits;       // of its first byte
  unsigned least;      // code point that takes so many bytes
};

Lead lead_of(unsigned byte) {
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0};
  if (byte < 0xE0) return {2, byte & 0x1F, 0x80};
  if (byte < 0xF0) return {3, byte & 0x0F, 0x800};
  return {4, byte & 0x07, 0x10000};
}

}  // namespace

extern "C" std::size_t __wrap_mbrtowc(wchar_t* to, const char* from, std::size_t size, std::mbstate_t* state) {
  static thread_local std::mbstate_t own_state;
  if (state == nullptr) state = &own_state;
  if (from == nullptr) {
    *state = 0;
    return 0;
  }
  const auto byte = [from](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(from[i])); };
  wchar_t ignored;
  wchar_t& unit = to != nullptr ? *to : ignored;
  if (size == 0) return kIncomplete;
  if (*state != 0) {  // the second unit: the four bits that are known, and the last byte's six
    if ((byte(0) & 0xC0) != 0x80) return kInvalid;
    unit = static_cast<wchar_t>(static_cast<unsigned>(*state) | (byte(0) & 0x3F));
    *state = 0;
    return 1;
  }
  if (byte(0) < 0x80) {
    unit = static_cast<wchar_t>(byte(0));
    return byte(0) != 0 ? 1 : 0;
  }
  const Lead lead = lead_of(byte(0));
  if (lead.length == 0) return kInvalid;
  if (size < lead.length) return kIncomplete;
  unsigned code = lead.bits;
  for (std::size_t i = 1; i < lead.length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kInvalid;
    code = code << 6 | (byte(i) & 0x3F);
  }
  if (code < lead.least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return kInvalid;
  if (lead.length < 4) {
    unit = static_cast<wchar_t>(code);
    return lead.length;
  }
  unit = static_cast<wchar_t>(0xD800 + ((code - 0x10000) >> 10));
  *state = static_cast<std::mbstate_t>(0xDC00 + (code & 0x3C0));
  return 3;
}
