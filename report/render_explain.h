// An explanation as text, as one line, and as JSON (docs/json.md, schema "allocline.explain/1").
//
//   judged:   at the end, 117 MiB live; the limit is 128 MiB
//
//   1. all data is collected before it is sent
//      collect_all.cc:22: size=114 MiB, count=1217268, average=98 B
//      why:  97.4% of the 117 MiB that were live
//            nothing of it had been freed: all 1217268 blocks that it allocated were live
//            it goes into a sequence: std::vector<...>::insert, "orders" (collect_all.cc:22)
//      path: Update at collect_all.cc:22 < RunConnector at connector_kit.cc:70 < main at collect_all.cc:38
//      fix:  Send each page or batch before the next is fetched, ...
#ifndef ALLOCLINE_REPORT_RENDER_EXPLAIN_H_
#define ALLOCLINE_REPORT_RENDER_EXPLAIN_H_

#include <cstddef>
#include <string>

#include "report/explain.h"
#include "report/profile.h"

namespace allocline {

struct ExplainTextOptions {
  size_t limit = 10;  // findings shown
  bool full_paths = false;
};
// What stands under the header of a report (render_text.h). Safe to print.
std::string RenderExplanation(const Profile& profile, const Explanation& explanation,
                              const ExplainTextOptions& options);
// "collect_all.cc:22 holds 114 MiB (97.4% of what was live): all data is collected before it is sent"; empty without a
// finding. No newline. Safe to print.
std::string RenderFirstFinding(const Profile& profile, const Explanation& explanation);
std::string RenderExplanationJson(const Profile& profile, const Explanation& explanation, size_t limit);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_RENDER_EXPLAIN_H_
