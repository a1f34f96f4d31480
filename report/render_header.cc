// The lines above the table: whose memory this is, and how much of it the table can speak for.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/escape.h"
#include "report/filter.h"
#include "report/ledger.h"
#include "report/notes.h"
#include "report/path_text.h"
#include "report/python_state.h"
#include "report/render_text.h"
#include "report/size_text.h"
#include "report/statistics.h"

namespace allocline {
namespace {

// "214 MiB", or "214 MiB (+3 MiB)" when there is an old value beside it.
template <typename Integer>
std::string BytesWithChange(Integer bytes, const Integer* old) {
  if (old == nullptr) return SizeText(bytes);
  return fmt::format("{} ({})", SizeText(bytes),
                     SignedSizeText(static_cast<double>(bytes) - static_cast<double>(*old)));
}

// "7 processes: python3 x6, sh"
std::string ProcessesText(const ProfileSummary& summary) {
  std::vector<std::pair<std::string_view, size_t>> programs;
  for (const ProcessShare& process : summary.processes) {
    const std::string_view name = Basename(process.program);
    const auto known = std::ranges::find(programs, name, [](const auto& program) { return program.first; });
    if (known == programs.end()) {
      programs.emplace_back(name, 1);
    } else {
      ++known->second;
    }
  }
  std::string text = fmt::format("{} processes: ", summary.processes.size());
  for (const auto& [name, count] : programs) {
    text += fmt::format("{}{}{}", text.ends_with(": ") ? "" : ", ", Printable(name.empty() ? "<unknown>" : name),
                        count == 1 ? "" : fmt::format(" x{}", count));
  }
  return text;
}

std::string ProcessText(const ProfileSummary& summary) {
  if (summary.processes.size() > 1) return ProcessesText(summary);
  std::string_view name = Basename(summary.program);
  std::string text = fmt::format("{} (pid {})", Printable(name.empty() ? "<unknown>" : name), summary.pid);
  if (summary.label) text += fmt::format(", snapshot \"{}\"", Printable(*summary.label));
  if (summary.at_peak) text += ", at the peak";
  const double elapsed_seconds = static_cast<double>(summary.elapsed_ns) / 1e9;
  if (summary.running) {
    text += fmt::format(", running for {:.1f} s", elapsed_seconds);
  } else if (summary.elapsed_ns > 0) {
    text +=
        fmt::format("{} {:.1f} s after the start", summary.label || summary.at_peak ? "" : ", ended", elapsed_seconds);
  }
  return text;
}

std::string TracedText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::string text =
      fmt::format("traced:   live {} in ", BytesWithChange(summary.live_bytes, old ? &old->live_bytes : nullptr));
  text += old == nullptr ? CountText(summary.live_blocks, "block")
                         : fmt::format("{} ({:+}) blocks", summary.live_blocks, summary.live_blocks - old->live_blocks);
  const bool is_sum = summary.processes.size() > 1;
  text += fmt::format(", {} {}", is_sum ? "peaks add up to" : "peak",
                      BytesWithChange(summary.peak_bytes, old ? &old->peak_bytes : nullptr));
  if (summary.peak_slack_bytes > 0) text += fmt::format(" (or up to {} more)", SizeText(summary.peak_slack_bytes));
  return text + "\n";
}

// Nothing if all is of one domain: what that is is no news then.
std::string DomainsText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::vector<DomainSum> sums = summary.domains;
  const auto old_bytes = [&](uint32_t domain) {
    for (const DomainSum& sum : old->domains) {
      if (sum.domain == domain) return sum.live_bytes;
    }
    return int64_t{0};
  };
  const auto is_new = [&](const DomainSum& before) {
    return std::none_of(sums.begin(), sums.end(), [&](const DomainSum& sum) { return sum.domain == before.domain; });
  };
  if (old != nullptr) {
    for (const DomainSum& before : old->domains) {
      if (is_new(before)) sums.push_back({.domain = before.domain});
    }
  }
  if (sums.size() < 2) return "";
  std::string text = "domains:  ";
  for (const DomainSum& sum : sums) {
    if (&sum != sums.data()) text += ", ";
    const int64_t before = old == nullptr ? 0 : old_bytes(sum.domain);
    text += fmt::format("{} {}", DomainName(sum.domain), BytesWithChange(sum.live_bytes, old ? &before : nullptr));
    if (sum.variance > 0) text += fmt::format(" ±{}", SizeText(ErrorBound(sum.variance)));
  }
  return text + "\n";
}

