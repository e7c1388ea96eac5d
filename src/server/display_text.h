// How text looks on a terminal: its width in columns, and a form of it that is safe to print.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace skep::server {

struct DisplayText {
  std::string text;
  std::size_t width = 0;  // terminal columns
};

/// A form of `text` that stays in its line and cannot steer the terminal: control characters become
/// \n, \t, \x1b …, and bytes that are not UTF-8 become U+FFFD. Cut with "…" when wider than
/// `widthMax`.
DisplayText displayText(std::string_view text, std::size_t widthMax = static_cast<std::size_t>(-1));

/// Terminal columns of text that came from displayText() or is plain: wide characters count two,
/// combining ones none.
std::size_t displayWidth(std::string_view text);

}  // namespace skep::server
