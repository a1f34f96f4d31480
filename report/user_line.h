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
// Threads: immutable, share it freely.
#ifndef ALLOCLINE_REPORT_USER_LINE_H_
#define ALLOCLINE_REPORT_USER_LINE_H_

#include <string>
#include <string_view>
#include <vector>

#include "report/profile.h"

namespace allocline {

struct UserLineOptions {
  // Prefixes of file or module paths, or fnmatch patterns if they hold one of * ? [. They outrank the built-in list;
  // of two that match the longer decides, and a user path wins a tie.
  std::vector<std::string> user_paths;
  std::vector<std::string> lib_paths;
  std::string main_executable;  // filled in by LoadProfile
};

class UserLineRule {
 public:
  explicit UserLineRule(UserLineOptions options);
  FrameRole Classify(const Location& location) const;

 private:
  // The verdict of the paths given on the command line, if any matches.
  bool MatchesUserChoice(std::string_view path, FrameRole* role) const;
  bool InLibraryPath(std::string_view path) const;

  UserLineOptions options_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_USER_LINE_H_
