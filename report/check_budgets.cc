#include "report/check_budgets.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "report/checkpoints.h"
#include "report/filter.h"
#include "report/fnmatch.h"
#include "report/render_growth.h"
#include "report/series.h"
#include "report/size_text.h"
#include "report/verdict.h"

namespace allocline {
namespace {

// The sites that a budget speaks of, and which of their lines holds most.
class BudgetJudge {
 public:
  BudgetJudge(const Recording& recording, const Profile& profile, const SiteMap& sites, const Budget& budget)
      : recording_(recording), profile_(profile), map_(sites) {
    result_.budget = budget;
  }

  absl::StatusOr<BudgetResult> Judge() && {
    RETURN_IF_ERROR(FindSites());
    const Budget& budget = result_.budget;
    switch (budget.measure) {
      case BudgetMeasure::kPeak:
        JudgePeak();
        break;
      case BudgetMeasure::kLive:
      case BudgetMeasure::kBlocks:
      case BudgetMeasure::kRss:
        RETURN_IF_ERROR(JudgeMoments());
        break;
      case BudgetMeasure::kGrowth:
      case BudgetMeasure::kGrowthPerRow:
        JudgeGrowth();
        break;
    }
    if (result_.state != BudgetState::kNotJudged && result_.found > budget.most) result_.state = BudgetState::kBroken;
    return std::move(result_);
  }

 private:
  bool IsWhole() const {
    return result_.budget.scope == BudgetScope::kTotal || result_.budget.scope == BudgetScope::kLabel;
  }

  absl::Status FindSites() {
    is_in_.assign(map_.stacks.size(), true);
    if (IsWhole()) return absl::OkStatus();
    std::vector<Site> sites(map_.stacks.size());
    for (size_t i = 0; i < sites.size(); ++i) sites[i] = {.stack = map_.stacks[i], .domain = map_.domains[i]};
    Filter filter;
    if (result_.budget.scope == BudgetScope::kFunction) {
      filter.function = result_.budget.name;
    } else {
      ASSIGN_OR_RETURN(filter, ParseFilter("file=" + result_.budget.name));
    }
    is_in_ = MatchSites(profile_.stacks(), sites, {&filter, 1});
    for (size_t i = 0; i < sites.size(); ++i) is_in_[i] = is_in_[i] && sites[i].stack != kRootStack;
    result_.matches_none = std::find(is_in_.begin(), is_in_.end(), true) == is_in_.end();
    return absl::OkStatus();
  }

  // Of the whole it is the exact total, also while sampling.
  SiteCounters Sum(const std::vector<SiteCounters>& counters) const {
    if (IsWhole()) return recording_.Totals(counters);
    SiteCounters sum;
    for (size_t i = 0; i < std::min(is_in_.size(), counters.size()); ++i) {
      if (is_in_[i]) sum += counters[i];
    }
    return sum;
  }

  // Remembers the line of the scope that holds most then.
  void Point(const std::vector<SiteCounters>& counters) {
    if (IsWhole()) return;
    absl::flat_hash_map<LocationId, int64_t> held;
    int64_t most = -1;
    for (size_t i = 0; i < std::min(is_in_.size(), counters.size()); ++i) {
      if (!is_in_[i]) continue;
      const StackTable& stacks = profile_.stacks();
      const LocationId id = stacks.nodes()[stacks.nodes()[map_.stacks[i]].user].location;
      const int64_t bytes = held[id] += counters[i].live_bytes();
      const Location& location = stacks.locations()[id];
      if (bytes <= most || location.file.empty()) continue;
      most = bytes;
      result_.file = location.file;
      result_.line = location.line;
    }
  }

  void JudgePeak() {
    if (IsWhole()) {
      result_.found = static_cast<double>(recording_.peak_bytes());
      return;
    }
    if (const absl::Status status = CheckPeakCopy(recording_); !status.ok()) {
      result_.state = BudgetState::kNotJudged;
      result_.remark = std::string(status.message());
      return;
    }
    const std::vector<SiteCounters> counters = recording_.CountersAtPeak();
    result_.found = Measured(Sum(counters));
    Point(counters);
  }

