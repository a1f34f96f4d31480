#include "tests/support/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "report/load_profile.h"
#include "symbolize/symbolizer.h"
#include "tests/support/paths.h"

namespace allocline::testing {
namespace {

namespace fs = std::filesystem;

template <typename T>
T ValueOf(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

std::string SourceOf(const std::string& program) {
  std::string source = fmt::format("{}/{}.cc", ProgramSources(), program);
  return fs::exists(source) ? source : fmt::format("{}/{}.c", ProgramSources(), program);
}

std::vector<Marker> MarkersOf(const std::string& program, const std::vector<std::string>& libraries) {
  std::vector<Marker> markers = ReadMarkers(SourceOf(program));
  for (const std::string& library : libraries) {
    for (Marker& marker : ReadMarkers(SourceOf(library))) {
      markers.push_back(std::move(marker));
    }
  }
  return markers;
}

Lines TruthOf(const std::vector<Marker>& markers, const std::string& output) {
  Lines said = ReadOutput(output);
  Lines truth;
  for (const Marker& marker : markers) {
    if (marker.any) continue;
    auto found = said.find(marker.name);
    if (!marker.amount && found == said.end()) {
      throw std::runtime_error(
          fmt::format("{}:{}: nobody knows how much {} is", marker.file, marker.line, marker.name));
    }
    Amount amount = marker.amount ? *marker.amount : found->second;
    if (amount != Amount{}) truth[marker.name] = amount;
  }
  return truth;
}

Command CommandFor(const std::string& program, const RecordOptions& options) {
  Command command;
  // Traps are built once, whatever the variant.
  std::string variant = program.starts_with("traps/") ? "" : options.variant + "/";
  command.argv = {fmt::format("{}/programs/{}{}", BuildDir(), variant, program)};
  command.argv.insert(command.argv.end(), options.args.begin(), options.args.end());
  command.env = options.env;
  command.input = options.input;
  command.in_child = options.in_child;
  command.time_limit = options.time_limit;
  return command;
}

Recorded RecordWithMarkers(Command command, const std::vector<Marker>& markers) {
  Recorded result;
  command.env = TracingEnvironment(result.directory.path(), std::move(command.env));
  result.outcome = RunProgram(command);
  for (const std::string& path : RecordingsIn(result.directory.path())) result.processes.emplace_back(path, markers);
  std::sort(result.processes.begin(), result.processes.end(), [](const auto& a, const auto& b) {
    return a.recording().header().start_monotonic_ns < b.recording().header().start_monotonic_ns;
  });
  return result;
}

}  // namespace

std::vector<std::string> Variants() {
  std::vector<std::string> result;
  for (const char* variant : {"g++-O0", "g++-O2", "clang++-O0", "clang++-O2"}) {
    if (fs::exists(fmt::format("{}/programs/{}", BuildDir(), variant))) result.emplace_back(variant);
  }
  return result;
}

RecordedProcess::RecordedProcess(const std::string& path, std::vector<Marker> markers)
    : recording_(ValueOf(Recording::Open(path))), markers_(std::move(markers)) {
  if (!recording_.damage().empty()) {
    throw std::runtime_error(fmt::format("{} is damaged: {}", path, recording_.damage().front()));
  }
}

std::string RecordedProcess::file_name() const { return fs::path(recording_.path()).filename(); }

Profile RecordedProcess::Load(bool by_thread) const {
  Symbolizer symbolizer({});
  return ValueOf(LoadProfile(recording_, &symbolizer, {.by_thread = by_thread}));
}

std::string RecordedProcess::NameOf(const Location& location) const {
  if (!location.file.starts_with(ProgramSources() + "/")) return "";
  for (const Marker& marker : markers_) {
    if (marker.file == location.file && marker.line == location.line) return marker.any ? "" : marker.name;
  }
  return fmt::format("{}:{}", location.file.substr(ProgramSources().size() + 1), location.line);
}

Lines RecordedProcess::Collect(const Profile& profile, LineOf line_of,
                               const std::function<bool(const Site&)>& wanted) const {
  Lines lines;
  for (const Site& site : profile.sites()) {
    if (!wanted(site)) continue;
    const StackTable& stacks = profile.stacks();
    std::string name = NameOf(line_of == LineOf::kUser ? stacks.UserLine(site.stack) : stacks.Innermost(site.stack));
    if (name.empty()) continue;
    lines[name] += {site.live_bytes, site.live_blocks, site.total_bytes, site.total_blocks};
  }
  std::erase_if(lines, [](const auto& line) { return line.second == Amount{}; });
  return lines;
}

Lines RecordedProcess::UserLines() const {
  return Collect(Load(), LineOf::kUser, [](const Site&) { return true; });
}

Lines RecordedProcess::InnermostLines() const {
  return Collect(Load(), LineOf::kInnermost, [](const Site&) { return true; });
}

Lines RecordedProcess::UserLinesOfDomain(uint32_t domain) const {
  return Collect(Load(), LineOf::kUser, [domain](const Site& site) { return site.domain == domain; });
}

std::map<std::string, Lines> RecordedProcess::UserLinesByThread() const {
  Profile profile = Load(/*by_thread=*/true);
  std::map<std::string, Lines> result;
  const auto& threads = profile.stacks().threads();
  for (uint32_t i = 0; i < threads.size(); ++i) {
    for (const auto& [name, amount] : Collect(profile, LineOf::kUser, [i](const Site& s) { return s.thread == i; })) {
      result[std::string(threads[i].name)][name] += amount;
    }
  }
  return result;
}

Amount RecordedProcess::At(const std::string& marker) const {
  Lines lines = UserLines();
  auto found = lines.find(marker);
  return found == lines.end() ? Amount{} : found->second;
}

Amount RecordedProcess::Total() const {
  Amount total;
  for (const SiteCounters& c : recording_.Counters()) {
    total += {c.live_bytes(), c.live_blocks(), c.allocated_bytes, c.allocated_blocks};
  }
  return total;
}

const RecordedProcess& Recorded::main() const {
  for (const RecordedProcess& process : processes) {
    if (process.pid() == static_cast<uint32_t>(outcome.pid)) return process;
  }
  throw std::runtime_error(
      fmt::format("no recording of the program; it ended with {}, stderr: {}", outcome.Ending(), outcome.err));
}

const RecordedProcess& Recorded::other() const {
  if (processes.size() != 2) throw std::runtime_error(fmt::format("{} recordings, expected 2", processes.size()));
  return &processes[0] == &main() ? processes[1] : processes[0];
}

Recorded Record(const std::string& program, const RecordOptions& options) {
  std::vector<Marker> markers = MarkersOf(program, options.libraries);
  TempDir directory;
  Command command = CommandFor(program, options);
  command.directory = directory.path();
  Recorded result = RecordWithMarkers(std::move(command), markers);
  result.truth = TruthOf(markers, result.outcome.out);
  return result;
}

Recorded RecordCommand(Command command) { return RecordWithMarkers(std::move(command), {}); }

Outcome RunUntraced(const std::string& program, const RecordOptions& options) {
  TempDir directory;
  Command command = CommandFor(program, options);
  command.directory = directory.path();
  return RunProgram(command);
}

std::map<std::string, std::string> TracingEnvironment(const std::string& directory,
                                                      std::map<std::string, std::string> env) {
  std::string others = env["LD_PRELOAD"];
  env["LD_PRELOAD"] = others.empty() ? TracerPath() : fmt::format("{}:{}", TracerPath(), others);
  env.emplace("ALLOCLINE_OUTPUT", directory);
  env.emplace("ALLOCLINE_PROGRAM", CliPath());
  return env;
}

std::vector<std::string> RecordingsIn(const std::string& directory) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".allocline") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace allocline::testing
