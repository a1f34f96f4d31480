#include "report/summary_json.h"

#include <cmath>

#include "report/escape.h"
#include "report/filter.h"
#include "report/python_state.h"
#include "report/statistics.h"

namespace allocline {

using Json = nlohmann::ordered_json;

Json PythonJson(const ProfileSummary& summary) {
  if (summary.python_version == 0 && summary.python_state == 0) return nullptr;
  const bool arenas_known = summary.python_arena_bytes != 0;
  return {{"version", summary.python_version == 0 ? Json(nullptr) : Json(PythonVersionText(summary.python_version))},
          {"runtime", summary.python_runtime.empty() ? Json(nullptr) : Json(ValidUtf8(summary.python_runtime))},
          {"state", PythonStateNames(summary.python_state)},
          {"arena_bytes", arenas_known ? Json(summary.python_arena_bytes) : Json(nullptr)},
          {"live_in_arenas_bytes", arenas_known ? Json(summary.python_small_bytes) : Json(nullptr)}};
}

Json DomainsJson(const ProfileSummary& summary) {
  Json domains = Json::array();
  for (const DomainSum& sum : summary.domains) {
    domains.push_back({{"name", DomainName(sum.domain)},
                       {"domain", sum.domain},
                       {"live_bytes", sum.live_bytes},
                       {"live_bytes_error", std::llround(ErrorBound(sum.variance))},
                       {"live_blocks", sum.live_blocks}});
  }
  return domains;
}

}  // namespace allocline
