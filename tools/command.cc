#include "tools/command.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cstdio>

#include "report/escape.h"

namespace allocline {
namespace {

constexpr char kExitCodePayload[] = "allocline/exit-code";

// A parse error of CLI11 may span lines ("... is required\nRun with --help ..."): ours are one.
std::string FirstLine(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

}  // namespace

absl::Status WithExitCode(ExitCode code, absl::Status status) {
  if (!status.ok()) status.SetPayload(kExitCodePayload, absl::Cord(std::string(1, static_cast<char>(code))));
  return status;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  const auto payload = status.GetPayload(kExitCodePayload);
  return payload ? static_cast<ExitCode>(static_cast<unsigned char>((*payload)[0])) : ExitCode::kUnreadable;
}

void PrintError(std::string_view message) {
  // Not fmt::print(): that throws when stderr is closed.
  fputs(fmt::format("allocline: {}\n", Printable(message)).c_str(), stderr);
}

int RunCommand(CLI::App& app, Arguments arguments, const std::function<absl::Status()>& body, ExitCode usage_code) {
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app.parse(std::move(arguments));
  } catch (const CLI::Success&) {  // --help
    return Conclude(PrintAnswer(app.help()));
  } catch (const CLI::ParseError& error) {
    PrintError(fmt::format("{} (see `{} --help`)", FirstLine(error.what()), app.get_name()));
    return static_cast<int>(usage_code);
  }
  return Conclude(body());
}

int Conclude(const absl::Status& status) {
  if (!status.ok()) {
    const auto message = status.message();
    PrintError({message.data(), message.size()});
  }
  return static_cast<int>(ExitCodeOf(status));
}

absl::Status PrintAnswer(std::string_view text) {
  if (fwrite(text.data(), 1, text.size(), stdout) == text.size() && fflush(stdout) == 0) return absl::OkStatus();
  return WithExitCode(ExitCode::kCannotWrite,
                      absl::UnavailableError(fmt::format("cannot write to stdout: {}", strerror(errno))));
}

}  // namespace allocline
