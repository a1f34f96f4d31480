#include "tools/options.h"

#include <fmt/format.h>

#include <utility>

#include "report/frame_limit.h"
#include "tools/command.h"

namespace allocline {

namespace {

// An option that may be given several times, each time with one value.
void AddList(CLI::App& app, const char* group, const char* name, const char* value, std::vector<std::string>& values,
             const std::string& description) {
  app.add_option(name, values, description + " (repeatable)")->type_name(value)->group(group)->allow_extra_args(false);
}

}  // namespace

void SymbolFlags::AddNamesTo(CLI::App& app) {
  AddList(app, "Symbols", "--debug-path", "DIR", debug_paths, "look here for debug files before /usr/lib/debug");
  AddList(app, "Symbols", "--map", "OLD=NEW", path_map, "look for binaries recorded under OLD below NEW");
}

void SymbolFlags::AddTo(CLI::App& app) {
  AddNamesTo(app);
  AddList(app, "Symbols", "--user-path", "PATH", user_paths, "code under this prefix or pattern is the user's own");
  AddList(app, "Symbols", "--lib-path", "PATH", lib_paths, "code under this prefix or pattern is a library's");
}

absl::StatusOr<OpenReportOptions> SymbolFlags::Parse() const {
  OpenReportOptions options;
  options.symbolizer.debug_paths = debug_paths;
  options.user_line.user_paths = user_paths;
  options.user_line.lib_paths = lib_paths;
  for (const std::string& entry : path_map) {
    const size_t equals = entry.find('=');
    if (equals == entry.npos || equals == 0) {
      return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(
                                                fmt::format("--map {}: expected OLD=NEW, two path prefixes", entry)));
    }
    options.symbolizer.path_map.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return options;
}

constexpr char kViewGroup[] = "What is shown";

void ViewFlags::AddSelectionTo(CLI::App& app) {
  app.add_option("--by", by, "group blocks by line, function, file, module, thread, process or traceback")
      ->type_name("KEY")
      ->group(kViewGroup)
      ->capture_default_str();
  app.add_flag("--innermost", innermost, "show the line that called the allocator, not the user's line")
      ->group(kViewGroup);
  AddList(app, kViewGroup, "--filter", "FILTER", filters,
          "keep PATTERN[:LINE] of files, function=, module= or domain=PATTERN; with ! in front drop it");
  AddList(app, kViewGroup, "--domain", "DOMAIN", domains,
          "only blocks of python (Python's own allocators), malloc, mmap, or a number of track()");
  app.add_flag("--all-frames", all_frames, "filters look at every frame of a stack")->group(kViewGroup);
  app.add_flag("--full-path", full_path, "print paths in full")->group(kViewGroup);
  app.add_flag("--json", json, "print one JSON object")->group(kViewGroup);
}

void ViewFlags::AddTo(CLI::App& app) {
  app.add_option("-n,--lines", limit, "how many lines")->type_name("N")->group(kViewGroup)->capture_default_str();
  AddSelectionTo(app);
  app.add_option("--sort", sort, "largest first by size, count, average or total (ever allocated)")
      ->type_name("KEY")
      ->group(kViewGroup)
      ->capture_default_str();
  app.add_flag("--cumulative", cumulative, "charge a block to every line of its stack, not to one")->group(kViewGroup);
  app.add_flag("--once", once, "with --cumulative: charge a recursive line once per stack")->group(kViewGroup);
  app.add_option("--frames", frames, "only the N innermost frames of each stack, as with tracemalloc.start(N)")
      ->type_name("N")
      ->group(kViewGroup);
  app.add_flag("--totals", totals, "show what was ever allocated too")->group(kViewGroup);
  app.add_option("--format", format,
                 "text, or tracemalloc: only lines, to the letter as Python's tracemalloc prints them")
      ->type_name("FORMAT")
      ->group(kViewGroup)
      ->capture_default_str();
}

absl::StatusOr<View> View::Parse(const ViewFlags& flags) {
  const auto usage_error = [](const std::string& message) {
    return WithExitCode(ExitCode::kUsage, absl::InvalidArgumentError(message));
  };
  View view;
  const absl::StatusOr<GroupBy> by = ParseGroupBy(flags.by);
  if (!by.ok()) {
    return usage_error(
        fmt::format("--by {}: expected line, function, file, module, thread, process or traceback", flags.by));
  }
  if (*by == GroupBy::kProcess && !flags.takes_processes) {
    return usage_error("--by process: this command is about one process; `allocline top` adds up several");
  }
  const absl::StatusOr<SortBy> sort = ParseSortBy(flags.sort);
  if (!sort.ok()) return usage_error(fmt::format("--sort {}: expected size, count, average or total", flags.sort));
  if (flags.format != "text" && flags.format != "tracemalloc") {
    return usage_error(fmt::format("--format {}: expected text or tracemalloc", flags.format));
  }
  if (flags.cumulative && (*by == GroupBy::kThread || *by == GroupBy::kProcess || *by == GroupBy::kTraceback)) {
    return usage_error(fmt::format("--cumulative charges every frame of a stack; by {} there is only one", flags.by));
  }
  if (flags.once && !flags.cumulative) return usage_error("--once says how --cumulative counts: give both");
  view.statistics = {.by = *by,
                     .cumulative = flags.cumulative,
                     .once_per_stack = flags.once,
                     .line_of = flags.innermost ? LineOf::kInnermost : LineOf::kUser,
                     .sort = *sort};
  if (flags.frames) {
    constexpr int64_t kMostFrames = 65535;  // tracemalloc's limit
    if (*flags.frames < 1 || *flags.frames > kMostFrames) {
      return usage_error(fmt::format("--frames {}: expected 1 to {}", *flags.frames, kMostFrames));
    }
    view.frames = static_cast<uint32_t>(*flags.frames);
  }
  for (const std::string& text : flags.filters) {
    const absl::StatusOr<Filter> filter = ParseFilter(text, flags.all_frames);
    if (!filter.ok()) {
      const auto message = filter.status().message();
      return usage_error(fmt::format("--filter {}: {}", text, std::string_view(message.data(), message.size())));
    }
    view.filters.push_back(*filter);
  }
  for (const std::string& text : flags.domains) {
    const absl::StatusOr<uint32_t> domain = ParseDomain(text);
    if (!domain.ok()) return usage_error("--" + std::string(domain.status().message()));
    view.domains.push_back(DomainFilter(/*inclusive=*/true, *domain));
  }
  view.text = {.limit = flags.limit,
               .full_paths = flags.full_path,
               .tracemalloc = flags.format == "tracemalloc",
               .show_totals = flags.totals || *sort == SortBy::kTotal,
               .line_of = view.statistics.line_of};
  view.json = flags.json;
  return view;
}

Profile View::Apply(const Profile& whole) const {
  const Profile profile = frames ? LimitFrames(whole, *frames, statistics.line_of) : whole;
  if (domains.empty() && filters.empty()) return profile;
  const Profile of_domains = FilterProfile(profile, domains, statistics.line_of);
  return filters.empty() ? of_domains : FilterProfile(of_domains, filters, statistics.line_of);
}

}  // namespace allocline
