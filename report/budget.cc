#include "report/budget.h"

namespace allocline {

std::string_view BudgetScopeName(BudgetScope scope) {
  switch (scope) {
    case BudgetScope::kTotal:
      return "total";
    case BudgetScope::kLabel:
      return "label";
    case BudgetScope::kLine:
      return "line";
    case BudgetScope::kFile:
      return "file";
    case BudgetScope::kFunction:
      return "function";
  }
  return "";
}

std::string_view BudgetMeasureName(BudgetMeasure measure) {
  switch (measure) {
    case BudgetMeasure::kPeak:
      return "peak";
    case BudgetMeasure::kLive:
      return "live";
    case BudgetMeasure::kBlocks:
      return "blocks";
    case BudgetMeasure::kRss:
      return "rss";
    case BudgetMeasure::kGrowth:
      return "growth";
    case BudgetMeasure::kGrowthPerRow:
      return "growth_per_row";
  }
  return "";
}

}  // namespace allocline
