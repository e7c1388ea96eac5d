// UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Pure functions.

#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace skep {

bool isValidUtf8(std::string_view text);

/// Of text that goes on: how many bytes at its end begin a character whose rest is yet to come. Nullopt when
/// no rest can make it UTF-8.
std::optional<std::size_t> unfinishedUtf8(std::string_view text);

/// Takes the character off the front of `text`, which is not empty. Nullopt, and one byte is taken,
/// when no valid one begins there.
std::optional<char32_t> takeUtf8Character(std::string_view& text);

/// Whether the byte is one of a character's later ones, if it is of any.
inline bool isUtf8Continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

}  // namespace skep
