#include "skep/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace skep {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    auto made = std::make_shared<spdlog::logger>("skep", std::move(sink));
    made->set_level(spdlog::level::warn);
    return made;
  }();
  return *instance;
}

void write(spdlog::level::level_enum level, std::string_view component, std::string_view event,
           std::initializer_list<LogField> fields) {
  spdlog::logger& target = logger();
  if (!target.should_log(level)) return;
  std::string line;
  line.append(component).append(": ").append(event);
  for (const LogField& field : fields) {
    line.append(" ").append(field.name).append("=");
    if (field.value.find_first_of(" \"\n=") == std::string::npos) {
      line += field.value;
      continue;
    }
    line += '"';
    for (char c : field.value) {
      if (c == '"' || c == '\\') line += '\\';
      line += c == '\n' ? ' ' : c;
    }
    line += '"';
  }
  target.log(level, line);
}

}  // namespace

void setLogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return logger().set_level(spdlog::level::debug);
    case LogLevel::Info:
      return logger().set_level(spdlog::level::info);
    case LogLevel::Warn:
      return logger().set_level(spdlog::level::warn);
    case LogLevel::Error:
      return logger().set_level(spdlog::level::err);
    case LogLevel::Off:
      return logger().set_level(spdlog::level::off);
  }
}

void logDebug(std::string_view component, std::string_view event,
              std::initializer_list<LogField> fields) {
  write(spdlog::level::debug, component, event, fields);
}
void logInfo(std::string_view component, std::string_view event,
             std::initializer_list<LogField> fields) {
  write(spdlog::level::info, component, event, fields);
}
void logWarn(std::string_view component, std::string_view event,
             std::initializer_list<LogField> fields) {
  write(spdlog::level::warn, component, event, fields);
}

}  // namespace skep
