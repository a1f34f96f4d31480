// What a text report calls a group: the shortest name that is unambiguous in it, safe to print.
//
//   line       collect_all.cc:22, api/client.cc:7 beside db/client.cc:7
//   function   Orders::Fetch, in full where several share the short name; [libpq.so.5] behind what is not the program's
//   traceback  its line; Frames() gives the rest
#ifndef ALLOCLINE_REPORT_GROUP_NAMES_H_
#define ALLOCLINE_REPORT_GROUP_NAMES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "report/file_names.h"
#include "report/profile.h"
#include "report/statistics.h"

namespace allocline {

class GroupNames {
 public:
  // Both profiles, of which `old` may be null, must outlive this.
  GroupNames(const Profile& profile, const Profile* old, bool full_paths, LineOf line_of);

  // To be called for every group of a report by function before the first is named: a short name that is used twice is
  // none.
  void Count(const Group& group);

  std::string Name(const Group& group) const;
  // By traceback: its frames, most recent first, a line each, with a '>' at the user's line. Else nothing.
  std::string Frames(const Group& group) const;

 private:
  std::string FileName(std::string_view path) const;
  std::string FunctionName(std::string_view function) const;
  std::string FrameName(const Frame& frame) const;

  const bool full_paths_;
  const LineOf line_of_;
  std::string_view program_;
  FileNames names_;
  absl::flat_hash_map<std::string, size_t> short_functions_;  // by function: how many groups share a short name
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_GROUP_NAMES_H_
