// What a recording tells of the lines that hold a program's memory: facts, each with its figure and the words to say it
// in. causes.h concludes from them.
//
// Facts come from five witnesses:
//
//   counters      how much a line holds at the moment that is judged, in how many blocks, and how much of what it ever
//                 allocated that is. What works in batches and lets each go holds a part; what collects holds all
//   snapshots     how its memory grew: the verdict over checkpoints (verdict.h), and between any snapshots, those of
//                 the ladder too
//   threads       who allocates, and who frees
//   stacks        which libraries and containers are between the line and the allocator (known_calls.h); what else its
//                 function calls; the names of its functions
//   source text   what its statement says, and which name the memory is put under (statement.h), if the file is here
//
// A recording may lack any of them but the first; then their facts are absent, and nothing is made up.
#ifndef ALLOCLINE_REPORT_EVIDENCE_H_
#define ALLOCLINE_REPORT_EVIDENCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "recording/reader.h"
#include "report/checkpoints.h"
#include "report/growth.h"
#include "report/known_calls.h"
#include "report/load_profile.h"
#include "report/open_report.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

enum class FactKind : uint8_t {
  // How much.
  kShare,      // of what was live
  kOfLimit,    // of the memory there is
  kDominates,  // half of what was live, or of the limit
  // For how long.
  kKept,         // most of what the line ever allocated is live
  kGivenBack,    // it is not
  kAccumulates,  // over checkpoints
  kLevelsOff,
  kBuiltEarly,   // and stood still while others worked
  kGrewBetween,  // between two snapshots, keeping what it allocated
  kAcrossWork,   // it grew while units of work were finished
  kGoneLater,    // there is nothing left of it at a later checkpoint
  // In what.
  kOneBuffer,     // a few blocks, a MiB and more each
  kLargeBlocks,   // larger than a row of plain columns gets
  kSeveralLarge,  // and more than a few of them
  // By whom.
  kManyThreads,  // several threads allocate alike
  kHandedOver,   // other threads free it
  // What is called.
  kWholeResult,
  kDatabase,         // by the line's function
  kProgramDatabase,  // somewhere in the program
  kWholeFile,
  kFile,
  kCsv,
  kDocument,
  kDocumentOfFile,
  kBinary,
  kSequence,
  kKeyed,
  kQueue,
  kProgramNetwork,
  kPaged,
  kMemoized,
  kLookedUp,  // looked for under its key, put there, and given back
  // What things are called.
  kNamedCache,
  kNamedJoin,
  kNamedRow,
  kNamedPage,
  kNamedQuery,
  kNamedFile,
  kNamedBinary,
  kNamedQueue,
  kCount,
};
// "kept", "many_threads": for machines.
std::string_view FactName(FactKind kind);

class FactSet {
 public:
  constexpr FactSet() = default;
  constexpr FactSet(FactKind kind) : bits_(uint64_t{1} << static_cast<unsigned>(kind)) {}  // NOLINT(google-explicit-*)
  constexpr bool Any(FactSet of) const { return (bits_ & of.bits_) != 0; }
  constexpr bool Empty() const { return bits_ == 0; }
  constexpr FactSet operator|(FactSet other) const {
    FactSet both;
    both.bits_ = bits_ | other.bits_;
    return both;
  }
  constexpr FactSet& operator|=(FactSet other) { return *this = *this | other; }

 private:
  uint64_t bits_ = 0;
};
constexpr FactSet operator|(FactKind a, FactKind b) { return FactSet(a) | FactSet(b); }
static_assert(static_cast<size_t>(FactKind::kCount) <= 64);

struct Fact {
  FactKind kind;
  double value = 0;  // the figure: a share, a count, bytes
  std::string text;  // says it, in a report. Safe to print
};

// A place in the program.
struct CodePlace {
  std::string_view file;  // as recorded
  uint32_t line = 0;
  std::string_view function;
};

struct LineEvidence {
  Group group;                  // by line
  int64_t size = 0, count = 0;  // live at the moment
  double size_error = 0;        // while sampling
  uint64_t total_bytes = 0, total_blocks = 0;
  double cost_bytes = 0;  // what it will hold when memory runs out, or after ten times the work; at least `size`
  bool is_accumulating = false;
  std::vector<CodePlace> path;      // of the stacks that hold most of it: frames of the user's, innermost first
  std::optional<CodePlace> keeper;  // where it is put into what keeps it, if that is another line
  std::vector<Fact> facts;
  FactSet present;

  double average() const { return count == 0 ? 0 : static_cast<double>(size) / static_cast<double>(count); }
  const Fact* Find(FactKind kind) const;
};

// The moment at which a program is judged: when it held most, or the end.
struct JudgedMoment {
  bool at_peak = false;
  std::string text;         // "at the peak", "at the end", "at \"limit-90%\""
  uint64_t elapsed_ns = 0;  // after the start; 0: not known
  int64_t live_bytes = 0;
};

struct Evidence {
  JudgedMoment moment;
  uint64_t limit_bytes = 0;  // 0: not known
  bool limit_was_given = false;
  bool sampled = false, totals_only = false;
  int64_t own_bytes = 0;      // live then, on lines of the program's own code
  int64_t no_line_bytes = 0;  // in its own code, where that has no line numbers
  int64_t library_bytes = 0;  // on no line of the program's
  size_t checkpoints = 0;     // that growth was judged by
  std::vector<LineEvidence>
      lines;  // of the program's own code, by falling cost; those that hold next to nothing are left out
};

struct EvidenceOptions {
  LabelledMoment moment;              // neither snapshot nor peak: explain chooses
  uint64_t limit_bytes = 0;           // 0: the recording's
  std::optional<Checkpoint> present;  // of a running process
  bool read_sources = true;
};

// As ComputeGrowth(). `profile` must outlive what is given.
absl::StatusOr<Evidence> GatherEvidence(const Recording& recording, const Profile& profile, const SiteMap& sites,
                                        const EvidenceOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_EVIDENCE_H_