// Both versions where two are compared.
std::string PythonLines(const ProfileSummary& summary, const ProfileSummary* old) {
  if (old != nullptr && old->python_version != summary.python_version) {
    const auto or_none = [](const std::string& text) { return text.empty() ? std::string("none") : text; };
    return fmt::format("python:   new: {}\npython:   old: {}\n", or_none(PythonText(summary, nullptr)),
                       or_none(PythonText(*old, nullptr)));
  }
  const std::string text = PythonText(summary, old);
  return text.empty() ? "" : fmt::format("python:   {}\n", text);
}

// Nothing if every block is recorded. NotesOf() tells since when, and why.
std::string ModeText(const ProfileSummary& summary) {
  if ((summary.state & format::kStateSampled) == 0) return "";
  return fmt::format("{}sampled, one in {}{}; totals are exact, in bytes as the allocator rounds them",
                     summary.sampled_after_ns != 0 ? "exact, then " : "", SizeText(summary.sample_interval_bytes),
                     (summary.state & format::kStateTotalsOnly) != 0 ? ", then only totals" : "");
}

// "mode: " lines: how the lines below were come by, where that is not by recording every block.
std::string ModeLines(const ProfileSummary& summary, const ProfileSummary* old) {
  const std::string mode = ModeText(summary), old_mode = old == nullptr ? mode : ModeText(*old);
  if (mode.empty() && old_mode.empty()) return "";
  if (mode == old_mode) return fmt::format("mode:     {}\n", mode);
  const auto or_exact = [](const std::string& text) { return text.empty() ? std::string("exact") : text; };
  return fmt::format("mode:     new: {}\nmode:     old: {}\n", or_exact(mode), or_exact(old_mode));
}

std::string MemoryText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::string text = "memory:   RSS ";
  text += summary.rss_bytes == 0 ? "not known" : BytesWithChange(summary.rss_bytes, old ? &old->rss_bytes : nullptr);
  if (summary.processes.size() > 1 && summary.rss_bytes != 0) {
    text += summary.pss_bytes == 0 ? " (pages that processes share count in each)"
                                   : fmt::format(" ({} with shared pages counted once)", SizeText(summary.pss_bytes));
  }
  if (summary.container_usage_bytes > 0) {
    text +=
        ", container " + BytesWithChange(summary.container_usage_bytes, old ? &old->container_usage_bytes : nullptr);
    if (summary.container_limit_bytes > 0) text += " of " + SizeText(summary.container_limit_bytes);
  } else {
    text += ", container not known";
  }
  return text + "\n";
}

// "0.8 s after the start": when the ledger was read, which is at the last growth of the process, where that is another
// moment than that of the figures beside it. Else empty.
std::string LedgerTime(const ProfileSummary& summary) {
  if (summary.ledger->figures.rss_bytes == summary.rss_bytes) return "";
  const auto seconds = [](uint64_t ns) { return static_cast<double>(ns) / 1e9; };
  std::string text = fmt::format("{:.1f} s after the start", seconds(summary.ledger_after_ns));
  if (summary.running) {
    const uint64_t age_ns = summary.elapsed_ns - std::min(summary.elapsed_ns, summary.ledger_after_ns);
    text += fmt::format(", {:.1f} s ago", seconds(age_ns));
  }
  return text;
}

