#include "report/path_text.h"

#include <vector>

namespace allocline {

std::string NormalizedPath(std::string_view path) {
  bool absolute = path.starts_with('/');
  std::vector<std::string_view> kept;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    std::string_view part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == ".." && !kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (part != ".." || !absolute) {
      kept.push_back(part);
    }
  }
  std::string out;
  out.reserve(path.size());
  for (std::string_view part : kept) {
    if (absolute || !out.empty()) out += '/';
    out += part;
  }
  if (out.empty() && !path.empty()) out.assign(1, absolute ? '/' : '.');
  return out;
}

}  // namespace allocline
