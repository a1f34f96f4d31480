// allocline top: the lines that hold the memory, of a process or of several together.
#include <string>
#include <utility>
#include <vector>

#include "report/render_json.h"
#include "report/render_text.h"
#include "report/statistics.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct TopFlags {
  std::vector<std::string> targets;
  SymbolFlags symbols;
  ViewFlags view;
  bool stacks = false;
};

// Of all, once each has been shown.
absl::Status CheckWhole(const std::vector<Target>& targets) {
  for (const Target& target : targets) RETURN_IF_ERROR(allocline::CheckWhole(target));
  return absl::OkStatus();
}

absl::Status Top(const TopFlags& flags) {
  ASSIGN_OR_RETURN(const View view, View::Parse(flags.view));
  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  options.by_thread = view.statistics.by == GroupBy::kThread;

  std::vector<Target> targets;
  for (const std::string& text : flags.targets) {
    ASSIGN_OR_RETURN(Target target, OpenTarget(text));
    targets.push_back(std::move(target));
  }
  if (options.by_thread && targets.size() > 1) {
    return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(
                                              "--by thread: of one recording only; several can be seen --by process"));
  }
  const bool adds_up = targets.size() > 1 || view.statistics.by == GroupBy::kProcess;
  ASSIGN_OR_RETURN(const Profile loaded,
                   adds_up ? LoadTargets(targets, options) : LoadTarget(targets.front(), options));
  const Profile profile = view.Apply(loaded);
  if (flags.stacks) {
    RETURN_IF_ERROR(PrintAnswer(RenderStacksJson(profile, view.statistics.line_of)));
    return CheckWhole(targets);
  }
  ASSIGN_OR_RETURN(const std::vector<Statistic> statistics, ComputeStatistics(profile, view.statistics));

  if (view.json) {
    RETURN_IF_ERROR(PrintAnswer(RenderJson(profile, statistics, view.json_options())));
  } else {
    const std::string header = view.text.tracemalloc ? "" : RenderHeader(profile, view.text);
    RETURN_IF_ERROR(PrintAnswer(header + RenderStatistics(profile, statistics, view.text)));
  }
  return CheckWhole(targets);
}

}  // namespace

int TopMain(Arguments arguments) {
  CLI::App app("Shows the source lines that hold the memory, largest first.", "allocline top");
  TopFlags flags;
  app.add_option("RECORDING", flags.targets,
                 "a recording, RECORDING@LABEL, or the PID of a running traced process; several are added up")
      ->required();
  flags.view.takes_processes = true;
  flags.view.AddTo(app);
  app.add_flag("--stacks", flags.stacks, "print every stack, once, as one JSON object, whatever is asked for above");
  flags.symbols.AddTo(app);
  return RunCommand(app, std::move(arguments), [&] { return Top(flags); });
}

}  // namespace allocline
