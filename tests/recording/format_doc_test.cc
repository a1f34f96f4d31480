// docs/recording-format.md shows bytes and sizes. They are those of today's code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "recording/format.h"
#include "tests/recording/format_example.h"

namespace allocline {
namespace {

std::string Document() {
  std::ifstream file(ALLOCLINE_SOURCE_DIR "/docs/recording-format.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The lines of the document that look like a line of a dump, in their order.
std::string DumpIn(const std::string& document) {
  static const std::regex line("(^|\n)([0-9a-f]{8}  ([0-9a-f]{2} ){8} ([0-9a-f]{2} ){8} \\|.{16}\\|)");
  std::string dump;
  for (std::sregex_iterator it(document.begin(), document.end(), line), end; it != end; ++it) dump += it->str(2) + "\n";
  return dump;
}

TEST(FormatDocTest, TheDumpIsWhatTheExampleIsToday) { EXPECT_EQ(DumpIn(Document()), HexDump(FormatExample().Build())); }

struct Field {
  std::string name;  // "Record.field"
  size_t offset, bytes;
  bool operator==(const Field&) const = default;
};
void PrintTo(const Field& field, std::ostream* out) {
  *out << field.name << " at " << field.offset << ", " << field.bytes << " bytes";
}

#define FIELD(record, field) \
  Field { #record "." #field, offsetof(format::record, field), sizeof(format::record::field) }

std::vector<Field> FieldsOfTheCode() {
  return {
      FIELD(FileHeader, magic),
      FIELD(FileHeader, major),
      FIELD(FileHeader, minor),
      FIELD(FileHeader, byte_order),
      FIELD(FileHeader, header_bytes),
      FIELD(FileHeader, machine),
      FIELD(FileHeader, flags),
      FIELD(FileHeader, state),
      FIELD(FileHeader, pid),
      FIELD(FileHeader, parent_pid),
      FIELD(FileHeader, process_start_ticks),
      FIELD(FileHeader, start_realtime_ns),
      FIELD(FileHeader, start_monotonic_ns),
      FIELD(FileHeader, end_monotonic_ns),
      FIELD(FileHeader, run_id),
      FIELD(FileHeader, boot_id),
      FIELD(FileHeader, program),
      FIELD(FileHeader, host),
      FIELD(FileHeader, allocator),
      FIELD(FileHeader, live_bytes),
      FIELD(FileHeader, peak_bytes),
      FIELD(FileHeader, peak_monotonic_ns),
      FIELD(FileHeader, peak_slack_bytes),
      FIELD(FileHeader, peak_epoch),
      FIELD(FileHeader, first_errno),
      FIELD(FileHeader, sample_monotonic_ns),
      FIELD(FileHeader, rss_bytes),
      FIELD(FileHeader, container_usage_bytes),
      FIELD(FileHeader, container_limit_bytes),
      FIELD(FileHeader, tracer_private_bytes),
      FIELD(FileHeader, pointer_map_bytes),
      FIELD(FileHeader, nested_events),
      FIELD(FileHeader, truncated_stacks),
      FIELD(FileHeader, drops),
      FIELD(FileHeader, extent_count),
      FIELD(FileHeader, reserved0),
      FIELD(FileHeader, file_bytes),
      FIELD(FileHeader, tables),
      FIELD(FileHeader, verified_stacks),
      FIELD(FileHeader, different_stacks),
      FIELD(FileHeader, sample_interval_bytes),
      FIELD(FileHeader, sampled_ns),
      FIELD(FileHeader, sampled_live_bytes),
      FIELD(FileHeader, totals_ns),
      FIELD(FileHeader, totals_live_bytes),
      FIELD(FileHeader, tracer_budget_bytes),
      FIELD(FileHeader, peak_copies),
      FIELD(FileHeader, peak_copy_ns),
      FIELD(FileHeader, python_version),
      FIELD(FileHeader, python_state),
      FIELD(FileHeader, python_arena_bytes),
      FIELD(FileHeader, python_runtime),
      FIELD(FileHeader, directory),
      FIELD(FileHeader, emulated_limit_bytes),
      FIELD(FileHeader, oom_kills_at_start),
      FIELD(FileHeader, failed_allocations),
      FIELD(FileHeader, failed_bytes),
      FIELD(FileHeader, too_large_requests),
      FIELD(FileHeader, too_large_bytes),
      FIELD(FileHeader, timeline_points),
      FIELD(FileHeader, watch_ns),
      FIELD(FileHeader, checkpoints),
      FIELD(FileHeader, checkpoints_left_out),
      FIELD(FileHeader, rungs_left_out),
      FIELD(FileHeader, container_version),
      FIELD(FileHeader, reserved1),
      FIELD(FileHeader, ladder),
      FIELD(FileHeader, container_path),
      FIELD(PeakCopy, sequence),
      FIELD(PeakCopy, live_bytes),
      FIELD(PeakCopy, monotonic_ns),
      FIELD(PeakCopy, site_count),
      FIELD(PeakCopy, epoch),
      FIELD(Extent, kind),
      FIELD(Extent, reserved),
      FIELD(Extent, table_offset),
      FIELD(Extent, file_offset),
      FIELD(Extent, bytes),
      FIELD(ModuleRecord, record_bytes),
      FIELD(ModuleRecord, generation),
      FIELD(ModuleRecord, start),
      FIELD(ModuleRecord, end),
      FIELD(ModuleRecord, load_bias),
      FIELD(ModuleRecord, loaded_ns),
      FIELD(ModuleRecord, unloaded_ns),
      FIELD(ModuleRecord, segment_count),
      FIELD(ModuleRecord, build_id_bytes),
      FIELD(ModuleRecord, path_bytes),
      FIELD(CodeRecord, record_bytes),
      FIELD(CodeRecord, first_line),
      FIELD(CodeRecord, line_table_kind),
      FIELD(CodeRecord, file_bytes),
      FIELD(CodeRecord, name_bytes),
      FIELD(CodeRecord, line_table_bytes),
      FIELD(NodeRecord, parent),
      FIELD(NodeRecord, site),
      FIELD(NodeRecord, frame),
      FIELD(SiteRecord, node),
      FIELD(ThreadRecord, kind),
      FIELD(ThreadRecord, tid),
      FIELD(ThreadRecord, threads_served),
      FIELD(ThreadRecord, peak_epoch),
      FIELD(ThreadRecord, name),
      FIELD(ThreadRecord, pending_bytes),
      FIELD(ThreadRecord, pending_peak),
      FIELD(ThreadRecord, counted_bytes),
      FIELD(ThreadRecord, python_small_bytes),
      FIELD(ThreadRecord, timed_allocations),
      FIELD(ThreadRecord, timed_allocation_ns),
      FIELD(ThreadRecord, timed_frees),
      FIELD(ThreadRecord, timed_free_ns),
      FIELD(ThreadRecord, reserved),
      FIELD(ChunkOwner, thread_plus_one),
      FIELD(ChunkOwner, group),
      FIELD(CounterChunk, counters),
      FIELD(PeakSite, bytes),
      FIELD(PeakSite, blocks),
      FIELD(SnapshotRecord, record_bytes),
      FIELD(SnapshotRecord, label_bytes),
      FIELD(SnapshotRecord, entry_count),
      FIELD(SnapshotRecord, payload_bytes),
      FIELD(SnapshotRecord, monotonic_ns),
      FIELD(SnapshotRecord, live_bytes),
      FIELD(SnapshotRecord, peak_bytes),
      FIELD(SnapshotRecord, rss_bytes),
      FIELD(SnapshotRecord, container_usage_bytes),
      FIELD(SnapshotRecord, container_limit_bytes),
      FIELD(SnapshotRecord, rows),
      FIELD(SnapshotTail, kind),
      FIELD(SnapshotTail, ledger_bytes),
      FIELD(TimelineRecord, sequence),
      FIELD(TimelineRecord, monotonic_ns),
      FIELD(TimelineRecord, live_bytes),
      FIELD(TimelineRecord, rss_bytes),
      FIELD(TimelineRecord, container_usage_bytes),
      FIELD(TimelineRecord, container_limit_bytes),
      FIELD(LedgerRecord, sequence),
      FIELD(LedgerRecord, record_bytes),
      FIELD(LedgerRecord, item_count),
      FIELD(LedgerRecord, flags),
      FIELD(LedgerRecord, stacks),
      FIELD(LedgerRecord, arenas),
      FIELD(LedgerRecord, processors),
      FIELD(LedgerRecord, monotonic_ns),
      FIELD(LedgerRecord, rss_bytes),
      FIELD(LedgerRecord, anonymous_bytes),
      FIELD(LedgerRecord, swapped_bytes),
      FIELD(LedgerRecord, traced_bytes),
      FIELD(LedgerRecord, untouched_bytes),
      FIELD(LedgerRecord, heap_bytes),
      FIELD(LedgerRecord, brk_bytes),
      FIELD(LedgerRecord, arena_bytes),
      FIELD(LedgerRecord, block_bytes),
      FIELD(LedgerRecord, free_page_bytes),
      FIELD(LedgerRecord, python_arena_bytes),
      FIELD(LedgerRecord, python_live_bytes),
      FIELD(LedgerRecord, outside_heap_bytes),
      FIELD(LedgerRecord, stack_bytes),
      FIELD(LedgerRecord, module_data_bytes),
      FIELD(LedgerRecord, mapped_by_code_bytes),
      FIELD(LedgerRecord, unknown_bytes),
      FIELD(LedgerRecord, file_bytes),
      FIELD(LedgerRecord, shared_bytes),
      FIELD(LedgerRecord, own_private_bytes),
      FIELD(LedgerRecord, own_map_bytes),
      FIELD(LedgerRecord, own_recording_bytes),
      FIELD(LedgerRecord, own_code_bytes),
      FIELD(LedgerRecord, container_usage_bytes),
      FIELD(LedgerRecord, container_limit_bytes),
      FIELD(LedgerRecord, container_anonymous_bytes),
      FIELD(LedgerRecord, container_file_bytes),
      FIELD(LedgerRecord, container_shared_bytes),
      FIELD(LedgerRecord, container_kernel_bytes),
      FIELD(LedgerItem, kind),
      FIELD(LedgerItem, path_bytes),
      FIELD(LedgerItem, bytes),
      FIELD(SymbolRecord, record_bytes),
      FIELD(SymbolRecord, location_count),
      FIELD(SymbolRecord, frame),
      FIELD(SymbolRecord, level),
      FIELD(SymbolRecord, string_bytes),
      FIELD(SymbolLocation, function_offset),
      FIELD(SymbolLocation, function_bytes),
      FIELD(SymbolLocation, file_offset),
      FIELD(SymbolLocation, file_bytes),
      FIELD(SymbolLocation, line),
      FIELD(SymbolLocation, flags),
      FIELD(DifferenceRecord, record_bytes),
      FIELD(DifferenceRecord, our_frames),
      FIELD(DifferenceRecord, their_frames),
      FIELD(DifferenceRecord, reserved),
  };
}

// A record is headed "### `RECORD`, N bytes"; the table below has a row "| OFFSET | BYTES | `FIELD` |" for each field.
std::vector<Field> FieldsOfTheDocument(std::map<std::string, size_t>* record_bytes) {
  static const std::regex heading("^### `([A-Za-z]+)`, ([0-9]+) bytes.*");
  static const std::regex row("^\\| ([0-9]+) \\| ([0-9]+) \\| `([a-z0-9_]+)` \\|.*");
  std::vector<Field> fields;
  std::istringstream document(Document());
  std::string record;
  for (std::string line; std::getline(document, line);) {
    std::smatch match;
    if (std::regex_match(line, match, heading)) {
      record = match[1];
      (*record_bytes)[record] = std::stoul(match[2]);
    } else if (std::regex_match(line, match, row)) {
      fields.push_back({record + "." + match[3].str(), std::stoul(match[1]), std::stoul(match[2])});
    }
  }
  return fields;
}

TEST(FormatDocTest, EveryFieldIsDescribedAtItsPlace) {
  std::map<std::string, size_t> record_bytes;
  EXPECT_THAT(FieldsOfTheDocument(&record_bytes), testing::ElementsAreArray(FieldsOfTheCode()));
  EXPECT_EQ(record_bytes, (std::map<std::string, size_t>{{"FileHeader", sizeof(format::FileHeader)},
                                                         {"Extent", sizeof(format::Extent)},
                                                         {"ModuleRecord", sizeof(format::ModuleRecord)},
                                                         {"CodeRecord", sizeof(format::CodeRecord)},
                                                         {"NodeRecord", sizeof(format::NodeRecord)},
                                                         {"SiteRecord", sizeof(format::SiteRecord)},
                                                         {"ThreadRecord", sizeof(format::ThreadRecord)},
                                                         {"ChunkOwner", sizeof(format::ChunkOwner)},
                                                         {"CounterChunk", sizeof(format::CounterChunk)},
                                                         {"PeakCopy", sizeof(format::PeakCopy)},
                                                         {"PeakSite", sizeof(format::PeakSite)},
                                                         {"SnapshotRecord", sizeof(format::SnapshotRecord)},
                                                         {"SnapshotTail", sizeof(format::SnapshotTail)},
                                                         {"TimelineRecord", sizeof(format::TimelineRecord)},
                                                         {"LedgerRecord", sizeof(format::LedgerRecord)},
                                                         {"LedgerItem", sizeof(format::LedgerItem)},
                                                         {"SymbolRecord", sizeof(format::SymbolRecord)},
                                                         {"SymbolLocation", sizeof(format::SymbolLocation)},
                                                         {"DifferenceRecord", sizeof(format::DifferenceRecord)}}));
}

TEST(FormatDocTest, TheDocumentIsOfThisVersion) {
  EXPECT_THAT(Document(), testing::HasSubstr("version " + std::to_string(format::kMajorVersion) + "." +
                                             std::to_string(format::kMinorVersion)));
}

}  // namespace
}  // namespace allocline
