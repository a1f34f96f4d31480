// Paths as text: nothing here looks at a disk, for a recording's paths belong to another machine as often as not.
#ifndef ALLOCLINE_REPORT_PATH_TEXT_H_
#define ALLOCLINE_REPORT_PATH_TEXT_H_

#include <string>
#include <string_view>

namespace allocline {

// What follows the last '/'.
inline std::string_view Basename(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// "/a/./b//../c" becomes "/a/c", so that one file has one name whatever include path a compiler reached it by. A ".."
// that leads out of a relative path stays.
std::string NormalizedPath(std::string_view path);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_PATH_TEXT_H_
