// The processes of a run side by side, for who shares one container among several.
#ifndef ALLOCLINE_TOOLS_PROCESS_TABLE_H_
#define ALLOCLINE_TOOLS_PROCESS_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace allocline {

struct ProcessRow {
  std::string program;  // printable
  uint32_t pid = 0;
  std::string end;               // "running", "exited", "killed"
  uint64_t live_bytes = 0;       // without
  uint64_t inherited_bytes = 0;  // what it has from the process it was forked from, and is counted there
  uint64_t peak_bytes = 0;
  uint64_t rss_bytes = 0;    // as last seen by the process itself; pages that several share count in each
  std::string leading_line;  // printable; "" if nothing is live
};

// A row for each of the first `most`, one for all others, and the sums of all. In the order given. Below them what is
// inherited, if anything.
std::string RenderProcessTable(std::span<const ProcessRow> rows, size_t most);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_PROCESS_TABLE_H_
