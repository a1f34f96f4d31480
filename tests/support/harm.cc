#include "tests/support/harm.h"

#include <fmt/format.h>

#include "tests/support/paths.h"
#include "tests/support/record.h"

namespace allocline::testing {

std::string HarmDoneTo(const std::string& program, const std::string& setting, const std::vector<std::string>& values) {
  const std::string directory = program.starts_with("traps/") ? "/programs/" : "/programs/g++-O2/";
  const TempDir working_directory;
  Command command = {.argv = {BuildDir() + directory + program}, .directory = working_directory.path()};
  const bool is_interrupted = program == "traps/async_signals" || program == "traps/torture";
  if (is_interrupted) command.env["LD_PRELOAD"] = TrapPath("lib_signal_safe_malloc.so");
  if (program == "traps/torture") command.argv.push_back("1");  // the seed

  const Outcome untraced = RunProgram(command);
  if (is_interrupted && !untraced.ok()) return fmt::format("untraced: {}\n{}", untraced.Ending(), untraced.err);
  std::string harm;
  for (const std::string& value : values) {
    Command traced = command;
    traced.env[setting] = value;
    const Recorded run = RecordCommand(traced);
    const auto compare = [&](const char* what, const std::string& mine, const std::string& expected) {
      if (mine != expected)
        harm += fmt::format("{}={}: {} '{}', untraced '{}'\n", setting, value, what, mine, expected);
    };
    compare("ending", run.outcome.Ending(), untraced.Ending());
    if (!is_interrupted) compare("output", run.outcome.out, untraced.out);
    compare("messages", run.outcome.err, untraced.err);
    for (const RecordedProcess& process : run.processes) {
      const Recording& recording = process.recording();
      if (!recording.damage().empty()) {
        harm += fmt::format("{}={}: {}: {}\n", setting, value, process.file_name(), recording.damage().front());
      }
    }
  }
  return harm;
}

}  // namespace allocline::testing
