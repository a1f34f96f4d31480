// Asks everything of a file that may be damaged in any way. Returning is the whole result: for the damage test and the
// fuzzer.
#ifndef ALLOCLINE_TESTS_SYMBOLIZE_EXERCISE_H_
#define ALLOCLINE_TESTS_SYMBOLIZE_EXERCISE_H_

#include <string>
#include <string_view>

namespace allocline::testing {

// A file in memory with a path in /proc, so that a test of ten thousand files writes none.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

// Resolves addresses all over the first pages of the file, and reads it as a .dwo and as a .dwp. Gives the number of
// locations found, so that nothing can be optimized away and a test can see that something was there.
size_t ExerciseSymbolizer(const std::string& path);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SYMBOLIZE_EXERCISE_H_
