#include "report/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "report/fnmatch.h"
#include "report/function_name.h"
#include "report/path_text.h"

namespace allocline {
namespace {

// tracemalloc knows compiled Python files by their source.
std::string_view NormalizedFilename(std::string_view name) {
  if (name.ends_with(".pyc")) name.remove_suffix(1);
  return name;
}

// A filter made ready for one StackTable: which locations it matches is found once, not once per site.
class CompiledFilter {
 public:
  CompiledFilter(const Filter& filter, const StackTable& stacks) : filter_(filter), stacks_(stacks) {
    if (filter.file) {
      std::string_view pattern = NormalizedFilename(*filter.file);
      file_patterns_.emplace_back(pattern);
      bool rooted = pattern.starts_with('/') || pattern.starts_with('*');
      if (filter.any_directory && !rooted) file_patterns_.emplace_back(fmt::format("*/{}", pattern));
    }
    if (filter.function) function_pattern_.emplace(*filter.function);
    if (filter.module) module_pattern_.emplace(*filter.module);

    std::vector<bool> location_matches(stacks.locations().size());
    for (LocationId id = 0; id < location_matches.size(); ++id) {
      location_matches[id] = MatchesLocation(stacks.locations()[id]);
    }
    matches_.resize(stacks.nodes().size());
    for (StackId id = 1; id < matches_.size(); ++id) {
      const StackNode& node = stacks.nodes()[id];
      matches_[id] = location_matches[node.location] || (filter.all_frames && matches_[node.parent]);
    }
  }

  // What tracemalloc's filter._match(trace) returns.
  bool Passes(const Site& site, LineOf line_of) const {
    bool at_user = line_of == LineOf::kUser && !filter_.all_frames;
    bool matches = matches_[at_user ? stacks_.nodes()[site.stack].user : site.stack];
    bool passes = matches == filter_.inclusive;
    if (!filter_.domain) return passes;
    return filter_.inclusive ? passes && site.domain == *filter_.domain : passes || site.domain != *filter_.domain;
  }

 private:
  bool MatchesLocation(const Location& location) {
    if (filter_.line && *filter_.line != (location.file.empty() ? 0 : location.line)) return false;
    if (!file_patterns_.empty() && !MatchesText(file_patterns_, NormalizedFilename(location.where), file_verdicts_)) {
      return false;
    }
    if (function_pattern_ && !function_pattern_->Matches(location.function) &&
        !function_pattern_->Matches(QualifiedName(location.function))) {
      return false;
    }
    return !module_pattern_ || module_pattern_->Matches(location.module) ||
           module_pattern_->Matches(Basename(location.module));
  }

  // Many locations are in one file.
  static bool MatchesText(const std::vector<FnmatchPattern>& patterns, std::string_view text,
                          absl::flat_hash_map<const char*, bool>& verdicts) {
    auto [entry, is_new] = verdicts.try_emplace(text.data(), false);
    if (is_new) {
      entry->second = std::any_of(patterns.begin(), patterns.end(),
                                  [text](const FnmatchPattern& pattern) { return pattern.Matches(text); });
    }
    return entry->second;
  }

  const Filter& filter_;
  const StackTable& stacks_;
  std::vector<FnmatchPattern> file_patterns_;
  std::optional<FnmatchPattern> function_pattern_, module_pattern_;
  absl::flat_hash_map<const char*, bool> file_verdicts_;  // by the interned text
  std::vector<bool> matches_;                             // index: StackId; its innermost frame, or any with all_frames
};

}  // namespace

Filter FileFilter(bool inclusive, std::string_view pattern, std::optional<uint32_t> line, bool all_frames,
                  std::optional<uint32_t> domain) {
  return {.inclusive = inclusive,
          .file = std::string(NormalizedFilename(pattern)),
          .line = line,
          .all_frames = all_frames,
          .domain = domain};
}

Filter DomainFilter(bool inclusive, uint32_t domain) { return {.inclusive = inclusive, .domain = domain}; }

std::vector<bool> MatchSites(const StackTable& stacks, std::span<const Site> sites, std::span<const Filter> filters,
                             LineOf line_of) {
  std::vector<CompiledFilter> include, exclude;
  for (const Filter& filter : filters) (filter.inclusive ? include : exclude).emplace_back(filter, stacks);
  std::vector<bool> matches(sites.size());
  for (size_t i = 0; i < sites.size(); ++i) {
    auto passes = [&](const CompiledFilter& filter) { return filter.Passes(sites[i], line_of); };
    matches[i] = (include.empty() || std::any_of(include.begin(), include.end(), passes)) &&
                 std::all_of(exclude.begin(), exclude.end(), passes);
  }
  return matches;
}

Profile FilterProfile(const Profile& profile, std::span<const Filter> filters, LineOf line_of) {
  const std::vector<bool> matches = MatchSites(profile.stacks(), profile.sites(), filters, line_of);
  std::vector<Site> kept;
  for (size_t i = 0; i < matches.size(); ++i) {
    if (matches[i]) kept.push_back(profile.sites()[i]);
  }
  return Profile(profile.shared_stacks(), std::move(kept), profile.summary());
}

}  // namespace allocline
