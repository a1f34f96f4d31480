// allocline run: starts a program with the tracer in it and stays in front of it like a pane of glass.
//
// The program must not notice more of us than it has to: it keeps its terminal, its process group, its signals and its
// exit code, and whatever goes wrong on our side (nowhere to write, nothing to see, a summary that fails), it runs.
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/ladder_text.h"
#include "base/unique_fd.h"
#include "recording/sampling.h"
#include "tools/byte_size.h"
#include "tools/command.h"
#include "tools/connector_log.h"
#include "tools/options.h"
#include "tools/program_check.h"
#include "tools/run_summary.h"
#include "tools/run_watch.h"
#include "tools/signal_relay.h"
#include "tools/tracer_setup.h"
#include "tools/verification.h"

namespace allocline {
namespace {

struct RunFlags {
  Arguments program;  // and its arguments
  std::string output_directory;
  bool record_mmap = false;
  bool start_stopped = false;
  bool verify = false;
  std::string sample, tracer_memory;  // empty: not asked for
  std::string ladder, limit;          // the same
  std::string limit_action = "kill";
  std::string log = "none";
  SummaryFlags summary;
};

// Takes the program and its arguments off the end of `arguments`: what follows "--", or what begins at the first word
// that is neither an option nor an option's value. CLI11 must not see them: it would take their options for ours.
Arguments TakeProgram(const CLI::App& app, Arguments* arguments) {
  auto word = arguments->begin();
  for (; word != arguments->end() && *word != "--" && word->starts_with('-'); ++word) {
    // The one option whose value may be left out: the next word is not it.
    if (*word == "--sample") *word += fmt::format("={}", kDefaultSampleInterval);
    const bool is_long = word->starts_with("--");
    const bool has_value = is_long ? word->find('=') != word->npos : word->size() > 2;  // --name=value, -n5
    const CLI::Option* option =
        app.get_option_no_throw(is_long ? word->substr(0, word->find('=')) : word->substr(0, 2));
    const bool takes_value = option != nullptr && option->get_items_expected_max() > 0;
    if (takes_value && !has_value && word + 1 != arguments->end()) ++word;
  }
  Arguments program(word != arguments->end() && *word == "--" ? word + 1 : word, arguments->end());
  arguments->erase(word, arguments->end());
  return program;
}

uint64_t NewRunId() {
  uint64_t id = 0;
  while (id == 0) {
    if (getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) id = static_cast<uint64_t>(getpid());
  }
  return id;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What a shell would not take for a script: a NUL in the first line, as every ELF file has (the rule of POSIX for sh).
bool IsBinary(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  char start[256];
  const ssize_t bytes = read(fd.get(), start, sizeof start);
  if (bytes <= 0) return bytes < 0;
  const std::string_view line(start, static_cast<size_t>(bytes));
  return line.starts_with("\177ELF") || line.substr(0, line.find('\n')).find('\0') != line.npos;
}

// Becomes `file`; gives errno if that fails. A text without "#!" goes to the shell, as with execvp().
int Execute(const std::string& file, Arguments arguments, std::vector<std::string> environment) {
  execve(file.c_str(), Pointers(arguments).data(), Pointers(environment).data());
  if (errno != ENOEXEC) return errno;
  if (IsBinary(file)) return ENOEXEC;  // of another machine, or cut short
  arguments[0] = file;
  arguments.insert(arguments.begin(), "/bin/sh");
  execve("/bin/sh", Pointers(arguments).data(), Pointers(environment).data());
  return errno;
}

// Runs `file` to its end. An error means that it could not be executed at all. `watch` may be null.
absl::StatusOr<ChildEnd> RunProgram(const std::string& file, const Arguments& arguments,
                                    const std::vector<std::string>& environment, SignalRelay& relay, RunWatch* watch) {
  // Closes by itself when the program begins; before that, it carries the errno of a failure.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return WithExitCode(ExitCode::kRunFailed, absl::ErrnoToStatus(errno, "pipe"));
  UniqueFd from_child(ends[0]), to_parent(ends[1]);

  const pid_t child = fork();
  if (child < 0) return WithExitCode(ExitCode::kRunFailed, absl::ErrnoToStatus(errno, "fork"));
  if (child == 0) {
    relay.RestoreInChild();
    const int error = Execute(file, arguments, environment);
    [[maybe_unused]] const ssize_t written = write(to_parent.get(), &error, sizeof error);
    _exit(static_cast<int>(ExitCode::kCannotExecute));
  }
  to_parent.reset();
  int error = 0;
  const bool failed = read(from_child.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error);
  const SignalRelay::Meanwhile look = [watch] { return watch->Look(); };
  const ChildEnd end = relay.WaitFor(child, watch != nullptr && !failed ? look : nullptr);
  if (!failed) return end;
  return error == ENOENT  // the file is there (we found it), so what is missing is what it asks for
             ? WithExitCode(ExitCode::kProgramNotFound,
                            absl::NotFoundError(fmt::format("{}: the interpreter it asks for is missing", file)))
             : WithExitCode(ExitCode::kCannotExecute,
                            absl::PermissionDeniedError(fmt::format("{}: {}", file, strerror(error))));
}

// In a process of its own: whatever becomes of it (symbols of a large program take memory, and the container may have
// little left), the program's exit code is passed on, and how the program ended is said.
void SummariseApart(const EndedRun& run, const SummaryFlags& flags, SignalRelay& relay) {
  const pid_t child = fork();
  if (child == 0) {
    relay.RestoreInChild();
    const absl::Status status = SummariseRun(run, flags);
    if (!status.ok()) PrintError({status.message().data(), status.message().size()});
    fflush(stderr);
    _exit(0);
  }
  std::string failure;
  if (child < 0) {
    failure = fmt::format("no summary could be made (fork: {}): `allocline top` reads the recordings in {}",
                          strerror(errno), run.output_directory);
  } else if (const int signal = relay.WaitFor(child).signal; signal != 0) {
    failure = fmt::format(
        "the summary was ended by signal {}: `allocline top` reads the recordings in {} where there is more memory",
        signal, run.output_directory);
  }
  // Who wants no summary misses none, and need not wait for a log that is full.
  if (failure.empty() || flags.quiet) return;
  const std::string text = DescribeEnd(run) + "; " + failure;
  if (flags.log_json) {
    fputs(LogLine(LogLevel::kSevere, "allocline: " + text).c_str(), stderr);
  } else {
    PrintError(text);
  }
}

// Says what became of --verify: a failure always, success where a summary is read by people. True for success.
bool ReportVerification(const EndedRun& run, const SummaryFlags& flags) {
  const Verification verification = VerificationOf(run);
  if (!verification.passed() || !(flags.quiet || flags.json)) PrintError(VerificationText(verification));
  return verification.passed();
}

// CLI11 does not know of the program (TakeProgram), so it cannot mention it.
class RunFormatter : public CLI::Formatter {
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: allocline run [OPTIONS] -- PROGRAM [ARGUMENTS]\n";
  }
};

// What to preload into `file`; empty if nothing can be: then the program runs all the same. Says on stderr what will be
// missing.
std::string TracerFor(const std::string& file) {
  const absl::StatusOr<std::string> library = FindTracerLibrary();
  if (!library.ok()) {
    const auto message = library.status().message();
    PrintError(fmt::format("{}; the program runs untraced", std::string_view(message.data(), message.size())));
    return "";
  }
  const ProgramCheck check = CheckProgram(file);
  if (!check.remark.empty()) PrintError(check.remark);
  return check.preload ? *library : "";
}

// 0 for an option that was not given.
absl::StatusOr<uint64_t> SizeOption(const char* option, const std::string& text, uint64_t least, uint64_t most) {
  if (text.empty()) return 0;
  const absl::StatusOr<uint64_t> size = ParseByteSize(option, text, least, most);
  return size.ok() ? size : WithExitCode(ExitCode::kRunFailed, size.status());
}

absl::StatusOr<int> Run(const RunFlags& flags) {
  if (flags.program.empty()) {
    return WithExitCode(ExitCode::kRunFailed,
                        absl::InvalidArgumentError("which program? `allocline run [OPTIONS] -- PROGRAM [ARGUMENTS]`"));
  }
  const absl::StatusOr<OpenReportOptions> symbols = flags.summary.symbols.Parse();
  if (!symbols.ok()) return WithExitCode(ExitCode::kRunFailed, symbols.status());
  ASSIGN_OR_RETURN(const uint64_t sample_interval,
                   SizeOption("--sample", flags.sample, kLeastSampleInterval, kMostSampleInterval));
  ASSIGN_OR_RETURN(const uint64_t tracer_memory,
                   SizeOption("--tracer-memory", flags.tracer_memory, kLeastTracerMemory, kMostSampleInterval));
  ASSIGN_OR_RETURN(const uint64_t limit, SizeOption("--limit", flags.limit, kLeastLimit, kMostSampleInterval));
  if (uint8_t rungs[format::kMaxRungs]; !flags.ladder.empty() && !ParseLadder(flags.ladder.c_str(), rungs)) {
    return WithExitCode(ExitCode::kRunFailed,
                        absl::InvalidArgumentError(
                            fmt::format("--ladder {}: expected off, or at most {} percents from 1 to 99, as in {}",
                                        flags.ladder, format::kMaxRungs, kDefaultLadderText)));
  }
  ASSIGN_OR_RETURN(const std::string file, FindProgram(flags.program.front()));
  const std::string library = TracerFor(file);
  const OutputDirectory output = PrepareOutputDirectory(flags.output_directory);
  if (!output.remark.empty()) PrintError(output.remark);
  const TracerSettings settings = {.library = library,
                                   .output_directory = output.path,
                                   .run_id = NewRunId(),
                                   .record_mmap = flags.record_mmap,
                                   .start_stopped = flags.start_stopped,
                                   .verify = flags.verify,
                                   .tracer_memory = tracer_memory,
                                   .ladder = flags.ladder,
                                   .limit = limit,
                                   .kill_at_limit = flags.limit_action == "kill",
                                   .sample_interval = sample_interval};

  std::optional<RunWatch> watch;
  if (flags.log != "none") {
    watch.emplace(RunWatch::Settings{
        .directory = output.path, .run_id = settings.run_id, .as_json = flags.log == "json", .symbols = *symbols});
  }
  const KillCounts kills_before = KillCounts::Read();
  SignalRelay relay;
  const uint64_t start_ns = MonotonicNow();
  ASSIGN_OR_RETURN(const ChildEnd end,
                   RunProgram(file, flags.program, TracedEnvironment(settings), relay, watch ? &*watch : nullptr));
  const EndedRun run = {.program = file,
                        .end = end,
                        .elapsed_ns = MonotonicNow() - start_ns,
                        .output_directory = output.path,
                        .run_id = settings.run_id,
                        .kills_before = kills_before,
                        .kills_now = KillCounts::Read()};
  if (watch) watch->Finish(end.exit_code() > 128);
  SummariseApart(run, flags.summary, relay);
  const bool verified = !flags.verify || ReportVerification(run, flags.summary);
  return end.exit_code() != 0 || verified ? end.exit_code() : static_cast<int>(ExitCode::kNotVerified);
}

}  // namespace

int RunMain(Arguments arguments) {
  CLI::App app("Runs PROGRAM traced, and summarises on stderr where its memory went.", "allocline run");
  app.formatter(std::make_shared<RunFormatter>());
  RunFlags flags;
  std::string by;
  const char* output = getenv("ALLOCLINE_OUTPUT");
  flags.output_directory = output != nullptr && *output != '\0' ? output : ".";
  app.add_option("-o,--output", flags.output_directory, "directory for the recordings, one per process")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_flag("--mmap", flags.record_mmap, "record anonymous mappings too, as a domain of their own");
  app.add_flag("--start-stopped", flags.start_stopped, "record nothing until the program calls allocline_start()");
  app.add_option("--sample", flags.sample,
                 "record one block in so many bytes, not every one (512K if no number is given)")
      ->type_name("[=BYTES]");
  app.add_option("--tracer-memory", flags.tracer_memory,
                 "what the tracer may hold before it samples (default: 2% of the container's limit, at least 32M)")
      ->type_name("BYTES");
  app.add_option("--ladder", flags.ladder,
                 fmt::format("percents of the container's limit at which snapshots are taken, or off (default: {})",
                             kDefaultLadderText))
      ->type_name("PERCENT,...");
  app.add_option("--limit", flags.limit, "stand in for the limit of a container: end a process that comes to it")
      ->type_name("BYTES");
  app.add_option("--limit-action", flags.limit_action, "what --limit does: kill, or report and go on")
      ->check(CLI::IsMember({"kill", "report"}))
      ->type_name("kill|report")
      ->capture_default_str();
  app.add_flag("--verify", flags.verify, "take every stack by libunwind too, and end with 124 if one differs (slow)");
  const std::string group = "Summary";
  app.add_option("-n,--lines", flags.summary.lines, "how many lines")
      ->type_name("N")
      ->group(group)
      ->capture_default_str();
  app.add_flag("-q,--quiet", flags.summary.quiet, "print no summary")->group(group);
  app.add_flag("--json", flags.summary.json, "print the summary as one JSON object")->group(group);
  app.add_option("--log", flags.log,
                 "say at once when the container fills up, as text or as JSON messages of a connector's log; with json "
                 "the summary is such messages, too")
      ->check(CLI::IsMember({"text", "json", "none"}))
      ->type_name("text|json|none")
      ->capture_default_str()
      ->group(group);
  app.add_option("--by", by, "process: what each process held, and on which line most of it")
      ->check(CLI::IsMember({"process"}))
      ->type_name("process")
      ->group(group);
  app.add_option("--summary", flags.summary.file, "write the summary to FILE, not to stderr")
      ->type_name("FILE")
      ->group(group);
  flags.summary.symbols.AddTo(app);

  flags.program = TakeProgram(app, &arguments);
  int exit_code = 0;
  const auto body = [&] {
    flags.summary.log_json = flags.log == "json";
    flags.summary.by_process = !by.empty();
    const absl::StatusOr<int> result = Run(flags);
    if (result.ok()) exit_code = *result;
    return result.status();
  };
  const int own_code = RunCommand(app, std::move(arguments), body, ExitCode::kRunFailed);
  return own_code != 0 ? own_code : exit_code;
}

}  // namespace allocline
