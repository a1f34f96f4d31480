// What a colleague would say who has seen the recording: which of the documented causes its memory shows, what costs
// most first, with the reasons; or that there is no finding, and why not.
//
// A finding needs three things: memory that matters (of the limit, or of what was live), on a line of the program's own
// code, and facts that support a cause. A line that allocates and gives back, batch by batch, is no finding, however
// much passes through it. docs/explain.md has the rules with their reasons, and what explain cannot know.
#ifndef ALLOCLINE_REPORT_EXPLAIN_H_
#define ALLOCLINE_REPORT_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "report/causes.h"
#include "report/evidence.h"

namespace allocline {

struct Finding {
  Judgement judgement;
  std::optional<Judgement> runner_up;      // nearly as well supported
  std::vector<const LineEvidence*> lines;  // that show it, the largest first; all of one function, or called from one
  int64_t size = 0;                        // of all of them
  double cost_bytes = 0;                   // when memory runs out
  const LineEvidence& line() const { return *lines.front(); }
};

// Why there is no finding.
enum class NoFinding {
  kThereIsOne,
  kNothingRecorded,  // nothing was live, or no stack was taken
  kNoOwnLines,       // what is live is in libraries, or in code without line numbers
  kLittle,           // no line of the program's own holds enough to matter
  kGivenBack,        // what does is given back as it goes
  kNoCause,          // or shows none of the documented causes
};
std::string_view NoFindingName(NoFinding reason);

struct Explanation {
  Evidence evidence;
  std::vector<Finding> findings;  // what costs most first; views into `evidence`
  NoFinding reason = NoFinding::kThereIsOne;
  const LineEvidence* largest = nullptr;  // without a finding: the line that came closest to one, if there is any

  Explanation() = default;
  Explanation(Explanation&&) = default;  // findings point to elements of vectors, which keep their place
  Explanation& operator=(Explanation&&) = default;
};

// Whether so many bytes would matter: docs/explain.md.
bool IsMaterial(const Evidence& evidence, int64_t bytes);

Explanation Explain(Evidence evidence);

// The whole of it. Errors: as ComputeGrowth().
absl::StatusOr<Explanation> ExplainRecording(const Recording& recording, const Profile& profile, const SiteMap& sites,
                                             const EvidenceOptions& options);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_EXPLAIN_H_
