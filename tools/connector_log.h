// Messages in the form in which a hosted connector logs: one JSON object a line.
//
//   {"level":"SEVERE","message":"killed by ...","message-origin":"sdk_connector"}
//
// Where a connector is hosted its log is all that comes out of the container; what is not in this form is lost there or
// cut at its ends.
#ifndef ALLOCLINE_TOOLS_CONNECTOR_LOG_H_
#define ALLOCLINE_TOOLS_CONNECTOR_LOG_H_

#include <string>
#include <string_view>

namespace allocline {

enum class LogLevel { kInfo, kWarning, kSevere };

// One line, with its line break. Line breaks in `message` are escaped; what is no UTF-8 in it is replaced.
std::string LogLine(LogLevel level, std::string_view message);

// Each line of `text` as a message of its own, but for empty ones.
std::string LogLines(LogLevel level, std::string_view text);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_CONNECTOR_LOG_H_
