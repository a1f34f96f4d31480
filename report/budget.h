// A budget: what a recording may hold at most. It has a scope (the whole process, a snapshot's label, a line, files,
// functions), a measure of it (what is live at the peak, at the end or at a label, how fast it grows), and a number
// that must not be passed. Who writes them down is tools/budget_file.h's business; check_budgets.h says whether they
// are kept.
#ifndef ALLOCLINE_REPORT_BUDGET_H_
#define ALLOCLINE_REPORT_BUDGET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace allocline {

enum class BudgetScope {
  kTotal,     // `name` is empty
  kLabel,     // everything, at every snapshot whose label matches the pattern `name`
  kLine,      // `name` is FILE:LINE, the file as a filter has it (filter.h)
  kFile,      // a pattern of files
  kFunction,  // a pattern of functions
};
std::string_view BudgetScopeName(BudgetScope scope);  // "total", "label", "line", "file", "function"

enum class BudgetMeasure {
  kPeak,          // bytes: of the total its peak, of a part of it what was live of that at the peak of the total
  kLive,          // bytes
  kBlocks,        // live blocks
  kRss,           // bytes, of the process: at a label only
  kGrowth,        // bytes a checkpoint, 0 if it does not accumulate (verdict.h)
  kGrowthPerRow,  // bytes a row of work, likewise
};
std::string_view BudgetMeasureName(BudgetMeasure measure);  // "peak", ..., "growth_per_row"

struct Budget {
  BudgetScope scope = BudgetScope::kTotal;
  std::string name;
  BudgetMeasure measure = BudgetMeasure::kPeak;
  std::optional<std::string> at;  // kLive and kBlocks: at every snapshot whose label matches; without: at the end
  double most = 0;                // in the measure's unit
  uint32_t source_line = 0;       // where it is written
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_BUDGET_H_
