// Keeps some of a profile's sites: tracemalloc's Filter, DomainFilter and Snapshot.filter_traces().
//
// A site is kept if any inclusive filter matches it (or there is none) and no exclusive one rejects it. A tracemalloc
// filter looks at a file pattern, a line and a domain; ours can ask for a function and a module as well.
#ifndef ALLOCLINE_REPORT_FILTER_H_
#define ALLOCLINE_REPORT_FILTER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "report/profile.h"

namespace allocline {

struct Filter {
  bool inclusive = true;
  std::optional<std::string> file;  // fnmatch pattern of the whole of Location::where
  std::optional<uint32_t> line;     // 0 is a real line number
  bool all_frames = false;          // any frame may match, not only the one that stands for the stack
  std::optional<uint32_t> domain;
  std::optional<std::string> function;  // fnmatch patterns; a function matches with or without its parameters,
  std::optional<std::string> module;    // a module by its path or its basename
  bool any_directory = false;           // `file` also matches after any '/', as if "*/" stood before it
};

// tracemalloc's Filter(inclusive, filename_pattern, lineno, all_frames, domain) and DomainFilter(inclusive, domain).
Filter FileFilter(bool inclusive, std::string_view pattern, std::optional<uint32_t> line = std::nullopt,
                  bool all_frames = false, std::optional<uint32_t> domain = std::nullopt);
Filter DomainFilter(bool inclusive, uint32_t domain);

// Which of `sites`, of stacks in `stacks`, pass. `line_of`: which frame stands for a stack.
std::vector<bool> MatchSites(const StackTable& stacks, std::span<const Site> sites, std::span<const Filter> filters,
                             LineOf line_of = LineOf::kUser);

// A new profile over the same StackTable with the sites that pass.
Profile FilterProfile(const Profile& profile, std::span<const Filter> filters, LineOf line_of = LineOf::kUser);

// The command line's syntax:
//   PATTERN[:LINE]      file pattern; one without a leading '/' or '*' matches in any directory
//   function=PATTERN    module=PATTERN    domain=DOMAIN
//   !...                any of the above, exclusive
// `all_frames` is an option of its own. Errors: InvalidArgument saying what was expected.
absl::StatusOr<Filter> ParseFilter(std::string_view text, bool all_frames = false);

// A DOMAIN is python, malloc, mmap or a number: python are the blocks of Python's own allocators, malloc those that it
// and all others take from malloc itself.
absl::StatusOr<uint32_t> ParseDomain(std::string_view text);
// "python", "malloc", "mmap", "domain 17".
std::string DomainName(uint32_t domain);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_FILTER_H_
