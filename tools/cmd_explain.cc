// allocline explain: which of the documented causes a recording shows, and why.
#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "report/explain.h"
#include "report/render_explain.h"
#include "report/render_text.h"
#include "tools/byte_size.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/target.h"

namespace allocline {
namespace {

struct ExplainFlags {
  std::string target, limit;
  size_t findings = 10;
  bool json = false, full_path = false, fail_on_finding = false, no_source = false;
  SymbolFlags symbols;
};

absl::StatusOr<EvidenceOptions> OptionsOf(const ExplainFlags& flags, const Target& target) {
  EvidenceOptions options;
  options.moment = target.moment;
  options.read_sources = !flags.no_source;
  if (flags.limit.empty()) return options;
  const absl::StatusOr<uint64_t> limit = ParseByteSize("--limit", flags.limit, 1, uint64_t{1} << 50);
  if (!limit.ok()) return WithExitCode(ExitCode::kUsage, limit.status());
  options.limit_bytes = *limit;
  return options;
}

absl::Status ShowExplanation(const ExplainFlags& flags) {
  ASSIGN_OR_RETURN(const OpenReportOptions open, flags.symbols.Parse());
  ASSIGN_OR_RETURN(Target target, OpenTarget(flags.target));
  ASSIGN_OR_RETURN(EvidenceOptions options, OptionsOf(flags, target));
  // What is called at other times is evidence too: the whole recording is loaded, whatever of it is judged.
  if (target.moment.at_peak) target.label.reset();
  SiteMap sites;
  ASSIGN_OR_RETURN(const Profile profile, LoadTarget(target, open, &sites));
  if (profile.summary().running) options.present = PresentOf(profile.summary());
  ASSIGN_OR_RETURN(const Explanation explanation, ExplainRecording(target.recording, profile, sites, options));

  if (flags.json) {
    RETURN_IF_ERROR(PrintAnswer(RenderExplanationJson(profile, explanation, flags.findings)));
  } else {
    std::string header = RenderHeader(profile, {.full_paths = flags.full_path});
    header.pop_back();  // its empty line: the header goes on
    RETURN_IF_ERROR(PrintAnswer(
        header + RenderExplanation(profile, explanation, {.limit = flags.findings, .full_paths = flags.full_path})));
  }
  RETURN_IF_ERROR(CheckWhole(target));
  if (!flags.fail_on_finding || explanation.findings.empty()) return absl::OkStatus();
  return WithExitCode(ExitCode::kFinding, absl::FailedPreconditionError(
                                              fmt::format("{}: {} {}", target.path, explanation.findings.size(),
                                                          explanation.findings.size() == 1 ? "finding" : "findings")));
}

}  // namespace

int ExplainMain(Arguments arguments) {
  CLI::App app("Shows which of the documented causes of high memory a recording shows, and why; or that it shows none.",
               "allocline explain");
  ExplainFlags flags;
  app.add_option("RECORDING", flags.target,
                 "a recording, RECORDING@LABEL to judge that moment, or the PID of a running process")
      ->required();
  app.add_option("-n,--findings", flags.findings, "how many findings")->type_name("N")->capture_default_str();
  app.add_option("--limit", flags.limit, "the memory there is, as 1G, if not the container's")->type_name("BYTES");
  app.add_flag("--fail-on-finding", flags.fail_on_finding, "end with exit status 8 if there is a finding");
  app.add_flag("--no-source", flags.no_source, "do not read the program's source files");
  app.add_flag("--full-path", flags.full_path, "print paths in full");
  app.add_flag("--json", flags.json, "print one JSON object");
  flags.symbols.AddTo(app);
  return RunCommand(app, std::move(arguments), [&] { return ShowExplanation(flags); });
}

}  // namespace allocline
