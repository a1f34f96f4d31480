// The model every report is a view of: sites with their resolved stacks, and what they allocated.
//
//   Profile --- sites: {stack, domain, thread} -> live and total bytes and blocks
//      |------- stacks: StackTable, shared by every profile filtered from the same recording
//      |          locations: one per distinct (file, line, function, module); inlined calls are locations of their own
//      |          nodes:     a tree over locations; a stack is the path from a node to the root
//      |          threads
//      '------- summary: what the report's header says about the process and the recording
//
// Texts are interned: two locations of one profile are in the same file exactly if their `file` views have the same
// data(), so grouping never compares strings. Ids mean something inside one StackTable only; diff.h compares names.
//
// Threads:    immutable once built (ProfileBuilder); share it freely.
// Invariants: (1) a node's parent has a smaller id, so one pass over ids visits callers first; (2) node 0 is the root
//             and no frame; every site's stack has at least one frame.
#ifndef ALLOCLINE_REPORT_PROFILE_H_
#define ALLOCLINE_REPORT_PROFILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recording/format.h"
#include "recording/reader.h"
#include "symbolize/symbolizer.h"

namespace allocline {

using LocationId = uint32_t;
using StackId = uint32_t;
inline constexpr StackId kRootStack = 0;

// What a location is to the reader of a report; user_line.h decides.
enum class FrameRole : uint8_t {
  kUser = 0,
  kLibrary = 1,    // somebody else's code: libstdc++, libc, a third-party prefix
  kAllocator = 2,  // malloc, operator new, ... and liballocline itself
  kSynthetic = 3,  // no code at all: [truncated: ...]
};

struct Location {
  // What stands before ":LINE". The file; without one "FUNCTION [MODULE]", "MODULE+0xOFFSET", "<unknown>", or the
  // bracketed text of a synthetic frame. Modules appear by basename here and offsets are relative to the file, so the
  // name is the same in another run.
  std::string_view where;
  std::string_view file;      // normalised ("a/./b/../c" is "a/c"); empty if unknown
  uint32_t line = 0;          // 0 if unknown
  std::string_view function;  // demangled, may be empty
  // Path of the object, empty for synthetic frames and code outside any module. Of Python: PythonPaths::ModuleOf().
  std::string_view module;
  ResolutionLevel level = ResolutionLevel::kNone;
  FrameRole role = FrameRole::kLibrary;
  bool inlined = false;  // into the next location of the stack
  bool python = false;   // code of Python, not of the processor
  bool operator==(const Location&) const = default;
};

struct StackNode {
  StackId parent = kRootStack;
  LocationId location = 0;
  StackId user = kRootStack;  // the node of this stack that holds the user's line
};

struct ProfileThread {
  uint32_t tid = 0;
  std::string_view name;   // as in /proc/PID/task/TID/comm, or "[inherited]", "[no state]"
  std::string_view label;  // for a report: "worker (tid 12)"
  uint32_t threads_served = 0;
};

// The frames of one stack, most recent first.
class StackFrames {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = LocationId;
    using difference_type = std::ptrdiff_t;
    using pointer = const LocationId*;
    using reference = LocationId;
    Iterator() = default;
    Iterator(const StackNode* nodes, StackId id) : nodes_(nodes), id_(id) {}
    LocationId operator*() const { return nodes_[id_].location; }
    StackId stack() const { return id_; }
    Iterator& operator++() {
      id_ = nodes_[id_].parent;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return id_ == other.id_; }

   private:
    const StackNode* nodes_ = nullptr;
    StackId id_ = kRootStack;
  };
  StackFrames(const StackNode* nodes, StackId id) : nodes_(nodes), id_(id) {}
  Iterator begin() const { return {nodes_, id_}; }
  Iterator end() const { return {nodes_, kRootStack}; }

 private:
  const StackNode* nodes_;
  StackId id_;
};

class StackTable {
 public:
  const std::vector<Location>& locations() const { return locations_; }   // index: LocationId
  const std::vector<StackNode>& nodes() const { return nodes_; }          // index: StackId
  const std::vector<ProfileThread>& threads() const { return threads_; }  // index: Site::thread
  StackFrames Frames(StackId stack) const { return {nodes_.data(), stack}; }
  const Location& Innermost(StackId stack) const { return locations_[nodes_[stack].location]; }
  const Location& UserLine(StackId stack) const { return Innermost(nodes_[stack].user); }

 private:
  friend class ProfileBuilder;
  friend class StackCutter;  // frame_limit.cc
  friend class StackMerger;  // merge_profiles.cc
  std::vector<Location> locations_;
  std::vector<StackNode> nodes_;
  std::vector<ProfileThread> threads_;
  std::shared_ptr<const void> strings_;  // what the views of the above point into
};

// All blocks of one stack and domain (and, in a profile by thread, of one thread).
struct Site {
  StackId stack = kRootStack;
  uint32_t domain = 0;                         // format::kDomainMalloc, ...
  uint32_t thread = 0;                         // index into StackTable::threads() if split by thread or process, else 0
  int64_t live_bytes = 0, live_blocks = 0;     // negative only where format::kOverflowSite mixes frees in
  uint64_t total_bytes = 0, total_blocks = 0;  // ever allocated
  double variance = 0;                         // of live_bytes, as far as they are an estimate (recording/sampling.h)

  // What another site of the same stack, domain and thread has.
  void Add(const Site& same) {
    live_bytes += same.live_bytes;
    live_blocks += same.live_blocks;
    total_bytes += same.total_bytes;
    total_blocks += same.total_blocks;
    variance += same.variance;
  }
};

// A module the symbolizer could not make full use of.
struct ModuleProblem {
  std::string path;
  std::string problem;     // one line
  int64_t live_bytes = 0;  // whose user's line is in the module, and has no line number
};

