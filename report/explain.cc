#include "report/explain.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace allocline {
namespace {

// docs/explain.md gives the reasons for these.
constexpr int64_t kMatters = 16 << 20;
constexpr double kMattersOfLive = 0.25;
constexpr double kMattersOfLimit = 0.1;
constexpr double kWillMatterOfLimit = 0.25;
constexpr double kWillMatterOfAll = 0.25;

// A line that a cause is supported for.
struct JudgedLine {
  const LineEvidence* line;
  std::vector<Judgement> judgements;
  Cause cause() const { return judgements.front().cause; }
};

bool IsSamePlace(const CodePlace& a, const CodePlace& b) { return a.file == b.file && a.function == b.function; }

// Whether the lines are of one piece of work: of one function, or one is called from the other's.
bool BelongTogether(const LineEvidence& a, const LineEvidence& b) {
  if (a.path.empty() || b.path.empty()) return false;
  const auto calls = [](const LineEvidence& outer, const LineEvidence& inner) {
    return std::ranges::any_of(inner.path,
                               [&](const CodePlace& place) { return IsSamePlace(place, outer.path.front()); });
  };
  return calls(a, b) || calls(b, a);
}

Finding FindingOf(const JudgedLine& judged) {
  Finding finding{.judgement = judged.judgements.front(),
                  .runner_up = std::nullopt,
                  .lines = {judged.line},
                  .size = judged.line->size,
                  .cost_bytes = judged.line->cost_bytes};
  if (judged.judgements.size() > 1) {
    const Judgement& second = judged.judgements[1];
    if (second.score >= kLeastScore && second.score + kCloseScore >= finding.judgement.score)
      finding.runner_up = second;
  }
  return finding;
}

// Goes on growing, and will be what the memory runs out for.
bool WillMatter(const Evidence& evidence, const Finding& finding, double all_costs) {
  const bool grows = std::ranges::any_of(finding.lines, [](const LineEvidence* line) { return line->is_accumulating; });
  if (!grows) return false;
  if (evidence.limit_bytes > 0) {
    return finding.cost_bytes >= kWillMatterOfLimit * static_cast<double>(evidence.limit_bytes);
  }
  return finding.cost_bytes >= static_cast<double>(kMatters) && finding.cost_bytes >= kWillMatterOfAll * all_costs;
}

// Why not, from the line that holds most.
NoFinding ReasonWhyNot(const Explanation& explanation) {
  const Evidence& evidence = explanation.evidence;
  if (evidence.moment.live_bytes <= 0 || evidence.own_bytes + evidence.no_line_bytes + evidence.library_bytes <= 0) {
    return NoFinding::kNothingRecorded;
  }
  if (explanation.largest == nullptr || !IsMaterial(evidence, evidence.own_bytes)) {
    const bool others = IsMaterial(evidence, evidence.no_line_bytes + evidence.library_bytes);
    return others && evidence.own_bytes < evidence.moment.live_bytes / 2 ? NoFinding::kNoOwnLines : NoFinding::kLittle;
  }
  if (!IsMaterial(evidence, explanation.largest->size)) return NoFinding::kLittle;
  return explanation.largest->Find(FactKind::kGivenBack) != nullptr ? NoFinding::kGivenBack : NoFinding::kNoCause;
}

}  // namespace

std::string_view NoFindingName(NoFinding reason) {
  switch (reason) {
    case NoFinding::kThereIsOne:
      break;
    case NoFinding::kNothingRecorded:
      return "nothing_recorded";
    case NoFinding::kNoOwnLines:
      return "no_own_lines";
    case NoFinding::kLittle:
      return "little";
    case NoFinding::kGivenBack:
      return "given_back";
    case NoFinding::kNoCause:
      return "no_cause";
  }
  return "";
}

bool IsMaterial(const Evidence& evidence, int64_t bytes) {
  if (bytes <= 0) return false;
  const double share = static_cast<double>(bytes);
  if (evidence.limit_bytes > 0 && share >= kMattersOfLimit * static_cast<double>(evidence.limit_bytes)) return true;
  return bytes >= kMatters && share >= kMattersOfLive * static_cast<double>(evidence.moment.live_bytes);
}

Explanation Explain(Evidence evidence) {
  Explanation explanation;
  explanation.evidence = std::move(evidence);
  const Evidence& known = explanation.evidence;
  double all_costs = 0;
  std::vector<JudgedLine> judged;
  for (const LineEvidence& line : known.lines) {
    all_costs += line.cost_bytes;
    if (explanation.largest == nullptr || line.size > explanation.largest->size) explanation.largest = &line;
    // An estimate that may as well be nothing is no evidence.
    if (line.size_error > static_cast<double>(line.size) / 2) continue;
    std::vector<Judgement> judgements = JudgeCauses(line);
    if (judgements.empty() || judgements.front().score < kLeastScore) continue;
    judged.push_back({.line = &line, .judgements = std::move(judgements)});
  }
  std::ranges::stable_sort(judged,
                           [](const JudgedLine& a, const JudgedLine& b) { return a.line->size > b.line->size; });

  std::vector<Finding> candidates;
  for (const JudgedLine& line : judged) {
    const auto same = std::ranges::find_if(candidates, [&](const Finding& finding) {
      return finding.judgement.cause == line.cause() && BelongTogether(finding.line(), *line.line);
    });
    if (same == candidates.end()) {
      candidates.push_back(FindingOf(line));
      continue;
    }
    same->lines.push_back(line.line);
    same->size += line.line->size;
    same->cost_bytes += line.line->cost_bytes;
  }
  for (Finding& candidate : candidates) {
    if (!IsMaterial(known, candidate.size) && !WillMatter(known, candidate, all_costs)) continue;
    explanation.findings.push_back(std::move(candidate));
  }
  std::ranges::stable_sort(explanation.findings,
                           [](const Finding& a, const Finding& b) { return a.cost_bytes > b.cost_bytes; });
  if (explanation.findings.empty()) explanation.reason = ReasonWhyNot(explanation);
  return explanation;
}

absl::StatusOr<Explanation> ExplainRecording(const Recording& recording, const Profile& profile, const SiteMap& sites,
                                             const EvidenceOptions& options) {
  ASSIGN_OR_RETURN(Evidence evidence, GatherEvidence(recording, profile, sites, options));
  return Explain(std::move(evidence));
}

}  // namespace allocline
