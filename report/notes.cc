#include "report/notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "report/escape.h"
#include "report/python_state.h"
#include "report/size_text.h"

namespace allocline {
namespace {

struct ReasonText {
  std::string_view name;
  std::string_view clause;  // after "N events (X) "
};
ReasonText TextOf(format::DropReason reason) {
  switch (reason) {
    case format::DropReason::kBeforeStart:
      return {"before_start", "before the tracer had started"};
    case format::DropReason::kNoThreadState:
      return {"no_thread_state", "for want of memory for a thread's state"};
    case format::DropReason::kPointerMapFull:
      return {"pointer_map_full", "for want of address space for the pointer map"};
    case format::DropReason::kTooLarge:
      return {"too_large", "of 1 TiB or more, or at an address above 2^47"};
    case format::DropReason::kRecordingFull:
      return {"recording_full", "counted but under no line, as the recording could not grow"};
    case format::DropReason::kDomainFull:
      return {"domain_full", "of too many domains"};
  }
  return {"unknown", "for a reason this version does not know"};
}

std::string Bytes(uint64_t bytes) { return SizeText(static_cast<double>(bytes)); }

void AddStateNotes(const ProfileSummary& summary, std::vector<std::string>* notes) {
  if (summary.state & format::kStateDiskFull) {
    notes->push_back(fmt::format("the recording could not grow ({}): stacks first seen after that are under no line",
                                 std::strerror(static_cast<int>(summary.first_errno))));
  }
  if (summary.state & format::kStateTableFull) {
    notes->push_back("a table of the recording is full: stacks first seen after that are under no line");
  }
  if (summary.state & format::kStateInMemory) {
    notes->push_back(fmt::format("the output directory refused the recording ({}): it was kept in memory",
                                 std::strerror(static_cast<int>(summary.first_errno))));
  }
  if (summary.state & format::kStateNoUnwinder) {
    notes->push_back("libunwind was not found: every stack has one frame, the caller of the allocator");
  }
  if ((summary.flags & format::kFlagForked) && summary.inherited_bytes == 0 && summary.inherited_blocks == 0) {
    notes->push_back(fmt::format("pid {} began as a fork: what was live in its parent then is counted", summary.pid));
  }
}

void AddInheritedNote(const ProfileSummary& summary, std::vector<std::string>* notes) {
  if (summary.inherited_bytes == 0 && summary.inherited_blocks == 0) return;
  notes->push_back(fmt::format(
      "{} in {} that processes have from the one they were forked from count once, there: pages are shared until they "
      "are written to",
      Bytes(static_cast<uint64_t>(std::max<int64_t>(summary.inherited_bytes, 0))),
      CountText(summary.inherited_blocks, "block")));
}

void AddPeakNote(const ProfileSummary& summary, std::vector<std::string>* notes) {
  if (!summary.at_peak) return;
  notes->push_back(fmt::format("at the peak: {}; the copy was taken at {}", Bytes(summary.peak_bytes),
                               Bytes(static_cast<uint64_t>(summary.live_bytes))));
}

void AddBudgetNotes(const ProfileSummary& summary, std::vector<std::string>* notes) {
  const auto add = [&](std::string_view until, uint64_t after_ns, uint64_t live_bytes) {
    notes->push_back(
        fmt::format("{} until {:.1f} s after the start, {} live: then the tracer held what it may, {} "
                    "(--tracer-memory)",
                    until, static_cast<double>(after_ns) / 1e9, Bytes(live_bytes), Bytes(summary.tracer_budget_bytes)));
  };
  if (summary.sampled_after_ns != 0) {
    add("every block was recorded", summary.sampled_after_ns, summary.sampled_live_bytes);
  }
  if (summary.totals_after_ns != 0) add("stacks were taken", summary.totals_after_ns, summary.totals_live_bytes);
}

// What is missing between the lines and the total. A line that had no sample is not there; nor is any block that came
// when no stacks were taken any more.
void AddWithoutStackNote(const ProfileSummary& summary, std::vector<std::string>* notes) {
  const int64_t bytes = summary.without_stack_bytes, blocks = summary.without_stack_blocks;
  if (bytes == 0 && blocks == 0) return;
  if (bytes >= 0 && blocks >= 0) {
    notes->push_back(
        fmt::format("counted without a stack: {} in {}; the lines are estimates, and with this add up to what is live",
                    Bytes(static_cast<uint64_t>(bytes)), CountText(blocks, "block")));
    return;
  }
  const auto more = [](int64_t n) { return n < 0 ? "more" : "less"; };
  notes->push_back(fmt::format("the lines are estimates, and add up to {} {} and {} {} than is live",
                               Bytes(static_cast<uint64_t>(std::abs(bytes))), more(bytes),
                               CountText(std::abs(blocks), "block"), more(blocks)));
}

void AddStackNotes(const ProfileSummary& summary, std::vector<std::string>* notes) {
  if (summary.nested_events > 0) {
    notes->push_back(fmt::format("{} by signal handlers inside the tracer, of unknown callers",
                                 CountText(static_cast<int64_t>(summary.nested_events), "allocation")));
  }
  if (summary.truncated_blocks > 0) {
    notes->push_back(fmt::format("{} with a stack that is not whole: too deep, or through code that cannot be unwound",
                                 CountText(static_cast<int64_t>(summary.truncated_blocks), "allocation")));
  }
  if (summary.flags & format::kFlagVerify) {
    notes->push_back(fmt::format("verify mode: {} of {} stacks differ from libunwind's", summary.different_stacks,
                                 summary.verified_stacks));
  }
}

// A module is worth a line when it hides at least a hundredth of the live bytes.
void AddProblemNotes(const ProfileSummary& summary, std::vector<std::string>* notes) {
  std::vector<ModuleProblem> problems = summary.problems;
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.live_bytes > b.live_bytes; });
  for (const ModuleProblem& problem : problems) {
    if (problem.live_bytes <= 0 || problem.live_bytes < summary.live_bytes / 100) continue;
    notes->push_back(fmt::format("no lines for {} of live bytes in {}: {}",
                                 PercentText(problem.live_bytes, summary.live_bytes), Printable(problem.path),
                                 Printable(problem.problem)));
  }
}

}  // namespace

