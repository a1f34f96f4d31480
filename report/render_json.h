// Reports as JSON: one object, described field by field in docs/json.md. `schema` names its shape ("allocline.top/1",
// "allocline.diff/1"); a field may be added within a version, never changed or removed. Text that is not valid UTF-8
// has U+FFFD in place of the bad bytes. Numbers of bytes are integers.
#ifndef ALLOCLINE_REPORT_RENDER_JSON_H_
#define ALLOCLINE_REPORT_RENDER_JSON_H_

#include <cstddef>
#include <span>
#include <string>

#include "report/diff.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

struct JsonOptions {
  size_t limit = 10;
  StatisticsOptions statistics;  // what the statistics were computed with: repeated in the document
};

// Ends with a newline.
std::string RenderJson(const Profile& profile, std::span<const Statistic> statistics, const JsonOptions& options);
// Every stack that holds something, once: for programs that compute statistics of their own. On one line.
std::string RenderStacksJson(const Profile& profile, LineOf line_of);
std::string RenderDiffJson(const Profile& profile, const Profile& old, std::span<const StatisticDiff> diffs,
                           const JsonOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_RENDER_JSON_H_
