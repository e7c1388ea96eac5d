#include "skep/server/display_text.h"

#include <locale.h>
#include <wchar.h>

#include <cstdio>
#include <optional>

#include "skep/base/utf8.h"

namespace skep::server {
namespace {

// wcwidth() knows the widths, but only in a UTF-8 locale; the process may run in another.
class WidthLocale {
 public:
  WidthLocale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {}
  std::size_t columns(char32_t point) const {
    if (point < 0x7f || locale_ == nullptr) return 1;
    const locale_t before = uselocale(locale_);
    const int width = wcwidth(static_cast<wchar_t>(point));
    uselocale(before);
    return width < 0 ? 1 : static_cast<std::size_t>(width);
  }

 private:
  locale_t locale_;  // kept until the process ends
};

std::size_t columnsOf(char32_t point) {
  static const WidthLocale locale;
  return locale.columns(point);
}

constexpr char32_t kReplacement = 0xfffd;

// Takes one character off the front of `text`, and says how it is written; kReplacement for a byte
// that is not UTF-8.
char32_t takeCharacter(std::string_view& text, std::string_view& bytes) {
  const std::string_view before = text;
  const std::optional<char32_t> point = takeUtf8Character(text);
  bytes = point ? before.substr(0, before.size() - text.size()) : "\xef\xbf\xbd";
  return point.value_or(kReplacement);
}

// Characters that move the cursor, or that reorder what stands around them.
bool mustEscape(char32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029 ||
         (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

std::string escaped(char32_t point) {
  switch (point) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  char text[16];
  std::snprintf(text, sizeof text, point < 0x100 ? "\\x%02x" : "\\u%04x",
                static_cast<unsigned>(point));
  return text;
}

}  // namespace

DisplayText displayText(std::string_view text, std::size_t widthMax) {
  DisplayText result;
  std::size_t fitsBytes = 0;  // the prefix that leaves room for the ellipsis
  std::size_t fitsWidth = 0;
  while (!text.empty()) {
    std::string_view bytes;
    const char32_t point = takeCharacter(text, bytes);
    if (mustEscape(point)) {
      const std::string escape = escaped(point);
      result.text += escape;
      result.width += escape.size();
    } else {
      result.text += bytes;
      result.width += columnsOf(point);
    }
    if (result.width < widthMax) fitsBytes = result.text.size(), fitsWidth = result.width;
    if (result.width > widthMax) {
      result.text.resize(fitsBytes);
      result.text += "…";
      result.width = fitsWidth + 1;
      break;
    }
  }
  return result;
}

std::size_t displayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    std::string_view bytes;
    width += columnsOf(takeCharacter(text, bytes));
  }
  return width;
}

}  // namespace skep::server
