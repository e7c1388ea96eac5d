// Structured logging: one line an event, with named fields. Any thread.
//
//   logWarn("store", "commit outcome unknown", {{"database", name}, {"txid", txid}});
//
// Lines go to standard error, as text for people or as JSON for programs (docs/logs.md has both, and all
// events). A field whose value is empty is left out: whoever logs needs not ask whether there is one. Its name
// is none of time, level, component and message. Secrets never go in.

#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace skep {

enum class LogLevel : std::uint8_t { Debug, Info, Warn, Error, Off };
enum class LogFormat : std::uint8_t { Text, Json };

struct LogField {
  std::string_view name;
  std::string value;
  bool isNumber = false;

  LogField(std::string_view fieldName, std::string_view text) : name(fieldName), value(text) {}
  LogField(std::string_view fieldName, const char* text) : name(fieldName), value(text) {}
  LogField(std::string_view fieldName, const std::string& text) : name(fieldName), value(text) {}
  template <std::integral Number>
  LogField(std::string_view fieldName, Number number)
      : name(fieldName), value(std::to_string(number)), isNumber(true) {}
};
using LogFields = std::initializer_list<LogField>;

/// Warn and Text until these are called.
void setLogLevel(LogLevel level);
void setLogFormat(LogFormat format);
/// Whether a line of that level is kept: for those whose fields cost something to gather.
bool isLogged(LogLevel level);

void logDebug(std::string_view component, std::string_view event, LogFields fields = {});
void logInfo(std::string_view component, std::string_view event, LogFields fields = {});
void logWarn(std::string_view component, std::string_view event, LogFields fields = {});
void logError(std::string_view component, std::string_view event, LogFields fields = {});

/// One line, without its end. `wallMs`: when it happened, by the clock on the wall.
std::string formatLogLine(LogFormat format, LogLevel level, std::int64_t wallMs,
                          std::string_view component, std::string_view event, LogFields fields);

}  // namespace skep
