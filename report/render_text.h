// Reports as text: a header, then tracemalloc's lines, then what did not fit.
//
//   collect_all (pid 4711) at "after fetch", 2.1 s after its start
//   traced: live 190 MiB in 600123 blocks, peak 201 MiB
//   memory: RSS 214 MiB, container 230 MiB of 512 MiB
//   resolved: 99.8 % of the live bytes to a line, 0.2 % to a function
//
//   collect_all.cc:61: size=188 MiB, count=600000, average=329 B
//
// Everything that comes from a recording goes through Printable(). The result ends with a newline unless it is empty.
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
  size_t limit = 10;               // lines shown; the rest is summed up in one line
  bool full_paths = false;         // paths as recorded, not their shortest unambiguous suffix
  bool tracemalloc = false;        // byte for byte what Python would print: full paths, "file:0", no line for the rest
  bool show_totals = false;        // also what was ever allocated
  LineOf line_of = LineOf::kUser;  // for the header's share of resolved bytes and the mark in tracebacks
};

// The lines above the table, and one line each for whatever makes the numbers less than complete.
std::string RenderHeader(const Profile& profile, const TextOptions& options);
// The two profiles of a diff, new and old, side by side.
std::string RenderDiffHeader(const Profile& profile, const Profile& old, const TextOptions& options);

std::string RenderStatistics(const Profile& profile, std::span<const Statistic> statistics, const TextOptions& options);
std::string RenderDiff(const Profile& profile, const Profile& old, std::span<const StatisticDiff> diffs,
                       const TextOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_RENDER_TEXT_H_
