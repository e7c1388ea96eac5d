#include "skep/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>

namespace skep {
namespace {

std::atomic<LogFormat> format = LogFormat::Text;

/// Writes lines as they are: they have all that they need.
spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("skep", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::warn);
    made->set_pattern("%v");
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum levelOf(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return spdlog::level::debug;
    case LogLevel::Info:
      return spdlog::level::info;
    case LogLevel::Warn:
      return spdlog::level::warn;
    case LogLevel::Error:
      return spdlog::level::err;
    case LogLevel::Off:
      break;
  }
  return spdlog::level::off;
}

void write(LogLevel level, std::string_view component, std::string_view event, LogFields fields) {
  if (!isLogged(level)) return;
  using std::chrono::system_clock;
  const auto sinceEpoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch());
  logger().log(levelOf(level),
               formatLogLine(format, level, sinceEpoch.count(), component, event, fields));
}

}  // namespace

void setLogLevel(LogLevel level) {
  logger().set_level(levelOf(level));
}
void setLogFormat(LogFormat chosen) {
  format = chosen;
}
bool isLogged(LogLevel level) {
  return logger().should_log(levelOf(level));
}

void logDebug(std::string_view component, std::string_view event, LogFields fields) {
  write(LogLevel::Debug, component, event, fields);
}
void logInfo(std::string_view component, std::string_view event, LogFields fields) {
  write(LogLevel::Info, component, event, fields);
}
void logWarn(std::string_view component, std::string_view event, LogFields fields) {
  write(LogLevel::Warn, component, event, fields);
}
void logError(std::string_view component, std::string_view event, LogFields fields) {
  write(LogLevel::Error, component, event, fields);
}

}  // namespace skep
