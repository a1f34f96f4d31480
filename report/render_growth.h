// A program's growth as text and as JSON (docs/json.md, schema "allocline.growth/1").
//
//   growth:   10 checkpoints, "batch 1" to "batch 10"
//   total:    accumulating: grew in 9 of 9 checkpoints, +3174 KiB each, to 31.2 MiB; 812 B a row
//   outlook:  1024 MiB are reached after 1.2 M more rows, 318 more checkpoints like these
//
//   orders.cc:61: accumulating: grew in 9 of 9 checkpoints, +3174 KiB each, to 31.0 MiB; 812 B a row  ▁▂▃▄▅▆▇█
//   12 other: 1.2 MiB at most
//
// A verdict never stands without its figures.
#ifndef ALLOCLINE_REPORT_RENDER_GROWTH_H_
#define ALLOCLINE_REPORT_RENDER_GROWTH_H_

#include <cstddef>
#include <string>

#include "report/growth.h"
#include "report/profile.h"

namespace allocline {

// "grew in 9 of 9 checkpoints, +3174 KiB each, to 31.0 MiB; 812 B a row". Safe to print.
std::string EvidenceText(const Verdict& verdict, const Checkpoints& checkpoints);
// Eight heights for 0 to the most: as wide as there are checkpoints, but at most `width`.
std::string Sparkline(const LineSeries& series, size_t width);
// 812, 10000, "12.3 k", "1.2 M".
std::string LargeCountText(double count);

struct GrowthTextOptions {
  size_t limit = 10;
  bool full_paths = false;
};
// The lines under the header of a report (render_text.h), and the table.
std::string RenderGrowth(const Profile& profile, const Growth& growth, const GrowthTextOptions& options);
std::string RenderGrowthJson(const Profile& profile, const Growth& growth, size_t limit);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_RENDER_GROWTH_H_
