// allocline diff: the lines that grew, and those that shrank.
#include "report/diff.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct DiffFlags {
  std::string old_target, new_target;
  SymbolFlags symbols;
  ViewFlags view;
};

absl::Status Diff(const DiffFlags& flags) {
  ASSIGN_OR_RETURN(const View view, View::Parse(flags.view));
  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  options.by_thread = view.statistics.by == GroupBy::kThread;

  ASSIGN_OR_RETURN(const Target old_target, OpenTarget(flags.old_target));
  ASSIGN_OR_RETURN(const Target new_target, OpenTarget(flags.new_target));
  ASSIGN_OR_RETURN(const Profile old_loaded, LoadTarget(old_target, options));
  ASSIGN_OR_RETURN(const Profile new_loaded, LoadTarget(new_target, options));
  const Profile old_profile = view.Apply(old_loaded);
  const Profile new_profile = view.Apply(new_loaded);
  ASSIGN_OR_RETURN(const std::vector<StatisticDiff> diffs, ComputeDiff(new_profile, old_profile, view.statistics));

  if (view.json) {
    RETURN_IF_ERROR(PrintAnswer(RenderDiffJson(new_profile, old_profile, diffs, view.json_options())));
  } else {
    const std::string header = view.text.tracemalloc ? "" : RenderDiffHeader(new_profile, old_profile, view.text);
    RETURN_IF_ERROR(PrintAnswer(header + RenderDiff(new_profile, old_profile, diffs, view.text)));
  }
  RETURN_IF_ERROR(CheckWhole(old_target));
  return CheckWhole(new_target);
}

}  // namespace

int DiffMain(Arguments arguments) {
  CLI::App app("Shows which source lines hold more or less memory in B than in A.", "allocline diff");
  DiffFlags flags;
  app.add_option("A", flags.old_target, "the earlier state: a recording, RECORDING@LABEL, or a PID")->required();
  app.add_option("B", flags.new_target, "the later state")->required();
  flags.view.AddTo(app);
  flags.symbols.AddTo(app);
  return RunCommand(app, std::move(arguments), [&] { return Diff(flags); });
}

}  // namespace allocline
