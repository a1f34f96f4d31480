// A program that was never run: calls with names, threads that allocate and free, snapshots, a peak; and the recording
// that it would have left, which carries its own symbols.
#ifndef ALLOCLINE_TESTS_REPORT_MADE_UP_PROGRAM_H_
#define ALLOCLINE_TESTS_REPORT_MADE_UP_PROGRAM_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "recording/builder.h"
#include "recording/reader.h"
#include "report/explain.h"
#include "report/load_profile.h"
#include "report/profile.h"

namespace allocline::testing {

// A call: of the program itself, or of a library, which then has no lines.
struct Call {
  std::string function;
  std::string file = {};
  uint32_t line = 0;
  std::string library = {};
  bool operator<(const Call& other) const {
    return std::tie(function, file, line, library) < std::tie(other.function, other.file, other.line, other.library);
  }
};
// "std::vector<...>::push_back" and its like stand in headers of the system's.
inline Call Std(const std::string& function) { return {function, "/usr/include/c++/12/bits/some.h", 100}; }
inline Call Own(const std::string& function, uint32_t line) { return {function, "/src/sync/sync.cc", line}; }
inline Call Lib(const std::string& function, const std::string& library) { return {function, "", 0, library}; }

class MadeUpProgram {
 public:
  static constexpr uint32_t kPid = 4711;

  MadeUpProgram() {
    std::strcpy(builder_.header().program, "/src/sync/build/sync");
    builder_.header().pid = kPid;
    builder_.header().start_monotonic_ns = 1'000'000'000;
    builder_.AddModule({.start = 0x100000, .end = 0x200000, .load_bias = 0, .path = "/src/sync/build/sync"});
    AddThread("sync");
  }

  RecordingBuilder& builder() { return builder_; }
  void SetLimit(uint64_t bytes) { builder_.header().container_limit_bytes = limit_ = bytes; }

  // Thread 0 is the first one.
  size_t AddThread(const std::string& name) {
    const auto tid = static_cast<uint32_t>(kPid + threads_++);
    return builder_.AddThread({.tid = tid, .threads_served = 1, .name = name});
  }

  // Most recent first; main comes by itself.
  SiteId Site(std::vector<Call> calls) {
    calls.push_back(Own("main", 1));
    std::vector<format::Frame> frames;
    for (const Call& call : calls) frames.push_back(FrameOf(call));
    return builder_.AddSite(frames);
  }

  void Allocate(SiteId site, uint64_t bytes, uint64_t blocks = 1, size_t thread = 0) {
    builder_.AddCounters(thread, site, {.allocated_bytes = bytes, .allocated_blocks = blocks});
    auto& live = live_[site];
    live.first += bytes, live.second += blocks;
    total_ += bytes;
    if (total_ <= peak_) return;
    peak_ = total_;
    // Copies are made at one peak in a hundred, as the tracer does.
    if (static_cast<double>(peak_) >= 1.01 * static_cast<double>(copied_)) CopyPeak();
  }
  void Free(SiteId site, uint64_t bytes, uint64_t blocks = 1, size_t thread = 0) {
    builder_.AddCounters(thread, site, {.freed_bytes = bytes, .freed_blocks = blocks});
    auto& live = live_[site];
    live.first -= bytes, live.second -= blocks;
    total_ -= bytes;
  }
  void FreeAll(SiteId site, size_t thread = 0) {
    const auto live = live_[site];
    if (live.second > 0) Free(site, live.first, live.second, thread);
  }
  uint64_t live_bytes() const { return total_; }

  void Snapshot(const std::string& label, format::SnapshotKind kind = format::SnapshotKind::kCheckpoint) {
    builder_.AddSnapshotOfNow({.label = label, .monotonic_ns = Tick(), .container_limit_bytes = limit_, .kind = kind});
  }
  // It frees everything and ends by itself.
  void Exit() {
    std::vector<SiteId> sites;
    for (const auto& [site, live] : live_) sites.push_back(site);
    for (const SiteId site : sites) FreeAll(site);
    builder_.header().state |= format::kStateExited;
  }

  std::string Bytes() {
    builder_.header().peak_bytes = std::max(peak_, total_);
    builder_.header().live_bytes = total_;
    builder_.header().end_monotonic_ns = Tick();
    if (copied_ > 0) builder_.SetPeakCopy(copy_);
    return builder_.Build();
  }

 private:
  uint64_t Tick() { return now_ += 100'000'000; }
  void CopyPeak() {
    copied_ = peak_;
    copy_ = {.monotonic_ns = now_ + 1, .live_bytes = peak_, .live = {}};
    for (const auto& [site, live] : live_) {
      if (live.second > 0) {
        copy_.live.emplace_back(site, SiteCounters{.allocated_bytes = live.first, .allocated_blocks = live.second});
      }
    }
  }
  format::Frame FrameOf(const Call& call) {
    const auto [entry, is_new] = frames_.try_emplace(call, 0);
    if (!is_new) return entry->second;
    uint64_t base = 0x100000;
    if (!call.library.empty()) {
      const auto [library, first] = libraries_.try_emplace(call.library, 0x10000000 + 0x100000 * libraries_.size());
      base = library->second;
      if (first) {
        builder_.AddModule(
            {.start = base, .end = base + 0x100000, .load_bias = base, .path = "/usr/lib/" + call.library});
      }
    }
    entry->second = base + 0x10 * ++offsets_[base] + 1;
    builder_.AddSymbol(
        {.frame = entry->second,
         .level = static_cast<uint32_t>(call.file.empty() ? ResolutionLevel::kSymbol : ResolutionLevel::kLine),
         .locations = {{.function = call.function, .file = call.file, .line = call.line}}});
    return entry->second;
  }

  RecordingBuilder builder_;
  uint64_t limit_ = 0, now_ = 1'000'000'000;
  uint64_t total_ = 0, peak_ = 0, copied_ = 0;
  size_t threads_ = 0;
  std::map<SiteId, std::pair<uint64_t, uint64_t>> live_;
  RecordedPeak copy_;
  std::map<Call, format::Frame> frames_;
  std::map<std::string, uint64_t> libraries_;
  std::map<uint64_t, uint64_t> offsets_;
};

// What explain says of it.
struct Explained {
  Recording recording;
  Profile profile;
  Explanation explanation;

  // The first finding's cause, or "none".
  std::string_view cause() const {
    return explanation.findings.empty() ? "none" : TextOf(explanation.findings.front().judgement.cause).name;
  }
  // "sync.cc:22" without its directory; empty without a finding.
  std::string line() const {
    if (explanation.findings.empty()) return "";
    const std::string text = Str(explanation.findings.front().line().group);
    return text.substr(text.rfind('/') + 1);
  }
};
inline std::unique_ptr<Explained> ExplainBytes(const std::string& bytes, EvidenceOptions options = {}) {
  auto explained = std::make_unique<Explained>();
  explained->recording = Recording::Parse(bytes, "made up").value();
  SiteMap sites;
  explained->profile = LoadProfile(explained->recording, nullptr, {}, &sites).value();
  options.read_sources = false;
  explained->explanation = ExplainRecording(explained->recording, explained->profile, sites, options).value();
  return explained;
}

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_REPORT_MADE_UP_PROGRAM_H_
