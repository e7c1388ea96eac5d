#include "skep/server/error_text.h"

#include <algorithm>

#include "skep/base/utf8.h"
#include "skep/server/display_text.h"

namespace skep::server {
namespace {

constexpr std::size_t kContextBytes = 60;  // shown on either side of the token, at the most

}  // namespace

std::string errorText(const Error& error) {
  return "error: " + error.toString() + "\n";
}

std::string sqlErrorText(const Error& error, const SqlPiece& statement, std::string_view source) {
  const std::string_view text = statement.text;
  const bool hasOffset =
      error.sqlOffset >= 0 && static_cast<std::size_t>(error.sqlOffset) <= text.size();
  const std::size_t offset = hasOffset ? static_cast<std::size_t>(error.sqlOffset) : 0;
  std::string result = "error: ";
  if (!source.empty()) {
    const auto newlines =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
    result.append(source).append(":");
    result += std::to_string(statement.line + static_cast<std::size_t>(newlines)) + ": ";
  }
  result += error.toString() + "\n";
  if (!hasOffset) return result;

  std::size_t begin = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;  // npos + 1 is 0
  std::size_t end = std::min(text.find('\n', offset), text.size());
  const bool cutBegin = offset - begin > kContextBytes;
  const bool cutEnd = end - offset > kContextBytes;
  if (cutBegin) begin = offset - kContextBytes;
  if (cutEnd) end = offset + kContextBytes;
  while (begin < offset && isUtf8Continuation(text[begin])) ++begin;
  while (end > offset && end < text.size() && isUtf8Continuation(text[end])) --end;

  const DisplayText before = displayText(text.substr(begin, offset - begin));
  const DisplayText after = displayText(text.substr(offset, end - offset));
  result += "  ";
  result += cutBegin ? "…" : "";
  result += before.text + after.text;
  result += cutEnd ? "…\n" : "\n";
  result.append(2 + (cutBegin ? 1 : 0) + before.width, ' ');
  return result += "^\n";
}

}  // namespace skep::server
