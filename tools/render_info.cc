// RecordingInfo as text and as JSON.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "report/escape.h"
#include "report/filter.h"
#include "report/ledger.h"
#include "report/python_state.h"
#include "report/size_text.h"
#include "report/summary_json.h"
#include "tools/recording_info.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostLabels = 100;  // in the text

template <typename Integer>
std::string Bytes(Integer bytes) {
  return SizeText(static_cast<double>(bytes));
}

double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

std::string Hex(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string TimeText(uint64_t realtime_ns) {
  const time_t seconds = static_cast<time_t>(realtime_ns / 1'000'000'000);
  tm broken_down{};
  return gmtime_r(&seconds, &broken_down) == nullptr ? "at an unknown time"
                                                     : fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", broken_down);
}

std::string HowItEnded(const RecordingInfo& info) {
  const format::FileHeader& header = info.target->recording.header();
  if ((header.flags & format::kFlagSnapshot) != 0) return "a snapshot that stands alone";
  if (info.running) return "still running";
  if ((header.state & format::kStateExited) != 0) {
    return fmt::format("exited after {:.1f} s", Seconds(header.end_monotonic_ns - header.start_monotonic_ns));
  }
  if ((header.state & format::kStateLeft) != 0) {
    return fmt::format("left by _exit after {:.1f} s", Seconds(header.end_monotonic_ns - header.start_monotonic_ns));
  }
  return "ended without its exit handlers (killed, or by exec)";
}

std::string RenderDomains(const ProfileSummary& summary) {
  if (summary.domains.size() < 2) return "";
  std::string text = "domains:   ";
  for (const DomainSum& sum : summary.domains) {
    text += fmt::format("{}{} {} in {}", &sum == summary.domains.data() ? "" : ", ", DomainName(sum.domain),
                        Bytes(sum.live_bytes), CountText(sum.live_blocks, "block"));
  }
  return text + "\n";
}

std::string RenderPython(const RecordingInfo& info) {
  const std::string text = PythonText(info.summary, nullptr);
  if (text.empty()) return "";
  return fmt::format(
      "python:    {}\n           {}, {} of code seen\n", text,
      info.summary.python_runtime.empty() ? "in an unknown file" : Printable(info.summary.python_runtime),
      CountText(info.target->recording.codes().size(), "object"));
}

std::string RenderProcess(const RecordingInfo& info) {
  const Recording& recording = info.target->recording;
  const format::FileHeader& header = recording.header();
  std::string text = fmt::format("recording: {} (format {}.{}, {})\n", Printable(recording.path()), header.major,
                                 header.minor, Bytes(recording.file_bytes()));
  text += fmt::format("program:   {} (pid {}, parent {}) on {}\n", Printable(header.program), header.pid,
                      header.parent_pid, Printable(header.host));
  text += fmt::format("started:   {}, {}\n", TimeText(header.start_realtime_ns), HowItEnded(info));
  text += fmt::format("allocator: {}\n", header.allocator[0] == '\0' ? "unknown" : Printable(header.allocator));
  text += fmt::format("traced:    live {} in {}, peak {}\n", Bytes(info.summary.live_bytes),
                      CountText(info.summary.live_blocks, "block"), Bytes(info.summary.peak_bytes));
  text += RenderDomains(info.summary) + RenderPython(info);
  text += fmt::format("events:    {} of {}, {}\n", CountText(info.events.allocated_blocks, "allocation"),
                      Bytes(info.events.allocated_bytes), CountText(info.events.freed_blocks, "free"));
  return text;
}

std::string RenderLedger(const RecordingInfo& info) {
  const ProfileSummary& summary = info.summary;
  if (!summary.ledger) {
    return fmt::format(
        "\nmemory: what it consists of was not read before the process {}; a labelled snapshot reads it\n",
        summary.running ? "was looked at" : "ended");
  }
  // A process writes down what its memory consists of when it has grown: of a running one that may be long ago.
  std::string present;
  if (summary.running) {
    present = fmt::format(", {:.1f} s ago; RSS is now {}",
                          Seconds(summary.elapsed_ns - std::min(summary.elapsed_ns, summary.ledger_after_ns)),
                          Bytes(summary.rss_bytes));
    if (summary.container_usage_bytes > 0)
      present += ", the container's figure " + Bytes(summary.container_usage_bytes);
  }
  std::string text = fmt::format("\nmemory, {:.1f} s after the start{}:\n{}", Seconds(summary.ledger_after_ns), present,
                                 LedgerTable(*summary.ledger, "  "));
  if ((summary.ledger->figures.flags & format::kLedgerNoRegions) != 0) {
    text += "  the process could not read /proc/self/smaps: parts of its anonymous memory are not told apart\n";
  }
  return text;
}

std::string RenderModules(const RecordingInfo& info) {
  std::string text = fmt::format(
      "\nmodules ({}), with the addresses that resolved to a line, to a function, not at all:\n", info.modules.size());
  for (const ModuleInfo& module : info.modules) {
    const Resolution& resolution = module.resolution;
    text += fmt::format("  {:>7} {:>7} {:>7}  {}\n", resolution.lines, resolution.functions, resolution.unresolved,
                        Printable(module.module->path));
    const std::string& id = module.module->build_id;
    text += fmt::format("{:28}build id {}{}\n", "", id.empty() ? "unknown" : Hex(id),
                        module.module->unloaded_ns != 0 ? ", unloaded since" : "");
    if (!module.diagnosis.debug_file.empty()) {
      text += fmt::format("{:28}lines from {}\n", "", Printable(module.diagnosis.debug_file));
    }
    if (!module.diagnosis.problem.empty()) text += fmt::format("{:28}{}\n", "", Printable(module.diagnosis.problem));
  }
  return text;
}

std::string ThreadName(const RecordedThread& thread) {
  switch (thread.kind) {
    case format::ThreadKind::kOrphans:
      return "[threads without a state]";
    case format::ThreadKind::kInherited:
      return "[inherited from the parent process]";
    case format::ThreadKind::kThread:
      break;
  }
  if (thread.threads_served <= 1) return fmt::format("{} (tid {})", Printable(thread.name), thread.tid);
  return fmt::format("{} ({} threads, one after another, the last tid {})", Printable(thread.name),
                     thread.threads_served, thread.tid);
}

std::string RenderThreads(const RecordingInfo& info) {
  std::string text = fmt::format("\nthreads ({}):\n", info.threads.size());
  for (const ThreadInfo& thread : info.threads) {
    text += fmt::format("  {}: allocated {} in {}, freed {} in {}\n", ThreadName(*thread.thread),
                        Bytes(thread.counters.allocated_bytes), CountText(thread.counters.allocated_blocks, "block"),
                        Bytes(thread.counters.freed_bytes), thread.counters.freed_blocks);
  }
  return text;
}

std::string RenderLabels(const RecordingInfo& info) {
  const Recording& recording = info.target->recording;
  const std::vector<RecordedSnapshot>& snapshots = recording.snapshots();
  std::string text = fmt::format("\nlabels ({}):\n", snapshots.size());
  // Of a program that takes one with each row, the first and the last.
  const size_t first_left_out = kMostLabels / 2, left_out = snapshots.size() - std::min(snapshots.size(), kMostLabels);
  for (size_t i = 0; i < snapshots.size(); ++i) {
    if (left_out > 0 && i == first_left_out) {
      text += fmt::format("  ... {} more, which --json has\n", left_out);
      i += left_out;
    }
    const RecordedSnapshot& snapshot = snapshots[i];
    text += fmt::format("  \"{}\"", Printable(snapshot.label));
    if (snapshot.monotonic_ns >= recording.header().start_monotonic_ns) {
      text += fmt::format(" after {:.1f} s", Seconds(snapshot.monotonic_ns - recording.header().start_monotonic_ns));
    }
    text += fmt::format(": live {}, peak {}", Bytes(snapshot.live_bytes), Bytes(snapshot.peak_bytes));
    if (snapshot.rss_bytes != 0) text += fmt::format(", RSS {}", Bytes(snapshot.rss_bytes));
    if (snapshot.rows != format::kRowsNotGiven) text += fmt::format(", {} rows", snapshot.rows);
    text += "\n";
  }
  return text;
}

std::string WhatIsRecorded(const format::FileHeader& header) {
  if ((header.state & format::kStateTotalsOnly) != 0) return "totals";
  if ((header.state & format::kStateSampled) == 0) return "every block";
  return fmt::format("one block in {}, and totals", Bytes(header.sample_interval_bytes));
}

std::string CostText(std::string_view event, const EventTimes& times) {
  if (times.events == 0) return fmt::format("{} not measured", event);
  return fmt::format("{:.0f} ns {} ({} timed)", times.mean_ns(), event, times.events);
}

std::string RenderTracer(const RecordingInfo& info) {
  const format::FileHeader& header = info.target->recording.header();
  std::string text = fmt::format("\nthe tracer:\n  {} of its own in the process, and {} of recording",
                                 Bytes(header.tracer_private_bytes), Bytes(header.file_bytes));
  if (header.tracer_budget_bytes != 0)
    text += fmt::format(", of {} that it may hold", Bytes(header.tracer_budget_bytes));
  text += fmt::format("\n  {} of address space for the pointer map\n", Bytes(header.pointer_map_bytes));
  text += fmt::format("  it records {}\n", WhatIsRecorded(header));
  text += fmt::format("  cost per event: {}, {}\n", CostText("an allocation", info.timed_allocations),
                      CostText("a free", info.timed_frees));
  text += fmt::format("  {} of tables in the recording:", Bytes(header.file_bytes));
  for (const TableInfo& table : info.tables) {
    text += fmt::format("{} {} {}", &table == info.tables.data() ? "" : ",", table.name, Bytes(table.used_bytes));
  }
  text += "\n";
  if ((header.flags & format::kFlagVerify) != 0) {
    text += fmt::format("  {} stacks were compared with libunwind's, {} differed\n", header.verified_stacks,
                        header.different_stacks);
  }
  return text;
}

std::string RenderDifferentStacks(const RecordingInfo& info) {
  if (info.differences.empty()) return "";
  return fmt::format("\nstacks that differ from libunwind's (the first {} of {}):\n{}", info.differences.size(),
                     info.target->recording.header().different_stacks, RenderDifferences(info.differences));
}

std::string RenderNotSeen(const RecordingInfo& info) {
  if (info.not_seen.empty()) return "\nnot seen: nothing that is known of\n";
  std::string text = "\nnot seen, or not in full:\n";
  for (const std::string& sentence : info.not_seen) text += fmt::format("  {}\n", sentence);
  return text;
}

Json CountersJson(const SiteCounters& counters) {
  return {{"allocated_bytes", counters.allocated_bytes},
          {"allocated_blocks", counters.allocated_blocks},
          {"freed_bytes", counters.freed_bytes},
          {"freed_blocks", counters.freed_blocks}};
}

Json CostJson(const EventTimes& times) {
  return {{"events", times.events}, {"mean_ns", times.events == 0 ? Json(nullptr) : Json(times.mean_ns())}};
}

Json ModuleJson(const ModuleInfo& info) {
  const RecordedModule& module = *info.module;
  return {{"path", ValidUtf8(module.path)},
          {"build_id", Hex(module.build_id)},
          {"start", module.start},
          {"end", module.end},
          {"unloaded", module.unloaded_ns != 0},
          {"addresses",
           {{"lines", info.resolution.lines},
            {"functions", info.resolution.functions},
            {"unresolved", info.resolution.unresolved}}},
          {"debug_file", ValidUtf8(info.diagnosis.debug_file)},
          {"problem", ValidUtf8(info.diagnosis.problem)},
          {"private_allocator", ValidUtf8(info.private_allocator)}};
}

Json ThreadJson(const ThreadInfo& info) {
  Json json = {{"name", ValidUtf8(info.thread->name)},
               {"tid", info.thread->tid},
               {"threads_served", info.thread->threads_served},
               {"kind", static_cast<uint32_t>(info.thread->kind)}};
  json.update(CountersJson(info.counters));
  return json;
}

Json SnapshotJson(const RecordedSnapshot& snapshot) {
  return {{"label", ValidUtf8(snapshot.label)},
          {"monotonic_ns", snapshot.monotonic_ns},
          {"live_bytes", snapshot.live_bytes},
          {"peak_bytes", snapshot.peak_bytes},
          {"rss_bytes", snapshot.rss_bytes},
          {"container_usage_bytes", snapshot.container_usage_bytes},
          {"container_limit_bytes", snapshot.container_limit_bytes},
          {"rows", snapshot.rows == format::kRowsNotGiven ? Json(nullptr) : Json(snapshot.rows)}};
}

template <typename Range, typename ToJson>
Json ArrayOf(const Range& range, const ToJson& to_json) {
  Json array = Json::array();
  for (const auto& element : range) array.push_back(to_json(element));
  return array;
}

Json FrameJson(const NamedFrame& frame) {
  Json locations = ArrayOf(frame.locations, [](const SourceLocation& location) {
    return Json{{"function", ValidUtf8(location.function)},
                {"file", ValidUtf8(location.file)},
                {"line", location.line},
                {"inlined", location.inlined}};
  });
  return {{"address", frame.address}, {"module", ValidUtf8(frame.module)}, {"locations", std::move(locations)}};
}

Json DifferenceJson(const Difference& difference) {
  return {{"common_frames", difference.common()},
          {"tracer", ArrayOf(difference.ours, FrameJson)},
          {"libunwind", ArrayOf(difference.theirs, FrameJson)}};
}

}  // namespace

std::string RenderInfo(const RecordingInfo& info) {
  return RenderProcess(info) + RenderLedger(info) + RenderModules(info) + RenderThreads(info) + RenderLabels(info) +
         RenderTracer(info) + RenderDifferentStacks(info) + RenderNotSeen(info);
}

std::string RenderInfoJson(const RecordingInfo& info) {
  const Recording& recording = info.target->recording;
  const format::FileHeader& header = recording.header();
  const Json document = {
      {"schema", "allocline.info/1"},
      {"recording", ValidUtf8(recording.path())},
      {"format", {{"major", header.major}, {"minor", header.minor}}},
      {"file_bytes", recording.file_bytes()},
      {"program", ValidUtf8(header.program)},
      {"pid", header.pid},
      {"parent_pid", header.parent_pid},
      {"host", ValidUtf8(header.host)},
      {"allocator", ValidUtf8(header.allocator)},
      {"start_realtime_ns", header.start_realtime_ns},
      {"running", info.running},
      {"exited", (header.state & format::kStateEndedByItself) != 0},
      {"stands_alone", (header.flags & format::kFlagSnapshot) != 0},
      {"live_bytes", info.summary.live_bytes},
      {"live_blocks", info.summary.live_blocks},
      {"peak_bytes", info.summary.peak_bytes},
      {"without_stack", WithoutStackJson(info.summary)},
      {"domains", DomainsJson(info.summary)},
      {"python", PythonJson(info.summary)},
      {"elapsed_ns", info.summary.elapsed_ns},
      {"memory", MemoryJson(info.summary)},
      {"ledger", LedgerJson(info.summary)},
      {"codes", recording.codes().size()},
      {"events", CountersJson(info.events)},
      {"modules", ArrayOf(info.modules, ModuleJson)},
      {"threads", ArrayOf(info.threads, ThreadJson)},
      {"labels", ArrayOf(recording.snapshots(), SnapshotJson)},
      {"tracer",
       {{"private_bytes", header.tracer_private_bytes},
        {"pointer_map_bytes", header.pointer_map_bytes},
        {"budget_bytes", header.tracer_budget_bytes},
        {"sample_interval_bytes", header.sample_interval_bytes},
        {"timed_allocations", CostJson(info.timed_allocations)},
        {"timed_frees", CostJson(info.timed_frees)},
        {"verified_stacks", header.verified_stacks},
        {"different_stacks", header.different_stacks},
        {"tables", ArrayOf(info.tables,
                           [](const TableInfo& table) {
                             return Json{{"name", table.name},
                                         {"used_bytes", table.used_bytes},
                                         {"capacity_bytes", table.capacity_bytes}};
                           })}}},
      {"differences", ArrayOf(info.differences, DifferenceJson)},
      {"not_seen", ArrayOf(info.not_seen, [](const std::string& sentence) { return Json(ValidUtf8(sentence)); })}};
  return document.dump(2) + "\n";
}

}  // namespace allocline
