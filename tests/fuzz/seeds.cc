// Makes the seeds of tests/fuzz/corpus/reader: recordings by the builder, from tiny to one of everything, and damaged
// ones; and packs recordings that a traced process wrote, without the names of the machine they come from.
//
//   reader_seeds OUTPUT_DIRECTORY [RECORDING...]
//   reader_seeds --unpack PACKED OUTPUT_FILE
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "recording/builder.h"
#include "tests/fuzz/packed_bytes.h"
#include "tests/recording/random_recording.h"
#include "tests/recording/raw_recording.h"

namespace allocline {
namespace {

using format::TableKind;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteSeed(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << Pack(bytes);
}

// Two threads that share sites, growth in two snapshots, modules, names, a domain.
RecordingBuilder OneOfEverything() {
  RecordingBuilder builder;
  builder.AddModule({.start = 0x400000,
                     .end = 0x500000,
                     .build_id = "0123456789abcdef",
                     .path = "/bin/connector",
                     .segments = {{0x1000, 0x2000, 0x1000}}});
  builder.AddModule({.start = 0x7f0000000000,
                     .end = 0x7f0000200000,
                     .load_bias = 0x7f0000000000,
                     .generation = 1,
                     .path = "/lib/libplugin.so"});
  const format::Frame domain = format::MakeVirtualFrame(format::VirtualKind::kDomain, format::kDomainMmap);
  const format::Frame cut = format::MakeVirtualFrame(format::VirtualKind::kTruncated, 1);
  const format::Frame plugin = 0x7f0000000100 | uint64_t{1} << format::kGenerationShift;
  std::vector<SiteId> sites;
  for (uint64_t i = 0; i < 40; ++i) {  // more than one group of sites
    sites.push_back(builder.AddSite(std::vector<format::Frame>{0x400100 + i, plugin, 0x400200}));
  }
  sites.push_back(builder.AddSite(std::vector<format::Frame>{0x400300, domain}));
  sites.push_back(builder.AddSite(std::vector<format::Frame>{0x400300, cut}));
  for (const char* file : {"connector.py", "<string>"}) {
    const uint64_t code = builder.AddCode({.first_line = 7,
                                           .line_table_kind = format::LineTableKind::kLineTable,
                                           .file = file,
                                           .name = "update",
                                           .line_table = "\x04\x01\x06\x80"});
    sites.push_back(builder.AddSite(std::vector<format::Frame>{
        plugin, format::MakeVirtualFrame(format::VirtualKind::kPython, format::PythonPayload(code, 6)),
        format::MakeVirtualFrame(format::VirtualKind::kDomain, format::kDomainPython)}));
  }
  const size_t main = builder.AddThread({.kind = format::ThreadKind::kOrphans, .tid = 100, .name = "main"});
  const size_t worker = builder.AddThread({.tid = 101, .threads_served = 3, .name = "worker"});
  for (SiteId site : sites) builder.AddCounters(site % 2 == 0 ? main : worker, site, {site * 100, site, 50, 1});
  builder.AddSnapshotOfNow({.label = "before fetch", .live_bytes = 100, .peak_bytes = 200});
  for (SiteId site : sites) builder.AddCounters(worker, site, {1 << 20, 1, 0, 0});
  builder.AddSnapshotOfNow({.label = "after fetch", .rows = 5000, .kind = format::SnapshotKind::kCheckpoint});
  builder.AddSnapshotOfNow({.label = "limit-90%", .kind = format::SnapshotKind::kRung});
  for (uint64_t i = 1; i <= 100; ++i) {  // more than one page
    builder.AddTimelinePoint({.monotonic_ns = i * 20'000'000,
                              .live_bytes = i << 20,
                              .rss_bytes = (i + 5) << 20,
                              .container_usage_bytes = (i + 9) << 20,
                              .container_limit_bytes = 128 << 20});
  }
  RecordedLedger ledger;
  ledger.figures.rss_bytes = 100 << 20;
  ledger.items = {{.kind = format::LedgerItemKind::kMappedByCode, .bytes = 50 << 20, .path = "/usr/lib/libpool.so"},
                  {.kind = format::LedgerItemKind::kFile, .bytes = 20 << 20, .path = "/data/orders.bin"}};
  builder.SetLedger(ledger);
  builder.AddSnapshotOfNow({.label = "limit-95%", .kind = format::SnapshotKind::kRung, .ledger = ledger});
  builder.AddSymbol({.frame = plugin,
                     .level = 4,
                     .locations = {{.function = "Inner()", .file = "plugin.h", .line = 3, .inlined = true},
                                   {.function = "Outer()", .file = "plugin.cc", .line = 30}}});
  builder.SetPeakCopy({.monotonic_ns = 123, .live_bytes = 600, .live = {{2, {500, 5, 0, 0}}, {40, {100, 1, 0, 0}}}});
  builder.AddDifference({.ours = {0x400100, plugin}, .theirs = {0x400100, plugin, 0x400200}});
  return builder;
}

void WriteSeeds(const std::filesystem::path& directory) {
  WriteSeed(directory / "empty", "");
  WriteSeed(directory / "text", "#!/bin/sh\necho hello\n");
  WriteSeed(directory / "smallest", RecordingBuilder().Build());
  WriteSeed(directory / "everything", OneOfEverything().Build());
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    WriteSeed(directory / ("random-" + std::to_string(seed)), RandomRecording(seed).builder.Build());
  }
  const std::string whole = OneOfEverything().Build();
  WriteSeed(directory / "cut-in-header", whole.substr(0, 3000));
  WriteSeed(directory / "cut-in-directory", whole.substr(0, 4096 + 100));
  WriteSeed(directory / "cut-in-counters", whole.substr(0, whole.size() - 9000));
  RawRecording newer{OneOfEverything()};
  newer.header().major = 2;
  WriteSeed(directory / "newer", newer.bytes());
  RawRecording circle{OneOfEverything()};
  circle.record<format::NodeRecord>(TableKind::kNodes, 2).parent = 5;
  WriteSeed(directory / "circle", circle.bytes());
  RawRecording unfinished{OneOfEverything()};  // its process was killed while it wrote a point
  unfinished.record<format::TimelineRecord>(TableKind::kTimeline, 40).sequence = 0;
  WriteSeed(directory / "unfinished-point", unfinished.bytes());
  RawRecording overlap{OneOfEverything()};
  overlap.extent(3).file_offset = overlap.extent(2).file_offset;
  WriteSeed(directory / "overlap", overlap.bytes());
}

// A recording of a traced process.
void WriteRecorded(const std::filesystem::path& directory, const std::string& recording) {
  std::string bytes = ReadFile(recording);
  format::FileHeader header;
  if (bytes.size() < sizeof(header)) return;
  memcpy(&header, bytes.data(), sizeof(header));
  memset(header.host, 0, sizeof(header.host));
  memset(header.boot_id, 0, sizeof(header.boot_id));
  memcpy(bytes.data(), &header, sizeof(header));
  const std::string name = std::filesystem::path(recording).filename();
  WriteSeed(directory / ("recorded-" + name.substr(0, name.find('.'))), bytes);
}

}  // namespace
}  // namespace allocline

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 3 && args[0] == "--unpack") {
    std::ofstream(args[2], std::ios::binary) << allocline::Unpack(allocline::ReadFile(args[1]));
    return 0;
  }
  if (args.empty() || args[0].starts_with("-")) {
    std::cerr << "usage: reader_seeds OUTPUT_DIRECTORY [RECORDING...]\n"
                 "       reader_seeds --unpack PACKED OUTPUT_FILE\n";
    return 2;
  }
  std::filesystem::create_directories(args[0]);
  allocline::WriteSeeds(args[0]);
  for (size_t i = 1; i < args.size(); ++i) allocline::WriteRecorded(args[0], args[i]);
}
