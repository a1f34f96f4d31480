// Finds the program a command line names, and tells before it runs what of it a preloaded tracer will not see.
//
// A tracer that is not loaded, or that is loaded and not called, looks exactly like a program that allocates nothing.
// The program's file says which it will be:
//
//   no PT_INTERP                      static: no loader, no preload
//   another loader or machine         the preload would be refused, by some loaders with an error that ends the program
//   set-user-ID, file capabilities    the loader ignores preloads when the program gains privileges
//   libasan and its like needed       they refuse to run behind another malloc
//   `malloc` among dynamic symbols    the program's own comes before ours in symbol order
//   je_malloc and its like inside     memory taken from it never passes malloc
//   a Go build id                     Go's heap comes from mmap
//
// Only files are read; nothing is executed. What cannot be read is taken to be traceable: the run will tell.
#ifndef ALLOCLINE_TOOLS_PROGRAM_CHECK_H_
#define ALLOCLINE_TOOLS_PROGRAM_CHECK_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace allocline {

// The file execvp() would execute for `name`. The error carries the exit code a shell would give.
absl::StatusOr<std::string> FindProgram(const std::string& name);

struct ProgramCheck {
  bool preload = true;  // false: it must not be given the tracer
  std::string remark;   // one line, what will be missing and what to do about it; empty if nothing
};
// `path` as FindProgram gave it; of a script, the interpreter is what counts.
ProgramCheck CheckProgram(const std::string& path);

// The name of an allocator's function that an ELF file keeps to itself ("duckdb_je_malloc"), if there is one.
std::optional<std::string> FindPrivateAllocator(const std::string& path);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_PROGRAM_CHECK_H_
