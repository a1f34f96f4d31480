// Budgets kept and broken: for people, for programs, for CI.
#ifndef ALLOCLINE_TOOLS_RENDER_CHECK_H_
#define ALLOCLINE_TOOLS_RENDER_CHECK_H_

#include <string>
#include <vector>

#include "report/check_budgets.h"

namespace allocline {

struct CheckReport {
  std::string recording, budget_file;  // as named on the command line
  std::string source_root;             // files below it are named from there on
  std::string program;
  std::vector<BudgetResult> results;
};

// Kept all: a budget that cannot be judged is not kept, nor, with `strict`, one that matches no block.
size_t CountBroken(const CheckReport& report);

// A table, what broke first:   broken   line orders.cc:61, growth   3174 KiB a checkpoint, 1024 KiB allowed
std::string RenderCheck(const CheckReport& report);
// docs/json.md, schema "allocline.check/1".
std::string RenderCheckJson(const CheckReport& report);
// JUnit's XML, a test case for each budget, as CI servers read it.
std::string RenderJunit(const CheckReport& report);
// Workflow commands of GitHub: an annotation, at the source line where one is known, for each budget that is not kept.
std::string RenderGithub(const CheckReport& report);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RENDER_CHECK_H_
