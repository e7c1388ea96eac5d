#include "skep/base/utf8.h"

#include <cstdint>
#include <cstring>
#include <string>

namespace skep {
namespace {

/// Bytes of the character that begins with `lead`; 0 when none does.
std::size_t lengthOf(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/// Takes ASCII off the front, eight characters at a time: most text is nothing else.
void skipAscii(std::string_view& text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    if ((word & kHighBits) != 0) return;
    text.remove_prefix(sizeof word);
  }
}

}  // namespace

std::optional<char32_t> takeUtf8Character(std::string_view& text) {
  constexpr char32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lengthOf(lead);
  const std::string_view bytes = text.substr(0, length);
  text.remove_prefix(1);
  if (length == 0 || bytes.size() < length) return std::nullopt;
  char32_t point = length == 1 ? lead : lead & (0xffu >> (length + 1));
  for (const char c : bytes.substr(1)) {
    if (!isUtf8Continuation(c)) return std::nullopt;
    point = (point << 6) | (static_cast<unsigned char>(c) & 0x3fu);
  }
  if (point < kLowest[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
    return std::nullopt;
  text.remove_prefix(length - 1);
  return point;
}

std::optional<std::size_t> unfinishedUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::string_view rest = text;
    if (takeUtf8Character(text)) continue;
    const std::size_t length = lengthOf(static_cast<unsigned char>(rest[0]));
    if (rest.size() >= length) return std::nullopt;
    // If anything can follow, then the lowest or the highest of what continues a character.
    for (const char filling : {'\x80', '\xbf'}) {
      std::string whole(rest);
      whole.resize(length, filling);
      std::string_view character = whole;
      if (takeUtf8Character(character)) return rest.size();
    }
    return std::nullopt;
  }
  return 0;
}

bool isValidUtf8(std::string_view text) {
  for (skipAscii(text); !text.empty(); skipAscii(text)) {
    if (!takeUtf8Character(text)) return false;
  }
  return true;
}

}  // namespace skep
