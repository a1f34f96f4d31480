#include "tools/tracer_setup.h"

#include <errno.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace allocline {
namespace {

namespace fs = std::filesystem;

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

// 0, or why no file can be created in `directory`.
int WriteProblem(const std::string& directory) {
  struct stat status;
  if (stat(directory.c_str(), &status) != 0) return errno;
  if (!S_ISDIR(status.st_mode)) return ENOTDIR;
  return access(directory.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
}

bool ListHolds(std::string_view list, std::string_view element) {
  return fmt::format(":{}:", list).find(fmt::format(":{}:", element)) != std::string::npos;
}

std::string MakeTemporaryDirectory() {
  std::string base = Environment("TMPDIR");
  if (base.empty()) base = "/tmp";
  std::string name = base + "/allocline-XXXXXX";
  return mkdtemp(name.data()) != nullptr ? name : "";
}

}  // namespace

std::string OwnPath() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).string();
}

absl::StatusOr<std::string> FindTracerLibrary() {
  std::string found = Environment("ALLOCLINE_LIBRARY");
  if (!found.empty()) {
    if (access(found.c_str(), R_OK) != 0) {
      return absl::NotFoundError(fmt::format("ALLOCLINE_LIBRARY is {}: {}", found, strerror(errno)));
    }
    found = fs::absolute(found).string();
  } else {
    const fs::path prefix = fs::path(OwnPath()).parent_path().parent_path();
    for (const char* place :
         {ALLOCLINE_LIBDIR "/liballocline.so", "lib/liballocline.so", "lib/allocline/liballocline.so"}) {
      if (access((prefix / place).c_str(), R_OK) == 0) {
        found = (prefix / place).string();
        break;
      }
    }
    if (found.empty()) {
      return absl::NotFoundError(
          fmt::format("liballocline.so is neither in {0}/lib nor in {0}/lib/allocline; set "
                      "ALLOCLINE_LIBRARY to its path",
                      prefix.string()));
    }
  }
  // The loader splits LD_PRELOAD at colons and spaces, and expands $ORIGIN and its like.
  if (found.find_first_of(": $") != found.npos) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: a path with a space, ':' or '$' cannot stand in LD_PRELOAD; set ALLOCLINE_LIBRARY to a link without",
        found));
  }
  return found;
}

std::string FindPythonPackage() {
  const fs::path prefix = fs::path(OwnPath()).parent_path().parent_path();
  const std::string found = (prefix / ALLOCLINE_DATADIR "/allocline/python").string();
  const bool usable = access((found + "/allocline/__init__.py").c_str(), R_OK) == 0 && found.find(':') == found.npos;
  return usable ? found : "";
}

OutputDirectory PrepareOutputDirectory(const std::string& wanted) {
  std::error_code error;
  fs::create_directories(wanted, error);
  const int problem = error && error != std::errc::file_exists ? error.value() : WriteProblem(wanted);
  fs::path absolute = fs::absolute(wanted, error).lexically_normal();
  if (problem == 0) return {.path = absolute.string(), .remark = ""};

  const std::string temporary = MakeTemporaryDirectory();
  if (temporary.empty()) {
    return {.path = absolute.string(),
            .remark = fmt::format("cannot write to {}: {}; recordings stay in memory and end with their process "
                                  "(-o DIR gives another directory)",
                                  wanted, strerror(problem))};
  }
  return {.path = temporary,
          .remark = fmt::format("cannot write to {}: {}; recording to {} instead (-o DIR gives another directory)",
                                wanted, strerror(problem), temporary)};
}

std::vector<std::string> TracedEnvironment(const TracerSettings& settings) {
  std::vector<std::string> ours;
  if (!settings.library.empty()) {
    const std::string others = Environment("LD_PRELOAD");
    ours.push_back("LD_PRELOAD=" + settings.library + (others.empty() ? "" : ":" + others));
    ours.push_back("ALLOCLINE_OUTPUT=" + settings.output_directory);
    ours.push_back("ALLOCLINE_PROGRAM=" + OwnPath());
    ours.push_back(fmt::format("ALLOCLINE_RUN={:x}", settings.run_id));
    const std::string package = FindPythonPackage();
    // At the end: nothing of the program's own is hidden by it.
    if (const std::string path = Environment("PYTHONPATH"); !package.empty() && !ListHolds(path, package)) {
      ours.push_back("PYTHONPATH=" + path + (path.empty() ? "" : ":") + package);
    }
    if (settings.record_mmap) ours.push_back("ALLOCLINE_MMAP=1");
    if (settings.start_stopped) ours.push_back("ALLOCLINE_START=0");
    if (settings.verify) ours.push_back("ALLOCLINE_VERIFY=1");
    if (settings.tracer_memory != 0) ours.push_back(fmt::format("ALLOCLINE_TRACER_MEMORY={}", settings.tracer_memory));
    if (!settings.ladder.empty()) ours.push_back("ALLOCLINE_LADDER=" + settings.ladder);
    if (settings.limit != 0) {
      ours.push_back(fmt::format("ALLOCLINE_LIMIT={}", settings.limit));
      ours.push_back(fmt::format("ALLOCLINE_LIMIT_ACTION={}", settings.kill_at_limit ? "kill" : "report"));
    }
    if (settings.sample_interval != 0) ours.push_back(fmt::format("ALLOCLINE_SAMPLE={}", settings.sample_interval));
  }
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(ours.begin(), ours.end(), [&](const auto& own) { return own.starts_with(name); });
    if (name.empty() || !replaced) result.emplace_back(text);
  }
  result.insert(result.end(), ours.begin(), ours.end());
  return result;
}

}  // namespace allocline