// What is live of one domain. While sampling, an estimate.
struct DomainSum {
  uint32_t domain = 0;
  int64_t live_bytes = 0, live_blocks = 0;
  double variance = 0;
};

// One of the processes that a profile is the sum of.
struct ProcessShare {
  std::string recording, program;
  uint32_t pid = 0;
  std::optional<std::string> label;
  bool at_peak = false, running = false, exited = false;
  int64_t live_bytes = 0, live_blocks = 0;            // what it adds to the sum
  int64_t inherited_bytes = 0, inherited_blocks = 0;  // live in it, too, and counted in the process it was forked from
  uint64_t peak_bytes = 0, rss_bytes = 0, pss_bytes = 0;
};

// What a report says before its first line.
struct ProfileSummary {
  std::string recording;             // path it was opened by
  std::optional<std::string> label;  // the snapshot this is, if not the end of the recording
  bool at_peak = false;              // this is what was live at the peak, as it was copied then
  bool running = false;              // the process ran when it was read; elapsed_ns goes until then
  std::string program, host, allocator;
  uint32_t pid = 0;
  uint32_t flags = 0;        // format::HeaderFlag
  uint32_t state = 0;        // format::StateBit
  uint32_t first_errno = 0;  // why the recording could not grow, or be a file
  uint64_t elapsed_ns = 0;   // from the start of the recording to this snapshot, or to its end; 0 = not known
  int64_t live_bytes = 0;    // before any filter. Exact also where the sites are estimates, and do not add up to it
  int64_t live_blocks = 0;
  // How much of that no line tells: the total less what the sites add up to. 0 where every block was recorded. While
  // sampling it is also what the estimates are off by, and may be negative.
  int64_t without_stack_bytes = 0, without_stack_blocks = 0;
  std::vector<DomainSum> domains;  // what the sites add up to, largest first
  uint64_t peak_bytes = 0;
  uint64_t peak_slack_bytes = 0;  // the true peak is at most this much higher
  uint64_t rss_bytes = 0;         // 0 = not known
  uint64_t pss_bytes = 0;  // proportional set size: pages that processes share are divided among them. 0 = not known
  uint64_t container_usage_bytes = 0;
  uint64_t container_limit_bytes = 0;
  uint64_t rows = format::kRowsNotGiven;
  std::optional<RecordedLedger> ledger;  // of this moment, or the last one before it
  uint64_t ledger_after_ns = 0;          // when it was read, after the start
  // While sampling (recording/sampling.h). Of the header, whose words are explained there
  uint64_t sample_interval_bytes = 0;
  uint64_t sampled_after_ns = 0, totals_after_ns = 0;  // after the start; 0: from it on, or not at all (`state` tells)
  uint64_t sampled_live_bytes = 0, totals_live_bytes = 0;
  uint64_t tracer_budget_bytes = 0;
  uint64_t tracer_bytes = 0;                           // the tracer's own memory, pointer map and file apart
  uint64_t nested_events = 0;                          // allocations by signal handlers inside the tracer
  uint64_t truncated_blocks = 0;                       // ever allocated with a stack that is not whole
  uint64_t verified_stacks = 0, different_stacks = 0;  // with format::kFlagVerify
  std::array<format::Drop, format::kDropReasons> drops{};
  uint32_t python_version = 0;      // PY_VERSION_HEX of the interpreter in the process; 0 = none
  uint32_t python_state = 0;        // format::PythonBit
  std::string python_runtime;       // the file that holds it
  uint64_t python_arena_bytes = 0;  // what pymalloc holds; 0 = not known of this moment
  int64_t python_small_bytes = 0;   // live in it, as requested
  int64_t overflow_bytes = 0;       // live bytes charged to format::kOverflowSite
  // Taken off: what a forked process had from its parent, and still has (inherited.h).
  int64_t inherited_bytes = 0, inherited_blocks = 0;
  bool by_thread = false;
  int64_t shared_bytes = 0;  // by thread: live bytes of sites where the split is an estimate
  std::vector<ModuleProblem> problems;
  std::vector<std::string> damage;  // what the reader says is missing from the file
  // Of several processes (merge_profiles.h): figures above are sums, and what cannot be summed is of the largest.
  bool by_process = false;
  std::vector<ProcessShare> processes;
};

class Profile {
 public:
  Profile() = default;
  Profile(std::shared_ptr<const StackTable> stacks, std::vector<Site> sites, ProfileSummary summary)
      : stacks_(std::move(stacks)), sites_(std::move(sites)), summary_(std::move(summary)) {}

  const StackTable& stacks() const { return *stacks_; }
  const std::shared_ptr<const StackTable>& shared_stacks() const { return stacks_; }
  const std::vector<Site>& sites() const { return sites_; }
  const ProfileSummary& summary() const { return summary_; }

  // The same sites under another header.
  Profile WithSummary(ProfileSummary summary) && {
    return Profile(std::move(stacks_), std::move(sites_), std::move(summary));
  }

 private:
  std::shared_ptr<const StackTable> stacks_;
  std::vector<Site> sites_;
  ProfileSummary summary_;
};

// Which frame stands for a stack when one line must.
enum class LineOf {
  kUser,       // the user's line (user_line.h): the default of every report
  kInnermost,  // the physical line, tracemalloc's most recent frame
};

// How far the lines of a profile resolved: live bytes by the level of the location that stands for the site.
struct ResolutionShares {
  int64_t live_bytes = 0;  // of sites with more than nothing live
  int64_t line_bytes = 0, function_bytes = 0, module_bytes = 0, none_bytes = 0;
};
ResolutionShares ComputeResolution(const Profile& profile, LineOf line_of);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PROFILE_H_
