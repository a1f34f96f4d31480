// Whether a recording keeps its budgets.
#ifndef ALLOCLINE_REPORT_CHECK_BUDGETS_H_
#define ALLOCLINE_REPORT_CHECK_BUDGETS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "recording/reader.h"
#include "report/budget.h"
#include "report/load_profile.h"
#include "report/profile.h"

namespace allocline {

enum class BudgetState {
  kKept,
  kBroken,
  kNotJudged,  // the recording does not say: too few checkpoints, no copy of the peak, rows not given
};

struct BudgetResult {
  Budget budget;
  BudgetState state = BudgetState::kKept;
  double found = 0;
  std::string remark;  // why it is not judged, the evidence of growth, the label that came out highest; or nothing
  bool matches_none = false;  // no block was ever allocated in the scope: a line that moved, a name that changed
  // The line of the scope that holds most of it, if one is known: where to look.
  std::string file;
  uint32_t line = 0;
};

// In the order of `budgets`. `profile` and `sites` are of the end of the recording.
// Errors: NotFound if no label matches that a budget asks for: it lists those there are.
absl::StatusOr<std::vector<BudgetResult>> CheckBudgets(const Recording& recording, const Profile& profile,
                                                       const SiteMap& sites, std::span<const Budget> budgets);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_CHECK_BUDGETS_H_
