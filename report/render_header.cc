// The lines above the table: whose memory this is, and how much of it the table can speak for.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "report/escape.h"
#include "report/notes.h"
#include "report/path_text.h"
#include "report/render_text.h"
#include "report/size_text.h"

namespace allocline {
namespace {

std::string Bytes(uint64_t bytes) { return SizeText(static_cast<double>(bytes)); }
std::string Bytes(int64_t bytes) { return SizeText(static_cast<double>(bytes)); }

// "214 MiB", or "214 MiB (+3 MiB)" when there is an old value beside it.
template <typename Integer>
std::string BytesWithChange(Integer bytes, const Integer* old) {
  if (old == nullptr) return Bytes(bytes);
  return fmt::format("{} ({})", Bytes(bytes), SignedSizeText(static_cast<double>(bytes) - static_cast<double>(*old)));
}

std::string ProcessText(const ProfileSummary& summary) {
  std::string_view name = Basename(summary.program);
  std::string text = fmt::format("{} (pid {})", Printable(name.empty() ? "<unknown>" : name), summary.pid);
  if (summary.label) text += fmt::format(", snapshot \"{}\"", Printable(*summary.label));
  if (summary.elapsed_ns > 0) {
    text += fmt::format("{} {:.1f} s after the start", summary.label ? "" : ", ended",
                        static_cast<double>(summary.elapsed_ns) / 1e9);
  }
  return text;
}

std::string TracedText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::string text =
      fmt::format("traced:   live {} in {}", BytesWithChange(summary.live_bytes, old ? &old->live_bytes : nullptr),
                  summary.live_blocks);
  if (old != nullptr) text += fmt::format(" ({:+})", summary.live_blocks - old->live_blocks);
  text += fmt::format(" blocks, peak {}", BytesWithChange(summary.peak_bytes, old ? &old->peak_bytes : nullptr));
  if (summary.peak_slack_bytes > 0) text += fmt::format(" (or up to {} more)", Bytes(summary.peak_slack_bytes));
  return text + "\n";
}

std::string MemoryText(const ProfileSummary& summary, const ProfileSummary* old) {
  std::string text = "memory:   RSS ";
  text += summary.rss_bytes == 0 ? "not known" : BytesWithChange(summary.rss_bytes, old ? &old->rss_bytes : nullptr);
  if (summary.container_usage_bytes > 0) {
    text +=
        ", container " + BytesWithChange(summary.container_usage_bytes, old ? &old->container_usage_bytes : nullptr);
    if (summary.container_limit_bytes > 0) text += " of " + Bytes(summary.container_limit_bytes);
  } else {
    text += ", container not known";
  }
  return text + "\n";
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

std::string NotesText(std::string_view prefix, const ProfileSummary& summary) {
  std::string text;
  for (const std::string& note : NotesOf(summary)) text += fmt::format("note:     {}{}\n", prefix, note);
  return text;
}

}  // namespace

std::string RenderHeader(const Profile& profile, const TextOptions& options) {
  const ProfileSummary& summary = profile.summary();
  return ProcessText(summary) + "\n" + TracedText(summary, nullptr) + MemoryText(summary, nullptr) +
         ResolvedText(profile, options.line_of) + NotesText("", summary) + "\n";
}

std::string RenderDiffHeader(const Profile& profile, const Profile& old, const TextOptions& options) {
  const ProfileSummary& summary = profile.summary();
  return fmt::format("new: {}\nold: {}\n", ProcessText(summary), ProcessText(old.summary())) +
         TracedText(summary, &old.summary()) + MemoryText(summary, &old.summary()) +
         ResolvedText(profile, options.line_of) + NotesText("new: ", summary) + NotesText("old: ", old.summary()) +
         "\n";
}

}  // namespace allocline
