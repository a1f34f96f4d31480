// What `allocline explain` says of a recording, in a form to compare.
#ifndef ALLOCLINE_TESTS_EXAMPLES_FINDINGS_H_
#define ALLOCLINE_TESTS_EXAMPLES_FINDINGS_H_

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/record.h"
#include "tests/tools/cli.h"

namespace allocline::testing {

// "collects_all collect_first.cc:17", what costs most first, with a comma between; "" without a finding. Of the only
// recording in `directory`.
inline std::string FindingsIn(const std::string& directory) {
  const Words recordings = RecordingsIn(directory);
  if (recordings.size() != 1) return "not one recording in " + directory;
  const Outcome outcome = Allocline({"explain", "--json", recordings.front()});
  if (!outcome.ok()) return outcome.err;
  const nlohmann::json document = nlohmann::json::parse(outcome.out);
  std::string findings;
  for (const nlohmann::json& finding : document["findings"]) {
    const std::string line = finding["lines"][0]["name"].get<std::string>();
    findings +=
        (findings.empty() ? "" : ", ") + finding["cause"].get<std::string>() + " " + line.substr(line.rfind('/') + 1);
  }
  return findings;
}

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_EXAMPLES_FINDINGS_H_
