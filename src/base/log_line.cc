// How a line of the log looks.

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "skep/base/log.h"
#include "skep/base/utf8.h"

namespace skep {
namespace {

std::string_view nameOf(LogLevel level) {
  static constexpr std::array<std::string_view, 5> kNames = {"debug", "info", "warn", "error",
                                                             "off"};
  return kNames[static_cast<std::size_t>(level)];
}

/// RFC 3339, in UTC.
void appendTime(std::string& line, std::int64_t wallMs) {
  const std::time_t seconds = wallMs / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text;
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  line.append(text.data(), size);
  std::snprintf(text.data(), text.size(), ".%03dZ", static_cast<int>(wallMs % 1000));
  line += text.data();
}

bool isControl(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Nothing in it ends the line, or tells a terminal to do something.
void appendText(std::string& line, std::string_view value) {
  const bool isPlain = std::none_of(value.begin(), value.end(), [](char c) {
    return isControl(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
  });
  if (isPlain) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    line += isControl(c) ? ' ' : c;
  }
  line += '"';
}

void appendEscaped(std::string& line, char c) {
  switch (c) {
    case '"':
      line += "\\\"";
      return;
    case '\\':
      line += "\\\\";
      return;
    case '\n':
      line += "\\n";
      return;
    case '\t':
      line += "\\t";
      return;
    default:
      break;
  }
  if (!isControl(c)) {
    line += c;
    return;
  }
  std::array<char, 8> escape;
  std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned char>(c));
  line += escape.data();
}

void appendJson(std::string& line, std::string_view value) {
  const bool isText = isValidUtf8(value);
  line += '"';
  for (char c : value) {
    // Bytes of something else than text are not told apart.
    if (!isText && static_cast<unsigned char>(c) >= 0x80) {
      line += '?';
    } else {
      appendEscaped(line, c);
    }
  }
  line += '"';
}

void appendMember(std::string& line, std::string_view name, std::string_view value) {
  line.append(",\"").append(name).append("\":");
  appendJson(line, value);
}

std::string jsonLine(LogLevel level, std::int64_t wallMs, std::string_view component,
                     std::string_view event, LogFields fields) {
  std::string line = "{\"time\":\"";
  appendTime(line, wallMs);
  line += '"';
  appendMember(line, "level", nameOf(level));
  appendMember(line, "component", component);
  appendMember(line, "message", event);
  for (const LogField& field : fields) {
    if (field.value.empty()) continue;
    if (field.isNumber) {
      line.append(",\"").append(field.name).append("\":").append(field.value);
    } else {
      appendMember(line, field.name, field.value);
    }
  }
  return line += '}';
}

std::string textLine(LogLevel level, std::int64_t wallMs, std::string_view component,
                     std::string_view event, LogFields fields) {
  std::string line;
  appendTime(line, wallMs);
  line.append(" ").append(nameOf(level)).append(" ");
  line.append(component).append(": ").append(event);
  for (const LogField& field : fields) {
    if (field.value.empty()) continue;
    line.append(" ").append(field.name).append("=");
    appendText(line, field.value);
  }
  return line;
}

}  // namespace

std::string formatLogLine(LogFormat format, LogLevel level, std::int64_t wallMs,
                          std::string_view component, std::string_view event, LogFields fields) {
  const auto make = format == LogFormat::Json ? jsonLine : textLine;
  return make(level, wallMs, component, event, fields);
}

}  // namespace skep