// Nothing where the recording has no ledger of this moment.
std::string LedgerText(const ProfileSummary& summary) {
  if (!summary.ledger) return "";
  const std::string time = LedgerTime(summary);
  return fmt::format("ledger:   {}{}\n", LedgerLine(*summary.ledger), time.empty() ? "" : " (" + time + ")");
}

// Nothing unless both have one.
std::string LedgerChangeText(const ProfileSummary& summary, const ProfileSummary& old) {
  if (!summary.ledger || !old.ledger) return "";
  std::string times;
  for (const auto& [name, of] : {std::pair("new", &summary), std::pair("old", &old)}) {
    if (const std::string time = LedgerTime(*of); !time.empty()) {
      times += fmt::format("{}{}: {}", times.empty() ? " (" : "; ", name, time);
    }
  }
  return fmt::format("ledger:   {}{}\n", LedgerChangeLine(*summary.ledger, *old.ledger),
                     times.empty() ? "" : times + ")");
}

std::string ResolvedText(const Profile& profile, LineOf line_of) {
  ResolutionShares shares = ComputeResolution(profile, line_of);
  if (shares.live_bytes == 0) return "";
  std::string text =
      fmt::format("resolved: {} of live bytes to a line", PercentText(shares.line_bytes, shares.live_bytes));
  struct Rest {
    int64_t bytes;
    std::string_view to;
  };
  for (const Rest& rest : {Rest{shares.function_bytes, "to a function"}, Rest{shares.module_bytes, "to a module"},
                           Rest{shares.none_bytes, "not at all"}}) {
    if (rest.bytes > 0) text += fmt::format(", {} {}", PercentText(rest.bytes, shares.live_bytes), rest.to);
  }
  return text + "\n";
}

// `new:` and `old:` stand before what holds for one of two profiles only.
std::string DroppedText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::string drops = DropsText(summary);
  if (old == nullptr || DropsText(*old) == drops) return fmt::format("dropped:  {}\n", drops);
  return fmt::format("dropped:  new: {}; old: {}\n", drops, DropsText(*old));
}

std::string NotesText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::vector<std::string> notes = NotesOf(summary), old_notes;
  if (old != nullptr) old_notes = NotesOf(*old);
  auto is_in = [](const std::string& note, const std::vector<std::string>& others) {
    return std::find(others.begin(), others.end(), note) != others.end();
  };
  std::string text;
  for (const std::string& note : notes) {
    text += fmt::format("note:     {}{}\n", old == nullptr || is_in(note, old_notes) ? "" : "new: ", note);
  }
  for (const std::string& note : old_notes) {
    if (!is_in(note, notes)) text += fmt::format("note:     old: {}\n", note);
  }
  return text;
}

}  // namespace

std::string RenderHeader(const Profile& profile, const TextOptions& options) {
  const ProfileSummary& summary = profile.summary();
  return ProcessText(summary) + "\n" + TracedText(summary, nullptr) + DomainsText(summary, nullptr) +
         PythonLines(summary, nullptr) + ModeLines(summary, nullptr) + MemoryText(summary, nullptr) +
         LedgerText(summary) + ResolvedText(profile, options.line_of) + DroppedText(summary, nullptr) +
         NotesText(summary, nullptr) + "\n";
}

std::string RenderDiffHeader(const Profile& profile, const Profile& old, const TextOptions& options) {
  const ProfileSummary& summary = profile.summary();
  return fmt::format("new: {}\nold: {}\n", ProcessText(summary), ProcessText(old.summary())) +
         TracedText(summary, &old.summary()) + DomainsText(summary, &old.summary()) +
         PythonLines(summary, &old.summary()) + ModeLines(summary, &old.summary()) +
         MemoryText(summary, &old.summary()) + LedgerChangeText(summary, old.summary()) +
         ResolvedText(profile, options.line_of) + DroppedText(summary, &old.summary()) +
         NotesText(summary, &old.summary()) + "\n";
}

}  // namespace allocline
