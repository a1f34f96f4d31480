// The CPython interpreters of this machine, for tests that have to hold with every version.
//
// Looked for: python3.N in PATH, in the versions of pyenv ($PYENV_ROOT, or ~/.pyenv), and what ALLOCLINE_TEST_PYTHONS
// names, paths divided by ':'. A test of a version that is not here says so:
//
//   for (const Python& python : PythonsOf(GetParam())) ...
//   if (found.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
//
// Threads: any.
#ifndef ALLOCLINE_TESTS_SUPPORT_PYTHONS_H_
#define ALLOCLINE_TESTS_SUPPORT_PYTHONS_H_

#include <string>
#include <vector>

namespace allocline::testing {

inline constexpr int kFirstPythonMinor = 8, kLastPythonMinor = 14;  // that we trace

struct Python {
  int minor = 0;        // 11 of 3.11.7
  std::string version;  // "3.11.7"
  std::string path;     // of the interpreter itself, not of a shim
};

// Of version 3.`minor`; there may be several, or none.
std::vector<Python> PythonsOf(int minor);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_PYTHONS_H_
