// Options that several commands share, and what they mean.
#ifndef ALLOCLINE_TOOLS_OPTIONS_H_
#define ALLOCLINE_TOOLS_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "report/filter.h"
#include "report/open_report.h"
#include "report/render_json.h"
#include "report/render_text.h"
#include "report/statistics.h"

namespace allocline {

// How addresses become names: --debug-path, --map; and which of them are the user's: --user-path, --lib-path.
struct SymbolFlags {
  std::vector<std::string> debug_paths, user_paths, lib_paths, path_map;

  void AddTo(CLI::App& app);
  void AddNamesTo(CLI::App& app);  // where no line has to be chosen: without the user's
  absl::StatusOr<OpenReportOptions> Parse() const;
};

// What of a profile is shown, and how: --by, --cumulative, --domain, --filter, --innermost, --sort, -n, --json, ...
struct ViewFlags {
  std::string by = "line", sort = "size", format = "text";
  bool cumulative = false, once = false, all_frames = false, innermost = false, json = false, full_path = false;
  bool totals = false;
  std::vector<std::string> filters, domains;
  size_t limit = 10;
  std::optional<int64_t> frames;
  bool takes_processes = false;  // --by process, of a command that adds up several

  void AddTo(CLI::App& app);
  // Those alone that say which blocks are looked at, and what they are grouped by.
  void AddSelectionTo(CLI::App& app);
};

// ViewFlags, understood.
struct View {
  StatisticsOptions statistics;
  std::optional<uint32_t> frames;  // of each stack
  std::vector<Filter> domains;     // a block is kept if any matches, or there is none;
  std::vector<Filter> filters;     // and then these decide
  TextOptions text;
  bool json = false;

  static absl::StatusOr<View> Parse(const ViewFlags& flags);
  // `profile` with only so many frames, and then only the sites the filters keep.
  Profile Apply(const Profile& profile) const;
  JsonOptions json_options() const { return {.limit = text.limit, .statistics = statistics}; }
};

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_OPTIONS_H_
