// Frames and groups of a report, for the documents that hold them.
#ifndef ALLOCLINE_REPORT_GROUP_JSON_H_
#define ALLOCLINE_REPORT_GROUP_JSON_H_

#include <nlohmann/json.hpp>
#include <string_view>

#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

// Text as recorded, but for bytes that are not UTF-8.
nlohmann::ordered_json TextJson(std::string_view text);
nlohmann::ordered_json TextOrNullJson(std::string_view text);  // null for ""

nlohmann::ordered_json FrameJson(const Location& location);
// Only what all blocks of the group share. `name` is first.
nlohmann::ordered_json GroupJson(const Group& group);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_GROUP_JSON_H_
