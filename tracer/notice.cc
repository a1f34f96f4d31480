#include "tracer/notice.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>

#include "base/atomic.h"
#include "base/stderr_line.h"
#include "base/text.h"

namespace allocline {
namespace {

struct {
  bool open;
  uint64_t device, inode;
} g_stderr;
std::atomic<bool> g_said{false};

// Writing past a file size limit is a signal (SIGXFSZ), which kills.
bool FitsSizeLimit(const struct stat& file, size_t bytes) {
  if (!S_ISREG(file.st_mode)) return true;
  const long position = sys::Call(SYS_lseek, 2, 0, SEEK_CUR);
  const long end = position > file.st_size ? position : file.st_size;
  rlimit64 limit{};
  const long result = sys::Call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, reinterpret_cast<long>(&limit));
  return sys::IsError(result) || static_cast<uint64_t>(end) + bytes <= limit.rlim_cur;
}

void Say(const Text& line) {
  struct stat now {};
  if (!g_stderr.open || sys::IsError(sys::Fstat(2, &now))) return;
  if (now.st_dev != g_stderr.device || now.st_ino != g_stderr.inode) return;
  if (!FitsSizeLimit(now, line.size())) return;
  WriteToStderr(line.c_str(), line.size(), /*wait=*/false);
}

void AddReason(Text& line, uint32_t error) {
  switch (error) {
    case ENOSPC:
      line.Add("no space left on the device");
      break;
    case EDQUOT:
      line.Add("the disk quota is used up");
      break;
    case EFBIG:
      line.Add("the file size limit (ulimit -f) is reached");
      break;
    case EACCES:
    case EPERM:
      line.Add("permission denied");
      break;
    case ENOENT:
      line.Add("no such directory");
      break;
    case ENOTDIR:
      line.Add("not a directory");
      break;
    case EROFS:
      line.Add("the file system is read-only");
      break;
    case ENODEV:
      line.Add("the file system cannot map files (MAP_SHARED)");
      break;
    case EBADF:
      line.Add("the program closed the recording's descriptor, and the file is out of reach");
      break;
    default:
      line.Add("error ").AddNumber(error);
      break;
  }
}

// What to do about a recording that could not grow.
void AddRemedy(Text& line, uint32_t error) {
  switch (error) {
    case EBADF:
      line.Add("Keep the program from closing descriptors it did not open (ours is above 900).\n");
      break;
    case EFBIG:
      line.Add("Raise the limit and run again.\n");
      break;
    default:
      line.Add("Free some space and run again.\n");
      break;
  }
}

}  // namespace

void InitNotice() {
  struct stat status {};
  g_stderr.open = !sys::IsError(sys::Fstat(2, &status));
  g_stderr.device = status.st_dev;
  g_stderr.inode = status.st_ino;
}

void NoteTrouble(const RecordingWriter& recording) {
  constexpr uint32_t kTrouble = format::kStateDiskFull | format::kStateInMemory | format::kStateNoUnwinder;
  const format::FileHeader& header = recording.header();
  const uint32_t state = LoadRelaxed(header.state);
  if (__builtin_expect((state & kTrouble) == 0, 1) || g_said.exchange(true, std::memory_order_relaxed)) return;
  char buffer[1400];
  Text line(buffer);
  line.Add("allocline: ");
  if ((state & format::kStateInMemory) != 0) {
    line.Add("cannot record into ").AddPrintable(recording.directory()).Add(": ");
    AddReason(line, LoadRelaxed(header.first_errno));
    line.Add("; recording in memory, readable only while process ")
        .AddNumber(header.pid)
        .Add(" lives (allocline top PID). Give a writable directory with -o or ALLOCLINE_OUTPUT.\n");
  } else if ((state & format::kStateDiskFull) != 0) {
    line.AddPrintable(recording.path()).Add(" cannot grow: ");
    AddReason(line, LoadRelaxed(header.first_errno));
    line.Add("; what is recorded stays, totals go on, new stacks are counted together. ");
    AddRemedy(line, LoadRelaxed(header.first_errno));
  } else {
    line.Add("libunwind.so.8 was not found: only the innermost frame is recorded. Install libunwind8.\n");
  }
  Say(line);
}

void NoteBadSetting(const char* name, const char* value, const char* instead) {
  char buffer[700];
  Text line(buffer);
  line.Add("allocline: ").Add(name).Add("=").AddPrintable(value).Add(instead);
  Say(line);
}

void NotePython(const RecordingWriter& recording, uint32_t why) {
  const uint32_t version = LoadRelaxed(recording.header().python_version);
  char buffer[700];
  Text line(buffer);
  line.Add("allocline: ");
  if (why == format::kPythonSecondRuntime) {
    line.Add("a second Python was loaded: of it only native frames are recorded.\n");
  } else {
    if (why == format::kPythonIsPyPy) {
      line.Add("PyPy");
    } else if (version == 0) {
      line.Add("this Python, which does not tell its version,");
    } else {
      line.Add("Python ").AddNumber(version >> 24).Add(".").AddNumber(version >> 16 & 0xff);
    }
    if (why == format::kPythonFreeThreaded) {
      line.Add(", a build without the GIL,");
    } else if (why == format::kPythonBadLayout) {
      line.Add(" is not built as others of that version, and");
    }
    line.Add(
        " cannot be read (CPython 3.8 to 3.14 with the GIL can): its lines are missing, native frames are recorded.\n");
  }
  Say(line);
}

void NoteCannotStart(const RecordingWriter& recording) {
  char buffer[1400];
  Text line(buffer);
  line.Add("allocline: ");
  if (recording.open_error() != 0) {
    line.Add("cannot record into ").AddPrintable(recording.directory()).Add(", nor in memory: ");
    AddReason(line, static_cast<uint32_t>(recording.open_error()));
  } else {
    line.Add("no memory or address space for the recording");
  }
  line.Add("; the program runs untraced.\n");
  Say(line);
}

}  // namespace allocline
