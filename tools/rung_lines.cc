#include "tools/rung_lines.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

#include "report/inherited.h"
#include "report/load_profile.h"
#include "report/path_text.h"
#include "report/traceback.h"
#include "tools/recording_files.h"

namespace allocline {
namespace {

constexpr size_t kMostSites = 200;       // of a recording, those that hold most
constexpr int64_t kUnnamedShare = 50;    // one part in so many may stay without a name
constexpr int64_t kSmallestShare = 100;  // lines that hold less than one part in so many are no news

struct LiveSite {
  int64_t bytes;
  SiteId site;
};

// The sites that hold most, the largest first.
std::vector<LiveSite> LargestSites(const std::vector<SiteCounters>& counters) {
  std::vector<LiveSite> sites;
  for (SiteId site = 1; site < counters.size(); ++site) {
    if (counters[site].live_bytes() > 0) sites.push_back({counters[site].live_bytes(), site});
  }
  const size_t kept = std::min(sites.size(), kMostSites);
  std::ranges::partial_sort(sites, sites.begin() + static_cast<ptrdiff_t>(kept), std::ranges::greater{},
                            &LiveSite::bytes);
  sites.resize(kept);
  return sites;
}

bool IsOfPython(format::Frame frame) {
  return format::IsVirtual(frame) && format::KindOf(frame) == format::VirtualKind::kPython;
}

std::string ShortName(const std::string& name) { return std::string(Basename(name)); }

class LineFinder {
 public:
  LineFinder(const OpenReportOptions& options, bool may_look_up, LineNames* names)
      : options_(options), symbolizer_(options.symbolizer), may_look_up_(may_look_up), names_(*names) {}

  void Add(const Recording& recording, std::optional<size_t> snapshot, bool without_inherited) {
    std::vector<SiteCounters> counters = snapshot ? recording.CountersAt(*snapshot) : recording.Counters();
    if (without_inherited) TakeOffInherited(recording, &counters);
    live_bytes_ += recording.Totals(counters).live_bytes();
    const std::vector<LiveSite> sites = LargestSites(counters);
    LookUp(recording, sites);
    for (const LiveSite& site : sites) {
      if (const std::string* name = names_.Find(recording.path(), site.site)) bytes_[*name] += site.bytes;
    }
    ++recordings_;
  }

  RungLines Result(size_t most) const {
    RungLines result{.lines = {}, .live_bytes = live_bytes_, .processes = recordings_};
    for (const auto& [name, bytes] : bytes_) {
      if (bytes >= live_bytes_ / kSmallestShare) result.lines.push_back({name, bytes});
    }
    std::ranges::stable_sort(result.lines, std::ranges::greater{}, &RungLines::Line::bytes);
    result.lines.resize(std::min(result.lines.size(), most));
    std::map<std::string, int> uses;
    for (const RungLines::Line& line : result.lines) ++uses[ShortName(line.name)];
    for (RungLines::Line& line : result.lines) {
      if (uses[ShortName(line.name)] == 1) line.name = ShortName(line.name);
    }
    return result;
  }

 private:
  // Sites that have no name yet.
  struct Unnamed {
    std::vector<SiteId> sites;
    int64_t bytes = 0;
  };

  // Lines of Python are in the recording itself: the interpreter's debug information, which is large, says nothing more
  // of them.
  void LookUp(const Recording& recording, const std::vector<LiveSite>& sites) {
    Unnamed of_python, native;
    int64_t all_bytes = 0;
    for (const LiveSite& site : sites) {
      all_bytes += site.bytes;
      if (names_.Find(recording.path(), site.site) != nullptr) continue;
      const std::vector<format::Frame> stack = recording.Stack(site.site);
      Unnamed& unnamed = std::ranges::any_of(stack, IsOfPython) ? of_python : native;
      unnamed.sites.push_back(site.site);
      unnamed.bytes += site.bytes;
    }
    if (!of_python.sites.empty()) Name(recording, of_python.sites, nullptr);
    if (may_look_up_ && native.bytes > all_bytes / kUnnamedShare) Name(recording, native.sites, &symbolizer_);
  }