std::string_view DropReasonName(format::DropReason reason) { return TextOf(reason).name; }

std::string DropsText(const ProfileSummary& summary) {
  std::string text;
  for (uint32_t i = 0; i < summary.drops.size(); ++i) {
    const format::Drop& drop = summary.drops[i];
    if (drop.events == 0 && drop.bytes == 0) continue;
    text += fmt::format("{}{} ({}) {}", text.empty() ? "" : ", ", CountText(static_cast<int64_t>(drop.events), "event"),
                        Bytes(drop.bytes), TextOf(static_cast<format::DropReason>(i)).clause);
  }
  return text.empty() ? "nothing" : text;
}

std::string PercentText(int64_t part, int64_t whole) {
  if (whole <= 0 || part == whole) return whole <= 0 ? "0%" : "100%";
  if (part == 0) return "0%";
  double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  return fmt::format("{:.1f}%", std::clamp(percent, 0.1, 99.9));
}

std::vector<std::string> NotesOf(const ProfileSummary& summary) {
  std::vector<std::string> notes;
  for (const std::string& damage : summary.damage) {
    notes.push_back(fmt::format("the recording is damaged: {}", Printable(damage)));
  }
  AddStateNotes(summary, &notes);
  AddInheritedNote(summary, &notes);
  AddPeakNote(summary, &notes);
  AddBudgetNotes(summary, &notes);
  AddWithoutStackNote(summary, &notes);
  AddStackNotes(summary, &notes);
  for (std::string& note : PythonNotes(summary)) notes.push_back(std::move(note));
  if (summary.by_thread && summary.shared_bytes != 0) {
    notes.push_back(
        fmt::format("{} of live bytes are from lines where several threads allocate and free: how they are "
                    "split over those threads is an estimate",
                    PercentText(summary.shared_bytes, summary.live_bytes)));
  }
  AddProblemNotes(summary, &notes);
  return notes;
}

}  // namespace allocline
