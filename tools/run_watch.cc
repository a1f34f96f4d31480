#include "tools/run_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#include "base/cgroup.h"
#include "base/clock.h"
#include "report/path_text.h"
#include "tools/recording_files.h"

namespace allocline {
namespace {

constexpr uint64_t kLookNs = 200'000'000;
constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kReporterNs = 10 * kSecond;  // by the clock: it may have to wait for a processor, or for its reader
constexpr rlim_t kReporterCpuSeconds = 5;
constexpr uint64_t kLastWordNs = kSecond;  // for the reporter, when the program has ended
constexpr size_t kMostLines = 3;
constexpr size_t kMostSources = 16;            // processes whose lines are added up: those that hold most
constexpr size_t kMostPackedNames = 60 << 10;  // what a pipe takes without a reader
constexpr size_t kMostJudged = 1'000'000;      // files of the directory
constexpr uint64_t kTickNs = kSecond;          // changes of a directory within a tick of the clock may have one time
constexpr uint64_t kSettledNs = 10 * kSecond;  // what is no recording by then never will be

// What a reporter may take, beside what it has from us: half of what is left of the container's limit.
constexpr uint64_t kMostReporterBytes = 256 << 20;
constexpr uint64_t kLeastToLookUp = 8 << 20;  // with less it is not tried to read debug information
constexpr uint64_t kLeastToRead = 4 << 20;    // reading a small recording; of a larger one, so many times its size:
constexpr uint64_t kReadFactor = 4;

uint64_t ReporterAllowance() {
  const ContainerMemory container = ReadContainerMemory(0);
  if (container.limit_bytes == 0) return kMostReporterBytes;
  const uint64_t room =
      container.limit_bytes > container.usage_bytes ? container.limit_bytes - container.usage_bytes : 0;
  return std::min(room / 2, kMostReporterBytes);
}

// Bytes that count against RLIMIT_DATA.
uint64_t DataBytes() {
  char text[256];
  const UniqueFd statm(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  const ssize_t size = read(statm.get(), text, sizeof text - 1);
  if (size <= 0) return 64 << 20;
  text[size] = '\0';
  uint64_t pages = 0;
  // size resident shared text lib data
  if (sscanf(text, "%*u %*u %*u %*u %*u %lu", &pages) != 1) return 64 << 20;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// In the reporter: first to go, last to run, and within bounds.
void BecomeReporter(uint64_t allowance) {
  const UniqueFd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const ssize_t written = write(score.get(), "1000", 4);
  setpriority(PRIO_PROCESS, 0, 19);
  const auto limit = [](auto resource, rlim_t most) {
    const rlimit both = {.rlim_cur = most, .rlim_max = most};
    setrlimit(resource, &both);
  };
  limit(RLIMIT_CPU, kReporterCpuSeconds);
  limit(RLIMIT_DATA, DataBytes() + allowance);
  limit(RLIMIT_CORE, 0);
}

bool IsAlive(uint32_t pid) { return kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM; }

}  // namespace

RunWatch::RunWatch(Settings settings) : settings_(std::move(settings)) {
  ForEachRecording([&](uint64_t identity, const std::string&) { judged_.insert(identity); });
}

RunWatch::~RunWatch() {
  while (reporter_) WaitForReporter(0);
}

// ---------------------------------------------------------------- looking

template <typename See>
void RunWatch::ForEachRecording(const See& see) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(settings_.directory.c_str()), closedir);
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries.get())) {
    if (!std::string_view(entry->d_name).ends_with(kRecordingSuffix)) continue;
    struct stat file;
    if (judged_.size() >= kMostJudged || fstatat(dirfd(entries.get()), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    const uint64_t identity = std::hash<std::string_view>()(entry->d_name) ^ file.st_ino * 0x9e3779b97f4a7c15;
    if (S_ISREG(file.st_mode)) see(identity, settings_.directory + "/" + entry->d_name);
  }
}

// A file is opened when it is new in the directory, and again while it is too young to be a recording. Of the time of
// day, which may be set meanwhile, only that it has changed counts.
void RunWatch::FindRecordings() {
  struct stat directory;
  if (stat(settings_.directory.c_str(), &directory) != 0) return;
  const uint64_t now_ns = MonotonicNow();
  const bool changed = directory.st_mtim.tv_sec != scanned_.tv_sec || directory.st_mtim.tv_nsec != scanned_.tv_nsec;
  if (changed) changed_ns_ = now_ns;
  if (now_ns > changed_ns_ + kTickNs && young_.empty()) return;
  scanned_ = directory.st_mtim;

  const absl::flat_hash_map<uint64_t, uint64_t> were_young = std::exchange(young_, {});
  ForEachRecording([&](uint64_t identity, const std::string& path) {
    if (judged_.contains(identity)) return;
    const std::optional<format::FileHeader> header = PeekHeader(path);
    const auto seen = were_young.find(identity);
    const uint64_t seen_ns = seen == were_young.end() ? now_ns : seen->second;
    if (!header && now_ns < seen_ns + kSettledNs) {
      young_[identity] = seen_ns;
      return;
    }
    judged_.insert(identity);
    if (!header || header->run_id != settings_.run_id || followed_.size() >= kMostFollowed) return;
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) return;
    followed_.push_back({.path = path,
                         .program = std::string(Basename(header->program)),
                         .pid = header->pid,
                         .start_ns = header->start_monotonic_ns,
                         .emulated_limit = header->emulated_limit_bytes,
                         .snapshots = SnapshotFollower(std::move(fd))});
  });
}

