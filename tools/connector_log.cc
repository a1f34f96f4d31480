#include "tools/connector_log.h"

#include <nlohmann/json.hpp>

#include "report/escape.h"

namespace allocline {

std::string LogLine(LogLevel level, std::string_view message) {
  const char* name = level == LogLevel::kInfo ? "INFO" : level == LogLevel::kWarning ? "WARNING" : "SEVERE";
  const nlohmann::ordered_json line = {
      {"level", name}, {"message", ValidUtf8(message)}, {"message-origin", "sdk_connector"}};
  return line.dump() + "\n";
}

std::string LogLines(LogLevel level, std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    if (!line.empty()) lines += LogLine(level, line);
  }
  return lines;
}

}  // namespace allocline
