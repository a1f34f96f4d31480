#include "tools/recording_info.h"

#include <fmt/format.h>

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "recording/table_map.h"
#include "report/escape.h"
#include "report/load_profile.h"
#include "report/notes.h"
#include "report/resolve_frames.h"
#include "tools/program_check.h"
#include "tools/recording_files.h"

namespace allocline {
namespace {

void Count(ResolutionLevel level, Resolution* resolution) {
  if (level == ResolutionLevel::kLine) {
    ++resolution->lines;
  } else if (level >= ResolutionLevel::kDynamic) {
    ++resolution->functions;
  } else {
    ++resolution->unresolved;
  }
}

std::vector<ModuleInfo> GatherModules(const Recording& recording, Symbolizer* symbolizer) {
  std::vector<format::Frame> frames;
  for (const RecordedNode& node : recording.nodes()) {
    if (node.frame != 0 && !format::IsVirtual(node.frame)) frames.push_back(node.frame);
  }
  absl::flat_hash_map<const RecordedModule*, Resolution> resolutions;
  ResolveFrames(recording, symbolizer, std::move(frames),
                [&](format::Frame, const RecordedModule* module, const ResolvedAddress& resolved) {
                  if (module != nullptr) Count(resolved.level, &resolutions[module]);
                });

  const bool stands_alone = (recording.header().flags & format::kFlagSnapshot) != 0;
  std::vector<ModuleInfo> modules;
  for (const RecordedModule& module : recording.modules()) {
    ModuleInfo info{.module = &module, .resolution = resolutions[&module]};
    if (symbolizer != nullptr && !stands_alone) {
      info.diagnosis = symbolizer->Diagnose({.path = module.path, .build_id = module.build_id});
      info.private_allocator = FindPrivateAllocator(module.path).value_or("");
    }
    modules.push_back(std::move(info));
  }
  return modules;
}

std::vector<ThreadInfo> GatherThreads(const Recording& recording) {
  std::vector<ThreadInfo> threads;
  for (const RecordedThread& thread : recording.threads()) {
    ThreadInfo info{.thread = &thread, .counters = {}};
    for (const auto& [site, counters] : thread.counters) {
      if (recording.SampleInterval(site) == 0) info.counters += counters;
    }
    if (thread.kind == format::ThreadKind::kOrphans && !info.counters.any()) continue;  // as it should be
    threads.push_back(info);
  }
  return threads;
}

std::vector<TableInfo> GatherTables(const format::FileHeader& header) {
  std::vector<TableInfo> tables;
  for (uint32_t kind = 1; kind < format::kTableCount; ++kind) {
    const format::TableHead& head = header.tables[kind];
    const std::string_view name = TableName(static_cast<format::TableKind>(kind));
    if (head.used > 0) tables.push_back({name, head.used, head.capacity});
  }
  return tables;
}

// Notes on the numbers, and the modules that allocate behind the tracer's back.
std::vector<std::string> GatherNotSeen(const ProfileSummary& summary, const std::vector<ModuleInfo>& modules) {
  std::vector<std::string> sentences = NotesOf(summary);
  if (const std::string drops = DropsText(summary); drops != "nothing") sentences.push_back(drops);
  for (const ModuleInfo& info : modules) {
    if (info.private_allocator.empty()) continue;
    sentences.push_back(fmt::format("{} carries a private allocator ({}): what it takes from that is not recorded",
                                    Printable(info.module->path), Printable(info.private_allocator)));
  }
  return sentences;
}

}  // namespace

absl::StatusOr<RecordingInfo> GatherInfo(const Target& target, Symbolizer* symbolizer) {
  RecordingInfo info;
  info.target = &target;
  info.running = target.process.has_value();
  ASSIGN_OR_RETURN(
      const Profile profile,
      LoadProfile(target.recording, nullptr, {.snapshot = target.moment.snapshot, .at_peak = target.moment.at_peak}));
  info.summary = WithPresentFigures(target, profile.summary());
  info.modules = GatherModules(target.recording, symbolizer);
  info.threads = GatherThreads(target.recording);
  for (const ThreadInfo& thread : info.threads) {
    info.events += thread.counters;
    info.timed_allocations += thread.thread->timed_allocations;
    info.timed_frees += thread.thread->timed_frees;
  }
  info.tables = GatherTables(target.recording.header());
  info.differences = NameDifferences(target.recording, symbolizer);
  info.not_seen = GatherNotSeen(info.summary, info.modules);
  return info;
}

}  // namespace allocline
