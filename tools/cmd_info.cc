// allocline info: what stands behind a report's numbers.
#include <optional>

#include "tools/command.h"
#include "tools/options.h"
#include "tools/progress_bar.h"
#include "tools/recording_info.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct InfoFlags {
  std::string target;
  bool no_symbols = false, json = false;
  SymbolFlags symbols;
};

absl::StatusOr<RecordingInfo> Gather(const Target& target, const InfoFlags& flags) {
  ASSIGN_OR_RETURN(OpenReportOptions options, flags.symbols.Parse());
  if (flags.no_symbols) return GatherInfo(target, nullptr);
  ProgressBar progress("reading symbols", [&] { return CountFrames(target.recording); });
  options.symbolizer.progress = [&](size_t done, size_t total) { progress.Update(done, total); };
  Symbolizer symbolizer(options.symbolizer);
  return GatherInfo(target, &symbolizer);
}

absl::Status Info(const InfoFlags& flags) {
  ASSIGN_OR_RETURN(const Target target, OpenTarget(flags.target));
  ASSIGN_OR_RETURN(const RecordingInfo info, Gather(target, flags));
  RETURN_IF_ERROR(PrintAnswer(flags.json ? RenderInfoJson(info) : RenderInfo(info)));
  return CheckWhole(target);
}

}  // namespace

int InfoMain(Arguments arguments) {
  CLI::App app("Shows what a recording knows, and what it could not see.", "allocline info");
  InfoFlags flags;
  app.add_option("RECORDING", flags.target, "a recording, or the PID of a running traced process")->required();
  app.add_flag("--no-symbols", flags.no_symbols, "do not read the modules' debug information");
  app.add_flag("--json", flags.json, "print one JSON object");
  flags.symbols.AddNamesTo(app);
  return RunCommand(app, std::move(arguments), [&] { return Info(flags); });
}

}  // namespace allocline
