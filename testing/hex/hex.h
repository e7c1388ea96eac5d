// Bytes as text, for expectations in tests and for the corpora of the fuzz targets.
//
//   # a comment goes to the end of its line
//   01 00 0102     pairs of lower-case hex digits; spaces and line ends are ignored
//   00*4096        a byte and how often it is repeated, ended by a space or line end

#pragma once

#include <string>
#include <string_view>

#include "skep/base/bytes.h"

namespace skep::testing {

/// Digits only, without spaces.
std::string toHex(ByteView bytes);

/// Aborts when the text is malformed: it comes from this repository.
Bytes fromHex(std::string_view text);

/// As toHex(), but in lines of at most 100 characters, with repeated bytes written as "00*4096".
std::string toHexText(ByteView bytes);

}  // namespace skep::testing
