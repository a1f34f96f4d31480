// What a recording says of the interpreter in the process, in words.
#ifndef ALLOCLINE_REPORT_PYTHON_STATE_H_
#define ALLOCLINE_REPORT_PYTHON_STATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "report/profile.h"

namespace allocline {

// "3.11.7", "3.14.0rc2" of a PY_VERSION_HEX.
std::string PythonVersionText(uint32_t version);

// "3.11.7, pymalloc: 12.0 MiB in arenas, 9.1 MiB live in them, 2.9 MiB slack"; the version alone where the arenas are
// not known. With `old`, how much that changed. Empty without an interpreter.
std::string PythonText(const ProfileSummary& summary, const ProfileSummary* old);

// What is missing, and why: a line for each.
std::vector<std::string> PythonNotes(const ProfileSummary& summary);

// The bits of ProfileSummary::python_state, for a machine to read: "traced", "hooks_replaced", ...
std::vector<std::string_view> PythonStateNames(uint32_t state);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PYTHON_STATE_H_
