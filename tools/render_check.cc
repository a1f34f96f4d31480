#include "tools/render_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/escape.h"
#include "report/size_text.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

std::string_view StateName(BudgetState state) {
  switch (state) {
    case BudgetState::kKept:
      return "kept";
    case BudgetState::kBroken:
      return "broken";
    case BudgetState::kNotJudged:
      return "not judged";
  }
  return "";
}

// "line orders.cc:61, growth"
std::string TitleOf(const Budget& budget) {
  std::string text(BudgetScopeName(budget.scope));
  if (!budget.name.empty()) text += " " + budget.name;
  text += fmt::format(", {}", BudgetMeasureName(budget.measure));
  if (budget.at) text += fmt::format(" at {}", *budget.at);
  return text;
}

std::string AmountText(double amount, BudgetMeasure measure) {
  switch (measure) {
    case BudgetMeasure::kBlocks:
      return CountText(static_cast<int64_t>(amount), "block");
    case BudgetMeasure::kGrowth:
      return SizeText(amount) + " a checkpoint";
    case BudgetMeasure::kGrowthPerRow:
      return SizeText(amount) + " a row";
    default:
      return SizeText(amount);
  }
}

// "201 MiB, 180 MiB allowed (at "batch 4")"
std::string FindingOf(const BudgetResult& result) {
  const BudgetMeasure measure = result.budget.measure;
  std::string text =
      result.state == BudgetState::kNotJudged
          ? fmt::format("not judged, {} allowed", AmountText(result.budget.most, measure))
          : fmt::format("{}, {} allowed", AmountText(result.found, measure), AmountText(result.budget.most, measure));
  if (!result.remark.empty()) text += fmt::format(" ({})", result.remark);
  if (result.matches_none) text += " (matches no block: has the line moved, or the name changed?)";
  return text;
}

// From `root` on where the file is below it: what CI knows a file by.
std::string PlaceOf(const CheckReport& report, const std::string& file) {
  std::string root = report.source_root;
  if (!root.ends_with('/')) root += '/';
  return file.starts_with(root) ? file.substr(root.size()) : file;
}

// XML 1.0 has no control characters but three, and attributes would turn these into spaces.
std::string Xml(std::string_view text) {
  std::string escaped;
  for (const char c : Printable(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&apos;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// The escapes of workflow commands; those of properties are more.
std::string Workflow(std::string_view text, bool property) {
  std::string escaped;
  for (const char c : Printable(text)) {
    if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','))) {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

size_t CountBroken(const CheckReport& report) {
  return static_cast<size_t>(
      std::count_if(report.results.begin(), report.results.end(),
                    [](const BudgetResult& result) { return result.state != BudgetState::kKept; }));
}

std::string RenderCheck(const CheckReport& report) {
  std::vector<const BudgetResult*> results;
  for (const BudgetState state : {BudgetState::kBroken, BudgetState::kNotJudged, BudgetState::kKept}) {
    for (const BudgetResult& result : report.results) {
      if (result.state == state) results.push_back(&result);
    }
  }
  size_t widest = 0;
  std::vector<std::string> titles;
  for (const BudgetResult* result : results) {
    titles.push_back(Printable(TitleOf(result->budget)));
    widest = std::max(widest, titles.back().size());
  }
  constexpr size_t kWidest = 60;
  std::string text;
  for (size_t i = 0; i < results.size(); ++i) {
    text += fmt::format("{:<10}  {:<{}}  {}\n", StateName(results[i]->state), titles[i], std::min(widest, kWidest),
                        Printable(FindingOf(*results[i])));
  }
  const size_t broken = CountBroken(report);
  if (broken == 0) return text + fmt::format("{} kept\n", CountText(static_cast<int64_t>(results.size()), "budget"));
  return text + fmt::format("{} of {} not kept\n", broken, CountText(static_cast<int64_t>(results.size()), "budget"));
}

std::string RenderCheckJson(const CheckReport& report) {
  Json budgets = Json::array();
  for (const BudgetResult& result : report.results) {
    const Budget& budget = result.budget;
    const bool judged = result.state != BudgetState::kNotJudged;
    budgets.push_back({{"scope", BudgetScopeName(budget.scope)},
                       {"name", budget.name.empty() ? Json(nullptr) : Json(ValidUtf8(budget.name))},
                       {"measure", BudgetMeasureName(budget.measure)},
                       {"at", budget.at ? Json(ValidUtf8(*budget.at)) : Json(nullptr)},
                       {"budget_line", budget.source_line},
                       {"state", judged ? StateName(result.state) : "not_judged"},
                       {"most", budget.most},
                       {"found", judged ? Json(result.found) : Json(nullptr)},
                       {"remark", ValidUtf8(result.remark)},
                       {"matches_none", result.matches_none},
                       {"file", result.file.empty() ? Json(nullptr) : Json(ValidUtf8(result.file))},
                       {"line", result.file.empty() ? Json(nullptr) : Json(result.line)}});
  }
  const Json document = {{"schema", "allocline.check/1"},
                         {"recording", ValidUtf8(report.recording)},
                         {"budget_file", ValidUtf8(report.budget_file)},
                         {"program", ValidUtf8(report.program)},
                         {"kept", CountBroken(report) == 0},
                         {"not_kept", CountBroken(report)},
                         {"budgets", std::move(budgets)}};
  return document.dump(2) + "\n";
}

std::string RenderJunit(const CheckReport& report) {
  const size_t tests = report.results.size(), failures = CountBroken(report);
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites tests=\"{0}\" failures=\"{1}\" errors=\"0\">\n"
      "  <testsuite name=\"memory budgets of {2}\" tests=\"{0}\" failures=\"{1}\" errors=\"0\" skipped=\"0\">\n",
      tests, failures, Xml(report.program));
  for (const BudgetResult& result : report.results) {
    text += fmt::format("    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"", Xml(report.budget_file),
                        Xml(TitleOf(result.budget)), Xml(report.budget_file), result.budget.source_line);
    if (result.state == BudgetState::kKept) {
      text += fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n", Xml(FindingOf(result)));
      continue;
    }
    std::string where;
    if (!result.file.empty()) where = fmt::format(", at {}:{}", PlaceOf(report, result.file), result.line);
    text += fmt::format(">\n      <failure type=\"{}\" message=\"{}\">{}{}</failure>\n    </testcase>\n",
                        StateName(result.state), Xml(FindingOf(result)), Xml(FindingOf(result)), Xml(where));
  }
  return text + "  </testsuite>\n</testsuites>\n";
}

std::string RenderGithub(const CheckReport& report) {
  std::string text;
  for (const BudgetResult& result : report.results) {
    if (result.state == BudgetState::kKept) continue;
    const bool known = !result.file.empty() && result.line != 0;
    text += fmt::format("::error file={},line={},title={}::{}\n",
                        Workflow(PlaceOf(report, known ? result.file : report.budget_file), true),
                        known ? result.line : result.budget.source_line,
                        Workflow("memory budget: " + TitleOf(result.budget), true), Workflow(FindingOf(result), false));
  }
  return text;
}

}  // namespace allocline
