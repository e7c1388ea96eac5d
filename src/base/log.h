// Structured logging: one line an event, with named fields. Any thread.
//
//   logWarn("store", "commit outcome unknown", {{"database", name}, {"txid", txid}});
//
// The sink (spdlog) writes to standard error; setLogLevel decides what is kept. Secrets never go
// in.

#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace skep {

enum class LogLevel { Debug, Info, Warn, Error, Off };

struct LogField {
  std::string_view name;
  std::string value;

  LogField(std::string_view fieldName, std::string_view text) : name(fieldName), value(text) {}
  LogField(std::string_view fieldName, const char* text) : name(fieldName), value(text) {}
  LogField(std::string_view fieldName, const std::string& text) : name(fieldName), value(text) {}
  template <std::integral Number>
  LogField(std::string_view fieldName, Number number)
      : name(fieldName), value(std::to_string(number)) {}
};

void setLogLevel(LogLevel level);
void logDebug(std::string_view component, std::string_view event,
              std::initializer_list<LogField> fields = {});
void logInfo(std::string_view component, std::string_view event,
             std::initializer_list<LogField> fields = {});
void logWarn(std::string_view component, std::string_view event,
             std::initializer_list<LogField> fields = {});

}  // namespace skep
