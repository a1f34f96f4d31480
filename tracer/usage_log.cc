#include "tracer/usage_log.h"

#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/stderr_line.h"
#include "base/text.h"
#include "tracer/snapshot.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

// 12.3 MiB: tenths below 100, whole above; the unit keeps the number below 10240.
void AddSize(Text& text, uint64_t bytes) {
  static constexpr const char* kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  int unit = 0;
  uint64_t tenths = bytes * 10;
  while (unit < 4 && !(tenths < 1000 && unit > 0) && tenths >= 102400) {
    tenths /= 1024;
    ++unit;
  }
  text.AddNumber(tenths / 10);
  if (unit > 0 && tenths < 1000) text.Add(".").AddNumber(tenths % 10);
  text.Add(kUnits[unit]);
}

// The program that reports: as `allocline run` told us, or beside this library.
bool FindReporter(char (&path)[1024]) {
  const char* told = g_tracer.settings().reporter;
  if (told[0] != '\0') {
    Text(path).Add(told);
    return true;
  }
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&FindReporter), &self) == 0 || self.dli_fname == nullptr) return false;
  const char* name = Basename(self.dli_fname);
  const char* const candidates[] = {"../bin/allocline", "../../bin/allocline", "allocline"};
  for (const char* candidate : candidates) {
    Text text(path);
    text.Add(self.dli_fname, static_cast<size_t>(name - self.dli_fname)).Add(candidate);
    if (!sys::IsError(sys::Call(SYS_faccessat, AT_FDCWD, reinterpret_cast<long>(path), 1 /* X_OK */))) return true;
  }
  return false;
}

}  // namespace

int LogMemoryUsage(const char* label) {
  if (!g_tracer.EnsureOwnRecording()) return ENODATA;
  g_tracer.Sample();
  int64_t live = 0;
  uint64_t peak = 0;
  g_tracer.TracedMemory(&live, &peak);
  const format::FileHeader& header = g_tracer.recording().header();
  char buffer[1600];
  Text line(buffer);
  line.Add("allocline: ");
  char cut[format::kMaxLabelBytes + 1];  // there is room for the figures behind it
  line.AddPrintable(Text(cut).Add(label == nullptr ? "" : label).c_str());
  line.Add(": RSS ");
  AddSize(line, LoadRelaxed(header.rss_bytes));
  if (LoadRelaxed(header.container_usage_bytes) != 0) {
    line.Add(", container ");
    AddSize(line, LoadRelaxed(header.container_usage_bytes));
    if (LoadRelaxed(header.container_limit_bytes) != 0) {
      line.Add(" of ");
      AddSize(line, LoadRelaxed(header.container_limit_bytes));
    }
  }
  line.Add(", traced ");
  AddSize(line, static_cast<uint64_t>(live > 0 ? live : 0));
  line.Add(", peak ");
  AddSize(line, peak);
  line.Add("\n");
  return WriteToStderr(line.c_str(), line.size(), /*wait=*/true);
}

int LogTop(const char* label, unsigned lines) {
  const int taken = TakeSnapshot(label, format::kRowsNotGiven);
  if (taken != 0) return taken;
  char program[1024];
  if (!FindReporter(program)) return ENOENT;
  // By pid when the recording is in memory: there is no file to name.
  char what[2400];
  Text recording(what);
  const char* path = g_tracer.recording().path();
  path[0] != '\0' ? recording.Add(path) : recording.AddNumber(static_cast<uint64_t>(sys::GetPid()));
  recording.Add("@").Add(label == nullptr ? "" : label);
  char count[16];
  Text(count).AddNumber(lines == 0 ? 10 : lines);
  char* const arguments[] = {program, const_cast<char*>("top"), what, const_cast<char*>("-n"), count, nullptr};
  char* const environment[] = {const_cast<char*>("LC_ALL=C.UTF-8"), const_cast<char*>("PATH=/usr/bin:/bin"), nullptr};
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
  posix_spawn_file_actions_adddup2(&actions, 2, 1);
  pid_t child = 0;
  const int error = posix_spawn(&child, program, &actions, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return error;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 0;  // the program reaps its children itself (SIGCHLD ignored): it has run all the same
  }
  return status == 0 ? 0 : EIO;
}

}  // namespace allocline
