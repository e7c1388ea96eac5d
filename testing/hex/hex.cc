#include "skep/testing/hex/hex.h"

#include <algorithm>
#include <cctype>

#include "skep/base/check.h"

namespace skep::testing {

namespace {

void appendHex(std::byte b, std::string& text) {
  constexpr char kDigits[] = "0123456789abcdef";
  text += kDigits[static_cast<unsigned>(b) >> 4];
  text += kDigits[static_cast<unsigned>(b) & 15];
}

unsigned digitOf(char c) {
  SKEP_CHECK((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'), "'%c' is not a hex digit", c);
  return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
}

/// Takes the decimal number at the start of `text`.
std::size_t takeCount(std::string_view& text) {
  std::size_t count = 0;
  while (!text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0) {
    count = count * 10 + static_cast<std::size_t>(text[0] - '0');
    text.remove_prefix(1);
  }
  return count;
}

}  // namespace

std::string toHex(ByteView bytes) {
  std::string text;
  for (std::byte b : bytes) appendHex(b, text);
  return text;
}

Bytes fromHex(std::string_view text) {
  Bytes bytes;
  while (!text.empty()) {
    if (text[0] == '#') {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text[0] == ' ' || text[0] == '\n') {
      text.remove_prefix(1);
    } else if (text[0] == '*') {
      SKEP_CHECK(!bytes.empty(), "a count without a byte");
      text.remove_prefix(1);
      const std::size_t count = takeCount(text);
      SKEP_CHECK(count > 0, "a byte repeated 0 times");
      bytes.resize(bytes.size() + count - 1, bytes.back());
    } else {
      SKEP_CHECK(text.size() >= 2, "half a byte at the end");
      bytes.push_back(static_cast<std::byte>(digitOf(text[0]) << 4 | digitOf(text[1])));
      text.remove_prefix(2);
    }
  }
  return bytes;
}

std::string toHexText(ByteView bytes) {
  constexpr std::size_t kRunMin = 8;
  constexpr std::size_t kLineMax = 100;
  std::string text;
  std::size_t lineStart = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t run = 1;
    while (at + run < bytes.size() && bytes[at + run] == bytes[at]) ++run;
    if (run < kRunMin) run = 1;
    appendHex(bytes[at], text);
    if (run > 1) text += "*" + std::to_string(run) + " ";
    at += run;
    if (text.size() - lineStart > kLineMax - 12) {
      text += '\n';
      lineStart = text.size();
    }
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

}  // namespace skep::testing