void RunWatch::TakeNews() {
  std::erase_if(followed_, [&](Followed& process) {
    const bool is_over = process.snapshots.HasExited() || !IsAlive(process.pid);
    for (SnapshotHead& head : process.snapshots.TakeNew()) {
      if (head.kind != format::SnapshotKind::kRung && head.kind != format::SnapshotKind::kFailedAllocation &&
          head.kind != format::SnapshotKind::kTooLargeRequest) {
        continue;
      }
      // Where the recording was found as soon as it was one, its limit stood there a moment later: before any snapshot.
      if (process.emulated_limit == 0) {
        if (const auto header = PeekHeader(process.path)) process.emulated_limit = header->emulated_limit_bytes;
      }
      pacer_.Add({.recording = process.path,
                  .program = process.program,
                  .pid = process.pid,
                  .snapshot = std::move(head),
                  .emulated_limit = process.emulated_limit});
    }
    return is_over;
  });
}

uint64_t RunWatch::Look() {
  CollectReporter();
  FindRecordings();
  TakeNews();
  if (!reporter_) {
    if (std::optional<LogPacer::Message> message = pacer_.Take(MonotonicNow())) {
      Tell(*std::move(message), /*with_lines=*/true);
    }
  }
  return kLookNs;
}

void RunWatch::Finish(bool was_killed) {
  while (reporter_) WaitForReporter(was_killed ? kLastWordNs / 4 : kLastWordNs);
  FindRecordings();
  TakeNews();
  if (std::optional<LogPacer::Message> message = pacer_.Take(MonotonicNow(), /*at_the_end=*/true)) {
    Tell(*std::move(message), /*with_lines=*/!was_killed);
  }
  while (reporter_) WaitForReporter(kLastWordNs);
}

// ---------------------------------------------------------------- telling

// Of the process the message is about, at its snapshot; of the others that live, as they are now.
std::vector<RungSource> RunWatch::SourcesOf(const LogPacer::Message& message) const {
  std::vector<std::pair<uint64_t, const Followed*>> others;
  for (const Followed& process : followed_) {
    if (process.path == message.news.recording) continue;
    // Before an exec it was another program, whose memory is gone.
    const bool is_past = std::ranges::any_of(followed_, [&](const Followed& other) {
      return other.pid == process.pid && other.start_ns > process.start_ns;
    });
    const std::optional<format::FileHeader> header = is_past ? std::nullopt : PeekHeader(process.path);
    if (header) others.emplace_back(header->live_bytes, &process);
  }
  std::ranges::stable_sort(others, std::ranges::greater{}, [](const auto& other) { return other.first; });
  others.resize(std::min(others.size(), kMostSources - 1));
  std::vector<RungSource> sources = {{message.news.recording, message.news.snapshot.index}};
  for (const auto& [bytes, process] : others) sources.push_back({process->path, std::nullopt});
  return sources;
}

