// Picks the command; each one lives in its cmd_*.cc.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "tools/command.h"

namespace allocline {
namespace {

constexpr Command kCommands[] = {
    {"run", "run a program, recording where its memory is allocated", RunMain},
    {"top", "show the source lines that hold the memory", TopMain},
    {"diff", "show which lines grew between two recordings or snapshots", DiffMain},
    {"growth", "show how every line's memory grows from checkpoint to checkpoint", GrowthMain},
    {"explain", "show which of the documented causes of high memory it is, and why", ExplainMain},
    {"check", "check whether a recording keeps its memory budgets", CheckMain},
    {"snapshot", "keep the present state of a recording or a running process", SnapshotMain},
    {"timeline", "show what a process and its container held over time", TimelineMain},
    {"info", "show what a recording knows, and what it could not see", InfoMain},
};

std::string Usage() {
  std::string text =
      "allocline: which source line holds the memory\n\nUsage: allocline COMMAND [OPTIONS]\n\nCommands:\n";
  for (const Command& command : kCommands) text += fmt::format("  {:<10}{}\n", command.name, command.summary);
  text +=
      "\nOptions:\n  --help     this text; `allocline COMMAND --help` explains a command\n  --version  print the "
      "version\n";
  return text;
}

// A file of ours must not become stdout or stderr because those were closed. Close-on-exec: the program that `run`
// starts finds them closed as before.
void OccupyStandardFds() {
  int fd;
  do fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) close(fd);
}

int Main(Arguments arguments) {
  OccupyStandardFds();
  if (arguments.empty()) {
    fputs(Usage().c_str(), stderr);
    return static_cast<int>(ExitCode::kUsage);
  }
  const std::string name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    return Conclude(PrintAnswer(Usage()));
  }
  if (name == "--version") {
    return Conclude(PrintAnswer("allocline " ALLOCLINE_VERSION "\n"));
  }
  arguments.erase(arguments.begin());
  for (const Command& command : kCommands) {
    if (command.name == name) return command.main(std::move(arguments));
  }
  PrintError(fmt::format("'{}' is no command; `allocline --help` lists them", name));
  return static_cast<int>(ExitCode::kUsage);
}

}  // namespace
}  // namespace allocline

int main(int argc, char** argv) { return allocline::Main(allocline::Arguments(argv + 1, argv + argc)); }
