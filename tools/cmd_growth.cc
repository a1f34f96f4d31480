// allocline growth: every line's memory over the checkpoints, with a verdict.
#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "report/growth.h"
#include "report/render_growth.h"
#include "report/render_text.h"
#include "tools/byte_size.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct GrowthFlags {
  std::string target, labels, limit;
  SymbolFlags symbols;
  ViewFlags view;
};

absl::Status RefuseUse(const std::string& message) {
  return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(message));
}

absl::StatusOr<GrowthOptions> OptionsOf(const GrowthFlags& flags, const View& view) {
  GrowthOptions options{.by = view.statistics.by,
                        .line_of = view.statistics.line_of,
                        .domains = view.domains,
                        .filters = view.filters,
                        .checkpoints = {},
                        .limit_bytes = 0};
  if (options.by == GroupBy::kThread) {
    return RefuseUse(
        "--by thread: a snapshot is a sum over threads; expected line, function, file, module or traceback");
  }
  if (!flags.labels.empty()) options.checkpoints.labels = flags.labels;
  if (!flags.limit.empty()) {
    const absl::StatusOr<uint64_t> limit = ParseByteSize("--limit", flags.limit, 1, uint64_t{1} << 50);
    if (!limit.ok()) return WithExitCode(ExitCode::kUsage, limit.status());
    options.limit_bytes = *limit;
  }
  return options;
}

absl::Status ShowGrowth(const GrowthFlags& flags) {
  ASSIGN_OR_RETURN(const View view, View::Parse(flags.view));
  ASSIGN_OR_RETURN(const OpenReportOptions open, flags.symbols.Parse());
  ASSIGN_OR_RETURN(GrowthOptions options, OptionsOf(flags, view));

  ASSIGN_OR_RETURN(const Target target, OpenTarget(flags.target));
  if (target.moment.at_peak)
    return RefuseUse("@peak: growth goes to a snapshot or to the end, and the peak is neither");
  options.checkpoints.last = target.moment.snapshot;
  SiteMap sites;
  ASSIGN_OR_RETURN(const Profile profile, LoadTarget(target, open, &sites));
  if (profile.summary().running) options.checkpoints.present = PresentOf(profile.summary());
  ASSIGN_OR_RETURN(const Growth growth, ComputeGrowth(target.recording, profile, sites, options));

  if (view.json) {
    RETURN_IF_ERROR(PrintAnswer(RenderGrowthJson(profile, growth, view.text.limit)));
  } else {
    std::string header = RenderHeader(profile, view.text);
    header.pop_back();  // its empty line: the header goes on
    RETURN_IF_ERROR(PrintAnswer(
        header + RenderGrowth(profile, growth, {.limit = view.text.limit, .full_paths = view.text.full_paths})));
  }
  return CheckWhole(target);
}

}  // namespace

int GrowthMain(Arguments arguments) {
  CLI::App app("Shows how every line's memory grows from checkpoint to checkpoint, what costs most first.",
               "allocline growth");
  GrowthFlags flags;
  app.add_option("RECORDING", flags.target,
                 "a recording, RECORDING@LABEL to go no further than that snapshot, or the PID of a running process")
      ->required();
  app.add_option("--labels", flags.labels,
                 "snapshots whose label matches are the checkpoints; without, all but those of the ladder")
      ->type_name("PATTERN");
  app.add_option("--limit", flags.limit, "the memory there is, as 1G, if not the container's")->type_name("BYTES");
  app.add_option("-n,--lines", flags.view.limit, "how many lines")->type_name("N")->capture_default_str();
  flags.view.AddSelectionTo(app);
  flags.symbols.AddTo(app);
  return RunCommand(app, std::move(arguments), [&] { return ShowGrowth(flags); });
}

}  // namespace allocline
