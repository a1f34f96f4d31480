#include "tests/recording/format_example.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <vector>

namespace allocline {

RecordingBuilder FormatExample() {
  RecordingBuilder builder;
  format::FileHeader& header = builder.header();
  header.machine = 62;
  header.state = format::kStateActive;
  header.pid = 4711;
  header.parent_pid = 4700;
  header.start_monotonic_ns = 1'000'000'000;
  header.live_bytes = 4096;
  header.peak_bytes = 8192;
  header.peak_slack_bytes = 65536;
  header.peak_epoch = 1;
  strcpy(header.program, "/app/connector");
  strcpy(header.allocator, "/lib/libc.so.6");

  builder.AddModule({.start = 0x401000,
                     .end = 0x402000,
                     .load_bias = 0,
                     .loaded_ns = 1'000'500'000,
                     .build_id = "\xc0\xff\xee\x11",
                     .path = "/app/connector",
                     .segments = {{.vaddr = 0x401000, .memory_bytes = 0x1000, .file_offset = 0x1000}}});
  // main() at 0x401234 called Fetch() at 0x401456, which allocated; and once main() allocated itself.
  const SiteId in_fetch = builder.AddSite(std::vector<format::Frame>{0x401456, 0x401234});
  const SiteId in_main = builder.AddSite(std::vector<format::Frame>{0x401240});
  const size_t main = builder.AddThread({.tid = 4711, .threads_served = 1, .name = "connector"});
  builder.AddCounters(main, in_fetch, {.allocated_bytes = 8192, .allocated_blocks = 2, .freed_bytes = 0});
  builder.AddSnapshotOfNow({.label = "fetched", .monotonic_ns = 2'000'000'000, .live_bytes = 8192, .peak_bytes = 8192});
  builder.AddCounters(main, in_fetch, {.freed_bytes = 4096, .freed_blocks = 1});
  builder.AddCounters(main, in_main,
                      {.allocated_bytes = 300, .allocated_blocks = 1, .freed_bytes = 300, .freed_blocks = 1});
  return builder;
}

std::string HexDump(std::string_view bytes) {
  std::string dump;
  for (size_t offset = 0; offset < bytes.size(); offset += 16) {
    const std::string_view line = bytes.substr(offset, 16);
    if (line.find_first_not_of('\0') == std::string_view::npos) continue;
    std::string numbers, letters;
    for (size_t i = 0; i < line.size(); ++i) {
      const auto byte = static_cast<unsigned char>(line[i]);
      numbers += fmt::format("{}{:02x}", i == 8 ? "  " : " ", byte);
      letters += byte >= 0x20 && byte < 0x7f ? line[i] : '.';
    }
    dump += fmt::format("{:08x} {}  |{}|\n", offset, numbers, letters);
  }
  return dump;
}

}  // namespace allocline
