#include "bench/end_to_end/variant.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "recording/reader.h"

namespace allocline::bench {
namespace {

namespace fs = std::filesystem;

bool InPath(const char* program) {
  return system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) == 0;
}

uint64_t BytesBelow(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

struct Recorded {
  uint64_t allocations = 0;
  uint64_t contexts = 0;
};

// What the process did that left the one recording in `directory`. In a child: see process.h.
Recorded ReadRecording(const std::string& directory) {
  int channel[2];
  if (pipe(channel) != 0) Die("no pipe");
  const pid_t child = fork();
  if (child == 0) {
    Recorded recorded;
    for (const auto& entry : fs::directory_iterator(directory)) {
      const auto recording = Recording::Open(entry.path().string());
      if (!recording.ok()) Die(std::string(recording.status().message()));
      for (const SiteCounters& counters : recording->Counters()) recorded.allocations += counters.allocated_blocks;
      recorded.contexts += recording->nodes().size();
    }
    _exit(write(channel[1], &recorded, sizeof recorded) == static_cast<ssize_t>(sizeof recorded) ? 0 : 1);
  }
  close(channel[1]);
  Recorded recorded;
  if (read(channel[0], &recorded, sizeof recorded) != static_cast<ssize_t>(sizeof recorded)) recorded = {};
  close(channel[0]);
  waitpid(child, nullptr, 0);
  return recorded;
}

void Check(const Run& run, const Command& command) {
  if (run.usage.ok()) return;
  Die(command.arguments[0] + " ended with status " + std::to_string(run.usage.status) + ": " + run.text.substr(0, 500));
}

void Measure(Run* run, const Command& command, const std::function<void()>& during) {
  Process process = Process::Start(command);
  if (during) {
    const double begin = MonotonicSeconds();
    during();
    run->work_s = MonotonicSeconds() - begin;
  }
  run->usage = process.Wait();
  run->text = ReadFile(command.output);
}

void Preload(const Tools& tools, const std::string& directory, Command* command) {
  command->environment.emplace_back("LD_PRELOAD", tools.tracer);
  command->environment.emplace_back("ALLOCLINE_OUTPUT", directory);
}

void RunUnderHeaptrack(Run* run, const Command& command, const Tools& tools, const std::string& directory,
                       const std::function<void()>& during) {
  const std::string fifo = tools.scratch + "/heaptrack.fifo";
  unlink(fifo.c_str());
  if (mkfifo(fifo.c_str(), 0600) != 0) Die("mkfifo failed in " + tools.scratch);
  static const bool have_zstd = InPath("zstd");
  Command compress;
  compress.arguments = {have_zstd ? "zstd" : "gzip", "-c"};
  compress.input = fifo;
  compress.output = directory + "/raw";
  compress.errors = "/dev/null";
  Process compressor = Process::Start(compress);
  Measure(run, command, during);
  close(open(fifo.c_str(), O_RDWR));  // if the program never came to open it, the reader waits for a writer
  run->helpers = compressor.Wait();
}

}  // namespace

const char* Name(Variant variant) {
  switch (variant) {
    case Variant::kUntraced:
      return "untraced";
    case Variant::kAllocline:
      return "allocline";
    case Variant::kHeaptrack:
      return "heaptrack -r";
    case Variant::kPassThrough:
      return "pass-through";
    case Variant::kSampled:
      return "sampled";
  }
  return "";
}

std::vector<Variant> Tools::variants() const {
  std::vector<Variant> all = {Variant::kUntraced, Variant::kAllocline};
  if (!heaptrack_preload.empty()) all.push_back(Variant::kHeaptrack);
  return all;
}

uint64_t RunWatched(Command command, const Tools& tools, const std::function<void()>& during,
                    const std::function<void(pid_t)>& at_peak, const std::function<void(pid_t)>& at_end) {
  const std::string directory = tools.scratch + "/recorded";
  fs::remove_all(directory);
  fs::create_directory(directory);
  command.output = tools.scratch + "/stdout";
  command.watched = true;
  command.environment.emplace_back("ALLOCLINE_BENCH_STOP_AT_PEAK", "1");
  Preload(tools, directory, &command);
  Process process = Process::Start(command);
  // On a thread of its own: what waits for the program to end must not keep us from letting it end.
  std::thread client;
  if (during) client = std::thread(during);
  const Usage usage = process.WaitWatched(at_peak, at_end);
  if (client.joinable()) client.join();
  if (!usage.ok()) Die(command.arguments[0] + ": ended with status " + std::to_string(usage.status) + " when watched");
  return BytesBelow(directory);
}

Run RunAs(Variant variant, Command command, const Tools& tools, const std::function<void()>& during) {
  Run run;
  const std::string directory = tools.scratch + "/recorded";
  fs::remove_all(directory);
  fs::create_directory(directory);
  command.output = tools.scratch + "/stdout";
  switch (variant) {
    case Variant::kPassThrough:
      command.environment.emplace_back("LD_PRELOAD", tools.programs + "/../lib/libpass_through.so");
      [[fallthrough]];
    case Variant::kUntraced:
      Measure(&run, command, during);
      Check(run, command);
      return run;
    case Variant::kSampled:
      command.environment.emplace_back("ALLOCLINE_SAMPLE", kSampleBytes);
      [[fallthrough]];
    case Variant::kAllocline:
      Preload(tools, directory, &command);
      Measure(&run, command, during);
      Check(run, command);
      {
        const Recorded recorded = ReadRecording(directory);
        run.allocations = recorded.allocations;
        run.contexts = recorded.contexts;
      }
      if (run.allocations == 0) Die(command.arguments[0] + ": allocline recorded nothing");
      break;
    case Variant::kHeaptrack:
      command.environment.emplace_back("LD_PRELOAD", tools.heaptrack_preload);
      command.environment.emplace_back("DUMP_HEAPTRACK_OUTPUT", tools.scratch + "/heaptrack.fifo");
      RunUnderHeaptrack(&run, command, tools, directory, during);
      Check(run, command);
      break;
  }
  run.output_bytes = BytesBelow(directory);
  if (run.output_bytes == 0) Die(command.arguments[0] + std::string(": nothing recorded by ") + Name(variant));
  return run;
}

}  // namespace allocline::bench
