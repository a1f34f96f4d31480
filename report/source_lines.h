// Lines of source files, if they are there to be read: the job of Python's linecache.
//
// Paths come from recordings, so only regular files up to kMaxBytes are opened: a device or a pipe would hang or fill
// the memory. Threads: one per thread.
#ifndef ALLOCLINE_REPORT_SOURCE_LINES_H_
#define ALLOCLINE_REPORT_SOURCE_LINES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace allocline {

class SourceLines {
 public:
  // Line `line` (1 is the first) without surrounding white space; empty if there is none.
  std::string_view Get(std::string_view file, uint32_t line);

 private:
  static constexpr size_t kMaxBytes = 64 << 20;
  struct File {
    std::string text;
    std::vector<size_t> begins;  // of its lines
  };
  const File& Load(const std::string& path);

  absl::flat_hash_map<std::string, File> files_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_SOURCE_LINES_H_