  double Measured(const SiteCounters& counters) const {
    const int64_t value =
        result_.budget.measure == BudgetMeasure::kBlocks ? counters.live_blocks() : counters.live_bytes();
    return static_cast<double>(std::max<int64_t>(0, value));
  }

  absl::Status JudgeMoments() {
    const Budget& budget = result_.budget;
    const std::optional<std::string> label =
        budget.scope == BudgetScope::kLabel ? std::optional<std::string>(budget.name) : budget.at;
    if (!label) {
      const std::vector<SiteCounters> counters = recording_.Counters();
      result_.found = Measured(Sum(counters));
      Point(counters);
      return absl::OkStatus();
    }
    // Sums of the growth up to each snapshot: one pass, as there may be a thousand that match.
    const FnmatchPattern pattern(*label);
    std::vector<SiteCounters> counters(recording_.sites().size());
    size_t matches = 0;
    for (const RecordedSnapshot& snapshot : recording_.snapshots()) {
      for (const auto& [site, growth] : snapshot.growth) counters[site] += growth;
      if (!pattern.Matches(snapshot.label)) continue;
      const double found =
          budget.measure == BudgetMeasure::kRss ? static_cast<double>(snapshot.rss_bytes) : Measured(Sum(counters));
      if (matches++ > 0 && found <= result_.found) continue;
      result_.found = found;
      result_.remark = fmt::format("at \"{}\"", snapshot.label);
      Point(counters);
    }
    if (matches > 0) return absl::OkStatus();
    return absl::NotFoundError(
        fmt::format("{}: no snapshot's label matches '{}', which line {} of the budgets asks for; "
                    "its labels: {}",
                    recording_.path(), *label, budget.source_line, recording_.LabelList()));
  }

  void JudgeGrowth() {
    const Checkpoints checkpoints = ChooseCheckpoints(recording_, {});
    std::vector<GroupId> groups(is_in_.size(), kNoGroup);
    for (size_t i = 0; i < groups.size(); ++i) {
      if (is_in_[i]) groups[i] = 0;
    }
    const SeriesTable table(recording_, checkpoints.chosen, groups, 1);
    const Verdict verdict = JudgeSeries(IsWhole() ? table.total() : table.Line(0), checkpoints.rows);
    if (!result_.matches_none) {
      result_.remark = fmt::format("{}: {}", VerdictText(verdict.kind), EvidenceText(verdict, checkpoints));
    }
    Point(recording_.Counters());
    if (verdict.kind == VerdictKind::kTooFew) {
      result_.state = BudgetState::kNotJudged;
      result_.remark =
          fmt::format("{}, and growth needs {}",
                      CountText(static_cast<int64_t>(checkpoints.chosen.size()), "checkpoint"), kLeastCheckpoints);
    } else if (verdict.kind != VerdictKind::kAccumulating) {
      result_.found = 0;
    } else if (result_.budget.measure == BudgetMeasure::kGrowth) {
      result_.found = verdict.bytes_per_checkpoint;
    } else if (verdict.bytes_per_row) {
      result_.found = *verdict.bytes_per_row;
    } else {
      result_.state = BudgetState::kNotJudged;
      result_.remark += "; rows are not given at every checkpoint";
    }
  }

  const Recording& recording_;
  const Profile& profile_;
  const SiteMap& map_;
  std::vector<bool> is_in_;  // index: SiteId
  BudgetResult result_;
};

}  // namespace

absl::StatusOr<std::vector<BudgetResult>> CheckBudgets(const Recording& recording, const Profile& profile,
                                                       const SiteMap& sites, std::span<const Budget> budgets) {
  std::vector<BudgetResult> results;
  for (const Budget& budget : budgets) {
    ASSIGN_OR_RETURN(BudgetResult result, BudgetJudge(recording, profile, sites, budget).Judge());
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace allocline
