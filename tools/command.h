// What all commands share: their table, their exit codes, and the frame a command body runs in.
//
// A command is a function of its arguments to an exit code. It declares its options, and gives its body to RunCommand,
// which parses, answers --help, runs the body, and turns a bad option or a bad status into one line on stderr. A body
// reads like a recipe (open, view, render) and returns the first error it meets; which exit code that error means is
// said where the error arises, by WithExitCode.
#ifndef ALLOCLINE_TOOLS_COMMAND_H_
#define ALLOCLINE_TOOLS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"

namespace allocline {

// The man pages list these: never give one another meaning.
enum class ExitCode : int {
  kOk = 0,
  kUsage = 1,            // unknown option, bad value, no such command
  kUnreadable = 2,       // a recording is missing, damaged, of a newer version, or no recording at all
  kUnknownLabel = 3,     // a recording has no snapshot of that label
  kNoTracedProcess = 4,  // no process of that number, or it is not traced
  kCannotWrite = 5,      // output could not be written
  kBudgetBroken = 6,     // `allocline check`: a budget is broken, or cannot be judged
  kBadBudget = 7,        // its budget file is missing, or holds what is not understood
  kFinding = 8,          // `allocline explain --fail-on-finding`: there is a finding
  // `allocline run` gives the program's own code, so its failures use the numbers shells use for theirs.
  kNotVerified = 124,    // --verify: the program ended with 0, but a stack differed, or none was compared
  kRunFailed = 125,      // allocline itself could not do what was asked: the program was not started
  kCannotExecute = 126,  // the program was found and could not be executed
  kProgramNotFound = 127,
};

using Arguments = std::vector<std::string>;

struct Command {
  std::string_view name;
  std::string_view summary;  // one line, for `allocline --help`
  int (*main)(Arguments arguments);
};
int RunMain(Arguments arguments);
int TopMain(Arguments arguments);
int DiffMain(Arguments arguments);
int SnapshotMain(Arguments arguments);
int InfoMain(Arguments arguments);
int GrowthMain(Arguments arguments);
int ExplainMain(Arguments arguments);
int CheckMain(Arguments arguments);
int TimelineMain(Arguments arguments);

// Marks an error with the exit code it ends the command with; an unmarked one ends it with kUnreadable. Ok stays Ok.
absl::Status WithExitCode(ExitCode code, absl::Status status);
ExitCode ExitCodeOf(const absl::Status& status);

// Parses `arguments` into `app`, then runs `body`. `usage_code` is what bad arguments end in.
int RunCommand(CLI::App& app, Arguments arguments, const std::function<absl::Status()>& body,
               ExitCode usage_code = ExitCode::kUsage);

// One line on stderr, `allocline: MESSAGE`, with nothing in it that a terminal would obey.
void PrintError(std::string_view message);

// How a command ends: its exit code, with the error, if it is one, on stderr.
int Conclude(const absl::Status& status);

// A command's whole answer on stdout. A full disk or a closed stdout is an error (kCannotWrite) and not silence.
absl::Status PrintAnswer(std::string_view text);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_COMMAND_H_
