#include "report/source_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace allocline {
namespace {

std::string ReadRegularFile(const std::string& path, size_t max_bytes) {
  std::string text;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return text;
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && static_cast<size_t>(status.st_size) <= max_bytes) {
    text.resize(static_cast<size_t>(status.st_size));
    size_t done = 0;
    for (ssize_t got = 1; got > 0 && done < text.size(); done += static_cast<size_t>(got > 0 ? got : 0)) {
      got = pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    }
    text.resize(done);
  }
  close(fd);
  return text;
}

}  // namespace

const SourceLines::File& SourceLines::Load(const std::string& path) {
  auto [entry, is_new] = files_.try_emplace(path);
  File& file = entry->second;
  if (!is_new) return file;
  file.text = ReadRegularFile(path, kMaxBytes);
  for (size_t begin = 0; begin < file.text.size();) {
    file.begins.push_back(begin);
    // "\n", "\r\n" and a lone "\r" end a line, as in Python's text files.
    size_t end = file.text.find_first_of("\r\n", begin);
    if (end == std::string::npos) break;
    begin = end + (file.text.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  return file;
}

std::string_view SourceLines::Get(std::string_view path, uint32_t line) {
  if (line == 0 || path.empty()) return {};
  const File& file = Load(std::string(path));
  if (line > file.begins.size()) return {};
  constexpr std::string_view kBlank = " \t\v\f\r\n\x1c\x1d\x1e\x1f";
  size_t begin = file.begins[line - 1];
  size_t end = line < file.begins.size() ? file.begins[line] : file.text.size();
  std::string_view text = std::string_view(file.text).substr(begin, end - begin);
  size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace allocline
