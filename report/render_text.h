// Reports as text: a header, then tracemalloc's lines, then what did not fit.
//
//   collect_all (pid 4711), snapshot "after fetch" 2.1 s after the start
//   traced:   live 190 MiB in 600123 blocks, peak 201 MiB
//   memory:   RSS 214 MiB, container 230 MiB of 512 MiB
//   resolved: 99.8% of live bytes to a line, 0.2% to a function
//   dropped:  nothing
//
//   collect_all.cc:61: size=188 MiB, count=600000, average=329 B
//   12 other: size=1.9 MiB, count=123
//
// Everything that comes from a recording goes through Printable(). A result ends with a newline unless it is empty.
#ifndef ALLOCLINE_REPORT_RENDER_TEXT_H_
#define ALLOCLINE_REPORT_RENDER_TEXT_H_

#include <cstddef>
#include <span>
#include <string>

#include "report/diff.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

struct TextOptions {
  size_t limit = 10;               // groups shown; the rest is summed up in one line
  bool full_paths = false;         // paths as recorded, not their shortest unambiguous suffix
  bool tracemalloc = false;        // what Python would print, byte for byte: Str(), and no line for the rest
  bool show_totals = false;        // also what was ever allocated
  bool cumulative = false;         // the statistics are: groups overlap, so the rest has no sum
  LineOf line_of = LineOf::kUser;  // the header's resolved share is of these lines, and tracebacks are named by them
};

// The lines above the table, with a `note:` line for whatever makes the numbers less than complete, and an empty line.
std::string RenderHeader(const Profile& profile, const TextOptions& options);
std::string RenderDiffHeader(const Profile& profile, const Profile& old, const TextOptions& options);

// By traceback, each statistic is followed by its frames, most recent first, with a '>' at the user's line.
std::string RenderStatistics(const Profile& profile, std::span<const Statistic> statistics, const TextOptions& options);
std::string RenderDiff(const Profile& profile, const Profile& old, std::span<const StatisticDiff> diffs,
                       const TextOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_RENDER_TEXT_H_
