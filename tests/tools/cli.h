// Runs the allocline of this build, and finds the programs it is tried on.
#ifndef ALLOCLINE_TESTS_TOOLS_CLI_H_
#define ALLOCLINE_TESTS_TOOLS_CLI_H_

#include <sys/types.h>
#include <sys/wait.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allocline::testing {

using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

inline Words AlloclineWords(Words words) {
  words.insert(words.begin(), CliPath());
  return words;
}
inline Outcome Allocline(Words words, const Environment& environment = {}) {
  return RunProgram({.argv = AlloclineWords(std::move(words)), .env = environment});
}

// As a shell gives it: 128 + N if signal N ended the program.
inline int ExitCodeOf(const Outcome& outcome) {
  return WIFSIGNALED(outcome.status) ? 128 + WTERMSIG(outcome.status) : WEXITSTATUS(outcome.status);
}

inline long CountLines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

// A program of tests/tools/programs.
inline std::string CliProgram(const std::string& name) { return BuildDir() + "/programs/cli/" + name; }

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_TOOLS_CLI_H_
