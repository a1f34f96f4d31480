// Which lines hold the memory, in a hurry: while the program runs, and from within its container that is nearly full.
//
// Naming lines is what takes memory (debug information) and time. So only the sites that hold most are named, and their
// names kept: at the next rung mostly the same sites hold most, and nothing has to be opened for them.
//
// Threads: one.
#ifndef ALLOCLINE_TOOLS_RUNG_LINES_H_
#define ALLOCLINE_TOOLS_RUNG_LINES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "recording/reader.h"
#include "report/open_report.h"
#include "tools/rung_log.h"

namespace allocline {

// The names of sites' lines, of several recordings. It is handed from a process that is about to end to the next as
// bytes.
class LineNames {
 public:
  // Null if it is not known.
  const std::string* Find(std::string_view recording, SiteId site) const;
  void Add(std::string_view recording, SiteId site, std::string name);
  // What was added, as far as it fits into `most` bytes.
  std::string Packed(size_t most) const;
  // What is cut off at the end is passed over.
  void AddPacked(std::string_view packed);

 private:
  struct Key {
    uint64_t recording;  // a hash of its path: for the life of a run, and of one machine
    SiteId site;
    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.recording, key.site);
    }
  };
  absl::flat_hash_map<Key, std::string> names_;
};

struct RungSource {
  std::string recording;           // path
  std::optional<size_t> snapshot;  // without: as it is now
};

// The lines that hold most over `sources`, `most` of them. What cannot be read of these is left out. Sites without a
// name are looked up if `may_look_up`, and added to `names`.
RungLines FindRungLines(std::span<const RungSource> sources, const OpenReportOptions& options, size_t most,
                        bool may_look_up, LineNames* names);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_RUNG_LINES_H_
