// allocline top: the lines that hold the memory.
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/statistics.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct TopFlags {
  std::string target;
  SymbolFlags symbols;
  ViewFlags view;
  bool stacks = false;
};

absl::Status Top(const TopFlags& flags) {
  ASSIGN_OR_RETURN(const View view, View::Parse(flags.view));
  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  options.by_thread = view.statistics.by == GroupBy::kThread;

  ASSIGN_OR_RETURN(const Target target, OpenTarget(flags.target));
  ASSIGN_OR_RETURN(const Profile loaded, LoadTarget(target, options));
  const Profile profile = view.Apply(loaded);
  if (flags.stacks) {
    RETURN_IF_ERROR(PrintAnswer(RenderStacksJson(profile, view.statistics.line_of)));
    return CheckWhole(target);
  }
  ASSIGN_OR_RETURN(const std::vector<Statistic> statistics, ComputeStatistics(profile, view.statistics));

  if (view.json) {
    RETURN_IF_ERROR(PrintAnswer(RenderJson(profile, statistics, view.json_options())));
  } else {
    const std::string header = view.text.tracemalloc ? "" : RenderHeader(profile, view.text);
    RETURN_IF_ERROR(PrintAnswer(header + RenderStatistics(profile, statistics, view.text)));
  }
  return CheckWhole(target);
}

}  // namespace

int TopMain(Arguments arguments) {
  CLI::App app("Shows the source lines that hold the memory, largest first.", "allocline top");
  TopFlags flags;
  app.add_option("RECORDING", flags.target, "a recording, RECORDING@LABEL, or the PID of a running traced process")
      ->required();
  flags.view.AddTo(app);
  app.add_flag("--stacks", flags.stacks, "print every stack, once, as one JSON object, whatever is asked for above");
  flags.symbols.AddTo(app);
  return RunCommand(app, std::move(arguments), [&] { return Top(flags); });
}

}  // namespace allocline
