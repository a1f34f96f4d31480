// Which line of a stack is the user's own.
//
// The innermost line of most C++ allocations is inside a libstdc++ header (new_allocator.h), and says nothing. The line
// a reader can act on is further out:
//
//   new_allocator.h:137   std::__new_allocator<Row>::allocate     std:: by name          library
//   alloc_traits.h:464    std::allocator_traits<...>::allocate    /usr/include by path   library
//   vector.tcc:457        std::vector<Row>::_M_realloc_insert                            library
//   collect_all.cc:61     FetchAll                                neither                the user's line
//   main.cc:12            main
//
// The rule: the first frame, walking inlined frames and then callers outward, that is not an allocator entry, not in a
// library path, not std::, __gnu_cxx:: or boost:: by name, and not made up by the compiler (no line). A path is the
// frame's file, and the module it is in: a system library with debug information is still not the user's. The main
// executable is the user's wherever it lies. A frame without a file is judged by its module alone. If no frame of a
// stack qualifies, its innermost frame outside the allocator's entries stands in.
//
// Where Python runs, the line is wanted in its words:
//
//   reshape.cpp:88     transpose [_lib.cpython-311-x86_64-linux-gnu.so]   native: an extension, whoever built it
//   frame.py:9312      DataFrame.append            site-packages          library
//   connector.py:61    update                      neither                the user's line
//   _sync.py:17        run                         site-packages          library
//   main [python3.11]                                                     the interpreter: library, as libpython is
//
// So the innermost frame of Python outside the standard library and the installed packages comes before any native one,
// unless that was asked for by --user-path and is further in. Code without a file (<stdin>, <ipython-input-1>, what
// attrs makes) is the user's line only where no code from a file is. Of that, <string> is what `python -c` runs where
// it is the outermost, and anywhere else what some library executes: a namedtuple, a dataclass, a line of a .pth file.
//
// Threads: immutable, share it freely.
#ifndef ALLOCLINE_REPORT_USER_LINE_H_
#define ALLOCLINE_REPORT_USER_LINE_H_

#include <string>
#include <string_view>
#include <vector>

#include "report/profile.h"
#include "report/python_paths.h"

namespace allocline {

struct UserLineOptions {
  // Prefixes of file or module paths, or fnmatch patterns if they hold one of * ? [. They outrank the built-in list;
  // of two that match the longer decides, and a user path wins a tie.
  std::vector<std::string> user_paths;
  std::vector<std::string> lib_paths;
  // Filled in by LoadProfile:
  std::string main_executable;
  std::string python_runtime;  // file that holds the interpreter, empty if there is none
  PythonPaths python_paths;
};

class UserLineRule {
 public:
  explicit UserLineRule(UserLineOptions options);
  FrameRole Classify(const Location& location) const;

  // What a frame has to offer for its stack's line: the highest wins, and of equals the innermost.
  enum class Claim : uint8_t {
    kNone,          // an allocator entry, or no code
    kImport,        // what import itself runs: whose module it is says the frame further out
    kStandIn,       // a library
    kUser,          // native code of the user's
    kChosen,        // the same, by --user-path
    kPythonString,  // <string>
    kPythonText,    // the user's, of no file
    kPython,        // the user's
  };
  // Of a location whose role is decided.
  Claim ClaimOf(const Location& location) const;
  // What `claim` is worth in a frame when the best of the frames further out is `outer`, and one of them is Python's.
  static Claim Inside(Claim outer, bool in_python, Claim claim) {
    if (claim == Claim::kChosen) return outer > Claim::kChosen ? outer : Claim::kUser;
    if (claim == Claim::kPythonString) return in_python ? Claim::kStandIn : Claim::kPythonText;
    return claim;
  }

 private:
  bool IsInterpreter(std::string_view module) const;
  // The verdict of the paths given on the command line, if any matches.
  bool MatchesUserChoice(std::string_view path, FrameRole* role) const;

  UserLineOptions options_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_USER_LINE_H_
