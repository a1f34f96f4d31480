// libFuzzer target: any bytes as a budget file. What is accepted are budgets that can be checked, each from a line of
// the file; what is not is refused by a message that names the file (and quotes of it what PrintError() makes
// printable).
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tools/budget_file.h"

namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of exactly this size: a read behind its end is seen.
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<std::vector<allocline::Budget>> budgets = allocline::ParseBudgets(text, "budgets.toml");
  if (!budgets.ok()) {
    const std::string message(budgets.status().message());
    Require(budgets.status().code() == absl::StatusCode::kInvalidArgument, "another kind of error");
    Require(message.starts_with("budgets.toml"), "a message that does not name the file");
    return 0;
  }
  Require(!budgets->empty(), "no budget, and no error");
  size_t lines = 1;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  for (const allocline::Budget& budget : *budgets) {
    Require(budget.most >= 0 && std::isfinite(budget.most), "a budget that nothing can keep, or break");
    Require(budget.source_line >= 1 && budget.source_line <= lines, "a budget from a line that is not in the file");
    Require((budget.scope == allocline::BudgetScope::kTotal) == budget.name.empty(), "a name where none belongs");
  }
  return 0;
}
