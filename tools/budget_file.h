// Budgets as people write them down, in TOML (docs/budgets.md):
//
//   [total]
//   peak = "512 MiB"
//   [[line]]
//   name = "orders.cc:61"
//   growth = 0
//
// The file is checked as strictly as a program's source: what is not understood is an error and never ignored, because
// a budget that is not looked at is kept for ever.
#ifndef ALLOCLINE_TOOLS_BUDGET_FILE_H_
#define ALLOCLINE_TOOLS_BUDGET_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "report/budget.h"

namespace allocline {

// In the order they stand in the file; at least one. `name` stands for the file in messages.
// Errors: InvalidArgument, "NAME:LINE: what is wrong", with the known key that is nearest to an unknown one.
absl::StatusOr<std::vector<Budget>> ParseBudgets(std::string_view text, const std::string& name);

// Errors also: NotFound, PermissionDenied, and InvalidArgument for what is too large to be a budget file (1 MiB).
absl::StatusOr<std::vector<Budget>> ReadBudgetFile(const std::string& path);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_BUDGET_FILE_H_