void RunWatch::Write(int log, const LogPacer::Message& message, const RungLines& lines) const {
  const std::string text = RungText(message, lines);
  const std::string line = settings_.as_json ? LogLine(message.news.level(), text) : text + "\n";
  // At once: the program writes there too.
  [[maybe_unused]] const ssize_t written = write(log, line.data(), line.size());
}

// Without a reporter: only if the log takes it at once, for nobody else sees to the program meanwhile. O_NONBLOCK would
// be the program's, too: so a pipe, whose room another may take between our look and our write, is opened once more.
void RunWatch::TellBriefly(const LogPacer::Message& message) const {
  struct stat file;
  UniqueFd own;
  if (fstat(STDERR_FILENO, &file) == 0 && S_ISFIFO(file.st_mode)) {
    own.reset(open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  }
  pollfd log = {.fd = own.valid() ? own.get() : STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&log, 1, 0) == 1 && (log.revents & POLLOUT) != 0) Write(log.fd, message, {});
}

void RunWatch::Tell(LogPacer::Message message, bool with_lines) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return TellBriefly(message);
  UniqueFd from(ends[0]), to(ends[1]);
  const uint64_t allowance = ReporterAllowance();
  const std::vector<RungSource> sources = with_lines ? SourcesOf(message) : std::vector<RungSource>();
  const pid_t pid = fork();
  if (pid < 0) return TellBriefly(message);
  if (pid == 0) {
    // Signals stay blocked, as they are in us: those of a terminal are for the program.
    BecomeReporter(allowance);
    // What libraries print as they fail is no part of the log.
    const UniqueFd log(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!log.valid()) _exit(1);
    const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
    dup2(null.get(), STDERR_FILENO);
    std::set_new_handler([] { _exit(1); });
    uint64_t to_read = kLeastToRead;
    for (const RungSource& source : sources) {
      if (const auto header = PeekHeader(source.recording)) to_read += kReadFactor * header->file_bytes;
    }
    RungLines lines;
    if (with_lines && allowance >= to_read) {
      lines = FindRungLines(sources, settings_.symbols, kMostLines, allowance >= to_read + kLeastToLookUp, &names_);
    }
    Write(log.get(), message, lines);
    const std::string packed = names_.Packed(kMostPackedNames);
    [[maybe_unused]] const ssize_t written = write(to.get(), packed.data(), packed.size());
    _exit(0);
  }
  reporter_.emplace(Reporter{.pid = pid,
                             .names = std::move(from),
                             .deadline_ns = MonotonicNow() + kReporterNs,
                             .message = std::move(message),
                             .with_lines = with_lines});
}

void RunWatch::CollectReporter() {
  if (!reporter_) return;
  int status = 0;
  pid_t ended = waitpid(reporter_->pid, &status, WNOHANG);
  if (ended == 0) {
    if (MonotonicNow() < reporter_->deadline_ns) return;
    kill(reporter_->pid, SIGKILL);
    do ended = waitpid(reporter_->pid, &status, 0);
    while (ended < 0 && errno == EINTR);
  }
  const bool did_it = ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  Reporter reporter = *std::move(reporter_);
  reporter_.reset();
  if (did_it) {
    std::string packed(kMostPackedNames, '\0');
    const ssize_t size = read(reporter.names.get(), packed.data(), packed.size());
    if (size > 0) names_.AddPacked(std::string_view(packed).substr(0, static_cast<size_t>(size)));
  } else if (reporter.with_lines) {
    Tell(std::move(reporter.message), /*with_lines=*/false);
  } else {
    TellBriefly(reporter.message);
  }
}

void RunWatch::WaitForReporter(uint64_t most_ns) {
  if (!reporter_) return;
  // A process is readable when it has ended.
  const UniqueFd ended(static_cast<int>(syscall(SYS_pidfd_open, reporter_->pid, 0)));
  pollfd wait = {.fd = ended.get(), .events = POLLIN, .revents = 0};
  if (ended.valid()) poll(&wait, 1, static_cast<int>(most_ns / 1'000'000));
  reporter_->deadline_ns = 0;
  CollectReporter();
}

}  // namespace allocline
