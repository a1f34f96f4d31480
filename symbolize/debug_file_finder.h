// Finds the file that holds a binary's debug information, as distributions lay it out.
//
//   in the binary itself
//   ROOT/.build-id/c6/978ec...debug                 by build id; ROOT: each --debug-path, then /usr/lib/debug
//   DIR/NAME, DIR/.debug/NAME, ROOT/DIR/NAME        by .gnu_debuglink; DIR: the binary's folder; and --debug-path/NAME
//
// A candidate counts only if it is proved to belong: by an equal build id, or, where one of the two has none, by the
// checksum that the link carries. What looked right and was refused is told in `problem`.
//
// Threads: one thread at a time.
#ifndef ALLOCLINE_SYMBOLIZE_DEBUG_FILE_FINDER_H_
#define ALLOCLINE_SYMBOLIZE_DEBUG_FILE_FINDER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "symbolize/elf_file.h"

namespace allocline {

struct FoundFile {
  std::unique_ptr<ElfFile> file;  // null: not found
  std::string problem;            // a candidate that was refused, and why
};

class DebugFileFinder {
 public:
  explicit DebugFileFinder(const std::vector<std::string>& debug_paths);

  // A separate file with debug information for `binary`, which has none.
  FoundFile FindFor(const ElfFile& binary) const;
  // Debug information, or failing that the binary itself, by build id alone: for a binary that is gone or was rebuilt.
  FoundFile FindByBuildId(std::string_view build_id) const;
  // The file that `debug_file` shares with others (dwz).
  FoundFile FindAlt(const ElfFile& debug_file, const DebugAltLink& link) const;

 private:
  std::vector<std::string> roots_;  // the user's, then the system's
  size_t user_roots_;
};

// "c6978e..." of raw bytes.
std::string BuildIdText(std::string_view build_id);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DEBUG_FILE_FINDER_H_
