// Made-up recordings: a program, a library, stacks in them, and what threads counted.
#ifndef ALLOCLINE_TESTS_REPORT_RECORDINGS_H_
#define ALLOCLINE_TESTS_REPORT_RECORDINGS_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "recording/builder.h"
#include "recording/reader.h"

namespace allocline {

// Two modules at chosen addresses: "/app/prog" and "/app/libdb.so", 1 MiB each, files that are not there.
class FakeRun {
 public:
  static constexpr uint64_t kModuleBytes = 1 << 20;

  FakeRun(uint64_t program_base, uint64_t library_base) : program_base_(program_base), library_base_(library_base) {
    AddModule("/app/prog", program_base);
    AddModule("/app/libdb.so", library_base);
    format::FileHeader& header = builder_.header();
    header.pid = 4711;
    header.start_monotonic_ns = 1'000'000'000;
    std::strcpy(header.program, "/app/prog");
  }

  // Return addresses of calls at these offsets of the files: what a stack holds.
  format::Frame InProgram(uint64_t offset) const { return program_base_ + offset + 1; }
  format::Frame InLibrary(uint64_t offset) const { return library_base_ + offset + 1; }

  size_t AddThread(const std::string& name, uint32_t tid) {
    return builder_.AddThread({.tid = tid, .threads_served = 1, .name = name});
  }
  void Count(size_t thread, const std::vector<format::Frame>& stack, const SiteCounters& counters) {
    builder_.AddCounters(thread, builder_.AddSite(stack), counters);
  }
  RecordingBuilder& builder() { return builder_; }
  Recording Build() const { return Recording::Parse(builder_.Build(), "made up").value(); }

 private:
  void AddModule(const std::string& path, uint64_t base) {
    builder_.AddModule({.start = base,
                        .end = base + kModuleBytes,
                        .load_bias = base,
                        .path = path,
                        .segments = {{.vaddr = 0, .memory_bytes = kModuleBytes, .file_offset = 0}}});
  }

  const uint64_t program_base_, library_base_;
  RecordingBuilder builder_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_REPORT_RECORDINGS_H_
