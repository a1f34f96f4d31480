// allocline check: whether a recording keeps its budgets.
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "recording/atomic_file.h"
#include "report/check_budgets.h"
#include "report/path_text.h"
#include "report/size_text.h"
#include "tools/budget_file.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/render_check.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct CheckFlags {
  std::string target, budget_file, junit, source_root;
  SymbolFlags symbols;
  bool json = false, github = false, strict = false;
};

absl::StatusOr<CheckReport> Judge(const CheckFlags& flags, const Target& target, const OpenReportOptions& options,
                                  std::span<const Budget> budgets) {
  SiteMap sites;
  ASSIGN_OR_RETURN(const Profile profile, LoadTarget(target, options, &sites));
  absl::StatusOr<std::vector<BudgetResult>> results = CheckBudgets(target.recording, profile, sites, budgets);
  if (!results.ok()) return WithExitCode(ExitCode::kUnknownLabel, results.status());
  for (BudgetResult& result : *results) {
    if (flags.strict && result.matches_none && result.state == BudgetState::kKept) {
      result.state = BudgetState::kNotJudged;
    }
  }
  std::error_code error;
  return CheckReport{.recording = target.path,
                     .budget_file = flags.budget_file,
                     .source_root = flags.source_root.empty() ? std::filesystem::current_path(error).string()
                                                              : NormalizedPath(flags.source_root),
                     .program = std::string(Basename(profile.summary().program)),
                     .results = *std::move(results)};
}

absl::Status Check(const CheckFlags& flags) {
  if (flags.json && flags.github) {
    return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError("--json and --github: give one of them"));
  }
  ASSIGN_OR_RETURN(const OpenReportOptions options, flags.symbols.Parse());
  const absl::StatusOr<std::vector<Budget>> budgets = ReadBudgetFile(flags.budget_file);
  if (!budgets.ok()) return WithExitCode(ExitCode::kBadBudget, budgets.status());
  ASSIGN_OR_RETURN(const Target target, OpenTarget(flags.target));
  if (target.label) {
    return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(
                                              "a whole recording is checked: budgets say which label they are for"));
  }
  ASSIGN_OR_RETURN(const CheckReport report, Judge(flags, target, options, *budgets));

  RETURN_IF_ERROR(PrintAnswer(flags.json ? RenderCheckJson(report) : RenderCheck(report)));
  if (flags.github) RETURN_IF_ERROR(PrintAnswer(RenderGithub(report)));
  if (!flags.junit.empty()) {
    const absl::Status written = WriteFileAtomically(flags.junit, RenderJunit(report), /*replace=*/true);
    if (!written.ok()) return WithExitCode(ExitCode::kCannotWrite, written);
  }
  RETURN_IF_ERROR(CheckWhole(target));
  if (CountBroken(report) == 0) return absl::OkStatus();
  return WithExitCode(ExitCode::kBudgetBroken, absl::FailedPreconditionError(fmt::format(
                                                   "{}: {} of {} not kept", flags.budget_file, CountBroken(report),
                                                   CountText(static_cast<int64_t>(report.results.size()), "budget"))));
}

}  // namespace

int CheckMain(Arguments arguments) {
  CLI::App app("Checks whether a recording keeps its memory budgets; the exit status says so.", "allocline check");
  CheckFlags flags;
  app.add_option("RECORDING", flags.target, "a recording, or the PID of a running traced process")->required();
  app.add_option("--budget", flags.budget_file, "the budgets, in TOML")->type_name("FILE")->required();
  app.add_flag("--strict", flags.strict, "a budget that matches no block is not kept");
  app.add_flag("--json", flags.json, "print one JSON object");
  app.add_option("--junit", flags.junit, "also write the results as JUnit's XML")->type_name("FILE");
  app.add_flag("--github", flags.github, "also print annotations for GitHub's workflows");
  app.add_option("--source-root", flags.source_root,
                 "in annotations, files are named from here on; the current directory")
      ->type_name("DIR");
  flags.symbols.AddTo(app);
  return RunCommand(app, std::move(arguments), [&] { return Check(flags); });
}

}  // namespace allocline
