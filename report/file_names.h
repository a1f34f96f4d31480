// Short names for paths: the shortest suffix, in whole components, that no other path of the report shares. Usually
// the basename: "connector.cc", or "api/client.cc" beside "db/client.cc".
#ifndef ALLOCLINE_REPORT_FILE_NAMES_H_
#define ALLOCLINE_REPORT_FILE_NAMES_H_

#include <functional>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "report/profile.h"

namespace allocline {

class FileNames {
 public:
  // Adds every file and module of a profile; its StackTable must outlive this. Finish() when all are in.
  void Add(const StackTable& stacks);
  void Finish();
  // `path` itself if it was not added.
  std::string_view Short(std::string_view path) const;

 private:
  absl::flat_hash_map<std::string_view, std::string_view, std::hash<std::string_view>> short_names_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_FILE_NAMES_H_
