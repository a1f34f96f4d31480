// Recording + Symbolizer -> Profile: the one place where addresses become names.
//
// Native frames are grouped by module and resolved at (return address - 1 - load bias), all addresses of a module in
// one call. Where the recording carries its own symbols (a snapshot that stands alone) those are used instead and no
// file is opened. Virtual frames become synthetic locations, except the domain's, which becomes Site::domain.
#ifndef ALLOCLINE_REPORT_LOAD_PROFILE_H_
#define ALLOCLINE_REPORT_LOAD_PROFILE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "recording/reader.h"
#include "report/profile.h"
#include "report/user_line.h"
#include "symbolize/symbolizer.h"

namespace allocline {

struct LoadProfileOptions {
  std::optional<size_t> snapshot;  // index into Recording::snapshots(); without: the end of the recording
  bool at_peak = false;            // what was live at the peak; then without `snapshot`
  bool by_thread = false;          // split sites by thread (thread_split.h); not possible at a snapshot
  bool without_inherited = false;  // take off what a fork had from its parent (inherited.h); not by thread
  std::vector<SiteId> sites;       // only these, if there are any: naming what holds most costs less than naming all
  UserLineOptions user_line;       // what LoadProfile fills in is taken from the recording
};

// What became of a recording's sites: for who follows their counters from snapshot to snapshot.
struct SiteMap {
  std::vector<StackId> stacks;    // index: SiteId; kRootStack for what has counted nothing
  std::vector<uint32_t> domains;  // likewise
};

// Whether there is a copy of what was live at the peak: NotFound says why there may be none.
absl::Status CheckPeakCopy(const Recording& recording);

// `symbolizer` may be null: then frames stay module+offset unless the recording carries symbols. `sites`, if it is not
// null, is filled; not by thread.
// Errors: InvalidArgument for by_thread at a snapshot or at the peak, NotFound without a copy of the peak, OutOfRange
// for a snapshot that is not there.
absl::StatusOr<Profile> LoadProfile(const Recording& recording, Symbolizer* symbolizer,
                                    const LoadProfileOptions& options, SiteMap* sites = nullptr);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_LOAD_PROFILE_H_