  void Name(const Recording& recording, const std::vector<SiteId>& sites, Symbolizer* symbolizer) {
    SiteMap map;
    const LoadProfileOptions load{.sites = sites, .user_line = options_.user_line};
    const absl::StatusOr<Profile> profile = LoadProfile(recording, symbolizer, load, &map);
    if (!profile.ok()) return;
    for (const SiteId site : sites) {
      if (site >= map.stacks.size() || map.stacks[site] == kRootStack) continue;
      const Frame frame = FrameOf(profile->stacks().UserLine(map.stacks[site]));
      names_.Add(recording.path(), site, frame.is_file ? Str(frame) : std::string(frame.file));
    }
  }

  const OpenReportOptions& options_;
  Symbolizer symbolizer_;  // one for all: processes of a run share their files
  const bool may_look_up_;
  LineNames& names_;
  std::map<std::string, int64_t> bytes_;  // by name
  int64_t live_bytes_ = 0;
  size_t recordings_ = 0;
};

void Append(std::string* packed, const void* bytes, size_t size) {
  packed->append(static_cast<const char*>(bytes), size);
}

}  // namespace

// ---------------------------------------------------------------- names

namespace {

// Before each name.
struct PackedName {
  uint64_t recording;
  SiteId site;
  uint32_t bytes;
};

uint64_t HashOf(std::string_view recording) { return std::hash<std::string_view>()(recording); }

}  // namespace

const std::string* LineNames::Find(std::string_view recording, SiteId site) const {
  const auto found = names_.find(Key{HashOf(recording), site});
  return found == names_.end() ? nullptr : &found->second;
}

void LineNames::Add(std::string_view recording, SiteId site, std::string name) {
  names_.insert_or_assign(Key{HashOf(recording), site}, std::move(name));
}

std::string LineNames::Packed(size_t most) const {
  std::string packed;
  for (const auto& [key, name] : names_) {
    const PackedName head{key.recording, key.site, static_cast<uint32_t>(name.size())};
    if (packed.size() + sizeof head + name.size() > most) continue;
    Append(&packed, &head, sizeof head);
    packed += name;
  }
  return packed;
}

void LineNames::AddPacked(std::string_view packed) {
  PackedName head;
  while (packed.size() >= sizeof head) {
    memcpy(&head, packed.data(), sizeof head);
    packed.remove_prefix(sizeof head);
    if (head.bytes > packed.size()) return;
    names_.insert_or_assign(Key{head.recording, head.site}, std::string(packed.substr(0, head.bytes)));
    packed.remove_prefix(head.bytes);
  }
}

// ---------------------------------------------------------------- lines

RungLines FindRungLines(std::span<const RungSource> sources, const OpenReportOptions& options, size_t most,
                        bool may_look_up, LineNames* names) {
  // One recording at a time: only their headers are kept, to see which was forked from which.
  std::vector<format::FileHeader> headers(sources.size());
  std::vector<const format::FileHeader*> pointers;
  for (size_t i = 0; i < sources.size(); ++i) {
    headers[i] = PeekHeader(sources[i].recording).value_or(format::FileHeader{});
    pointers.push_back(&headers[i]);
  }
  const std::vector<std::optional<size_t>> parents = FindParents(pointers);
  LineFinder finder(options, may_look_up, names);
  for (size_t i = 0; i < sources.size(); ++i) {
    const absl::StatusOr<Recording> recording = Recording::Open(sources[i].recording);
    if (!recording.ok()) continue;
    const bool has_snapshot = sources[i].snapshot && *sources[i].snapshot < recording->snapshots().size();
    finder.Add(*recording, has_snapshot ? sources[i].snapshot : std::nullopt, parents[i].has_value());
  }
  return finder.Result(most);
}

}  // namespace allocline
