#include "report/summary_json.h"

#include <cmath>
#include <string_view>

#include "report/escape.h"
#include "report/filter.h"
#include "report/group_json.h"
#include "report/ledger.h"
#include "report/notes.h"
#include "report/python_state.h"
#include "report/statistics.h"

namespace allocline {

using Json = nlohmann::ordered_json;

namespace {

Json DropsJson(const ProfileSummary& summary) {
  Json drops = Json::array();
  for (uint32_t i = 0; i < summary.drops.size(); ++i) {
    const format::Drop& drop = summary.drops[i];
    if (drop.events == 0 && drop.bytes == 0) continue;
    drops.push_back({{"reason", DropReasonName(static_cast<format::DropReason>(i))},
                     {"events", drop.events},
                     {"bytes", drop.bytes}});
  }
  return drops;
}

Json StepJson(uint64_t interval_bytes, uint64_t after_ns, uint64_t live_bytes) {
  return {{"interval_bytes", KnownOrNull(interval_bytes)}, {"after_ns", after_ns}, {"live_bytes", live_bytes}};
}

// "exact", and since when it is that no longer.
Json ModeJson(const ProfileSummary& summary) {
  const bool sampled = (summary.state & format::kStateSampled) != 0;
  const bool totals_only = (summary.state & format::kStateTotalsOnly) != 0;
  return {{"name", totals_only ? "totals"
                   : sampled   ? "sampled"
                               : "exact"},
          {"sampled",
           sampled ? StepJson(summary.sample_interval_bytes, summary.sampled_after_ns, summary.sampled_live_bytes)
                   : Json(nullptr)},
          {"totals", totals_only ? StepJson(0, summary.totals_after_ns, summary.totals_live_bytes) : Json(nullptr)},
          {"tracer_budget_bytes", KnownOrNull(summary.tracer_budget_bytes)}};
}

// Null where the profile is of one process.
Json ProcessesJson(const ProfileSummary& summary) {
  if (!summary.by_process) return nullptr;
  Json processes = Json::array();
  for (const ProcessShare& process : summary.processes) {
    processes.push_back({{"recording", TextJson(process.recording)},
                         {"program", TextJson(process.program)},
                         {"pid", process.pid},
                         {"label", process.label ? TextJson(*process.label) : Json(nullptr)},
                         {"at_peak", process.at_peak},
                         {"running", process.running},
                         {"exited", process.exited},
                         {"live_bytes", process.live_bytes},
                         {"live_blocks", process.live_blocks},
                         {"inherited_bytes", process.inherited_bytes},
                         {"inherited_blocks", process.inherited_blocks},
                         {"peak_bytes", process.peak_bytes},
                         {"rss_bytes", KnownOrNull(process.rss_bytes)},
                         {"pss_bytes", KnownOrNull(process.pss_bytes)}});
  }
  return processes;
}

}  // namespace

Json PythonJson(const ProfileSummary& summary) {
  if (summary.python_version == 0 && summary.python_state == 0) return nullptr;
  const bool arenas_known = summary.python_arena_bytes != 0;
  return {{"version", summary.python_version == 0 ? Json(nullptr) : Json(PythonVersionText(summary.python_version))},
          {"runtime", summary.python_runtime.empty() ? Json(nullptr) : Json(ValidUtf8(summary.python_runtime))},
          {"state", PythonStateNames(summary.python_state)},
          {"arena_bytes", arenas_known ? Json(summary.python_arena_bytes) : Json(nullptr)},
          {"live_in_arenas_bytes", arenas_known ? Json(summary.python_small_bytes) : Json(nullptr)}};
}

Json WithoutStackJson(const ProfileSummary& summary) {
  return {{"live_bytes", summary.without_stack_bytes}, {"live_blocks", summary.without_stack_blocks}};
}

Json DomainsJson(const ProfileSummary& summary) {
  Json domains = Json::array();
  for (const DomainSum& sum : summary.domains) {
    domains.push_back({{"name", DomainName(sum.domain)},
                       {"domain", sum.domain},
                       {"live_bytes", sum.live_bytes},
                       {"live_bytes_error", std::llround(ErrorBound(sum.variance))},
                       {"live_blocks", sum.live_blocks}});
  }
  return domains;
}

Json MemoryJson(const ProfileSummary& summary) {
  return {{"rss_bytes", KnownOrNull(summary.rss_bytes)},
          {"pss_bytes", KnownOrNull(summary.pss_bytes)},
          {"container_usage_bytes", KnownOrNull(summary.container_usage_bytes)},
          {"container_limit_bytes", KnownOrNull(summary.container_limit_bytes)},
          {"tracer_bytes", summary.tracer_bytes}};
}

Json LedgerJson(const ProfileSummary& summary) {
  if (!summary.ledger) return nullptr;
  const format::LedgerRecord& figures = summary.ledger->figures;
  const LedgerView view = MakeLedgerView(*summary.ledger);
  Json parts = Json::array(), largest = Json::array();
  for (const LedgerRow& row : view.rows) {
    parts.push_back({{"part", LedgerPartName(row.part)},
                     {"object", TextOrNullJson(row.object)},
                     {"rss_bytes", row.rss_bytes},
                     {"container_bytes", view.container_bytes ? Json(row.container_bytes) : Json(nullptr)}});
  }
  for (const RecordedLedger::Item& item : summary.ledger->items) {
    largest.push_back({{"kind", LedgerItemName(item.kind)}, {"path", TextJson(item.path)}, {"bytes", item.bytes}});
  }
  const bool pages_known = figures.free_page_bytes != format::kNotCounted;
  return {{"after_ns", summary.ledger_after_ns},
          {"rss_bytes", figures.rss_bytes},
          {"container_bytes", view.container_bytes ? Json(*view.container_bytes) : Json(nullptr)},
          {"parts", std::move(parts)},
          {"largest", std::move(largest)},
          {"regions_known", (figures.flags & format::kLedgerNoRegions) == 0},
          {"traced", {{"live_bytes", figures.traced_bytes}, {"untouched_bytes", figures.untouched_bytes}}},
          {"allocator",
           {{"resident_bytes", figures.heap_bytes},
            {"brk_bytes", figures.brk_bytes},
            {"arena_bytes", figures.arena_bytes},
            {"arenas", figures.arenas},
            {"mapped_block_bytes", figures.block_bytes},
            {"free_page_bytes", pages_known ? Json(figures.free_page_bytes) : Json(nullptr)},
            {"with_all_anonymous", (figures.flags & format::kLedgerWholeHeap) != 0},
            {"python_arena_bytes", figures.python_arena_bytes},
            {"python_live_bytes", figures.python_live_bytes}}},
          {"stacks", figures.stacks},
          {"tracer",
           {{"recording_bytes", figures.own_recording_bytes},
            {"pointer_map_bytes", figures.own_map_bytes},
            {"table_bytes", figures.own_private_bytes},
            {"code_bytes", figures.own_code_bytes}}},
          {"swapped_bytes", figures.swapped_bytes}};
}

Json ProfileJson(const Profile& profile, LineOf line_of) {
  const ProfileSummary& summary = profile.summary();
  ResolutionShares shares = ComputeResolution(profile, line_of);
  Json notes = Json::array();
  for (const std::string& note : NotesOf(summary)) notes.push_back(TextJson(note));
  return {
      {"recording", TextJson(summary.recording)},
      {"label", summary.label ? TextJson(*summary.label) : Json(nullptr)},
      {"at_peak", summary.at_peak},
      {"program", TextJson(summary.program)},
      {"pid", summary.pid},
      {"host", TextJson(summary.host)},
      {"allocator", TextOrNullJson(summary.allocator)},
      {"running", summary.running},
      {"exited", (summary.state & format::kStateEndedByItself) != 0},
      {"elapsed_ns", KnownOrNull(summary.elapsed_ns)},
      {"rows", summary.rows == format::kRowsNotGiven ? Json(nullptr) : Json(summary.rows)},
      {"traced",
       {{"live_bytes", summary.live_bytes},
        {"live_blocks", summary.live_blocks},
        {"peak_bytes", summary.peak_bytes},
        {"peak_slack_bytes", summary.peak_slack_bytes}}},
      {"without_stack", WithoutStackJson(summary)},
      {"domains", DomainsJson(summary)},
      {"python", PythonJson(summary)},
      {"memory", MemoryJson(summary)},
      {"ledger", LedgerJson(summary)},
      {"mode", ModeJson(summary)},
      {"resolved",
       {{"live_bytes", shares.live_bytes},
        {"line_bytes", shares.line_bytes},
        {"function_bytes", shares.function_bytes},
        {"module_bytes", shares.module_bytes},
        {"none_bytes", shares.none_bytes}}},
      {"dropped", DropsJson(summary)},
      {"overflow_bytes", summary.overflow_bytes},
      {"shared_bytes", summary.by_thread ? Json(summary.shared_bytes) : Json(nullptr)},
      {"inherited_bytes", summary.inherited_bytes},
      {"processes", ProcessesJson(summary)},
      {"notes", std::move(notes)},
  };
}

}  // namespace allocline
