// The program programs/ledger.cc, which keeps what it is told to, and the words in which a test asks `allocline` about
// it. Lines are named by the markers in its source, so no test knows a line number.
#ifndef ALLOCLINE_TESTS_E2E_LEDGER_H_
#define ALLOCLINE_TESTS_E2E_LEDGER_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/record.h"
#include "tests/support/truth.h"
#include "tests/tools/cli.h"

namespace allocline::testing {

using Json = nlohmann::json;

inline std::string E2eSource(const std::string& name) { return SourceDir() + "/tests/e2e/programs/" + name; }
inline std::string E2eProgram(const std::string& name) { return BuildDir() + "/programs/e2e/" + name; }

// "FILE:LINE" of a marker of a source in programs/, as a report prints it.
inline std::string LineOfMarker(const std::string& source, const std::string& marker) {
  for (const Marker& known : ReadMarkers(E2eSource(source))) {
    if (known.name == marker) return fmt::format("{}:{}", source, known.line);
  }
  ADD_FAILURE() << "no marker " << marker << " in " << source;
  return "";
}
inline std::string LedgerLine(const std::string& marker) { return LineOfMarker("ledger.cc", marker); }

inline Words operator+(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Runs `program` traced to its end, and gives the path of its recording in `directory`.
inline std::string RecordInto(const std::string& directory, const Words& program) {
  std::filesystem::create_directories(directory);
  const std::vector<std::string> before = RecordingsIn(directory);
  const Outcome outcome = RunProgram({.argv = program, .env = TracingEnvironment(directory)});
  EXPECT_EQ(outcome.Ending(), "exit 0") << outcome.err;
  EXPECT_EQ(outcome.err, "");
  std::string recording;
  for (const std::string& path : RecordingsIn(directory)) {
    if (std::find(before.begin(), before.end(), path) == before.end()) recording = path;
  }
  EXPECT_NE(recording, "");
  return recording;
}
inline std::string RecordLedger(const std::string& directory, const Words& what) {
  return RecordInto(directory, Words{E2eProgram("ledger")} + what);
}

// A ledger that has done what it was told and runs on. Its recording goes to `directory`.
inline std::unique_ptr<Process> StartLedger(const std::string& directory, const Words& what,
                                            std::function<void()> in_child = {}) {
  auto process = std::make_unique<Process>(Command{.argv = Words{E2eProgram("ledger")} + what + Words{"wait"},
                                                   .env = TracingEnvironment(directory),
                                                   .in_child = std::move(in_child)});
  EXPECT_TRUE(process->WaitForOutput("ready\n"));
  return process;
}

// What the command prints, which must succeed and say nothing on stderr.
inline std::string Answer(const Words& words) {
  const Outcome outcome = Allocline(words);
  EXPECT_EQ(outcome.Ending(), "exit 0") << ::testing::PrintToString(words) << "\n" << outcome.err;
  EXPECT_EQ(outcome.err, "") << ::testing::PrintToString(words);
  return outcome.out;
}
inline Json AnswerJson(const Words& words) {
  const Json json = Json::parse(Answer(words + Words{"--json"}), nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(json.is_object()) << ::testing::PrintToString(words);
  return json;
}

struct Held {
  int64_t size = 0, count = 0;
  bool operator==(const Held&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Held& held) {
  return out << held.size << " B in " << held.count;
}
using HeldBy = std::map<std::string, Held>;

// Of a name that is a path, only the file's: "/src/ledger.cc:12" becomes "ledger.cc:12".
inline std::string ShortName(const std::string& name) {
  return name.starts_with('/') ? name.substr(name.rfind('/') + 1) : name;
}
// The groups of a report, by name; with `suffix` "_diff" what has changed.
inline HeldBy GroupsOf(const Json& report, const std::string& suffix = "") {
  HeldBy groups;
  for (const Json& group : report["statistics"]) {
    groups[ShortName(group["name"])] = {group["size" + suffix], group["count" + suffix]};
  }
  return groups;
}
inline HeldBy Top(const std::string& recording, const Words& options = {}) {
  return GroupsOf(AnswerJson(Words{"top", recording, "-n", "1000"} + options));
}

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_E2E_LEDGER_H_
