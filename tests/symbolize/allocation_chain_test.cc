// The question allocline asks of a symbolizer: from the return addresses on the stack of a call of operator new, which
// line of the user's own file did it come from? Most of the way lies in inlined templates of the standard library, so
// one missing or misplaced link of an inline chain gives a wrong line.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "symbolize/symbolizer.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/symbolize/compiled.h"

namespace allocline {
namespace {

using ::allocline::testing::Compilers;
using ::allocline::testing::LineWith;
using ::allocline::testing::Outcome;
using ::allocline::testing::RunProgram;
using ::allocline::testing::RunTool;
using ::allocline::testing::SourcePath;
using ::allocline::testing::TempDir;
using ::allocline::testing::ToText;

class AllocationChainTest : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

// Case -> the addresses of the call instructions on its stack, innermost first.
std::map<std::string, std::vector<uint64_t>> Stacks(const std::string& output) {
  std::map<std::string, std::vector<uint64_t>> stacks;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string name, address;
    words >> name;
    while (words >> address) stacks[name].push_back(std::stoull(address, nullptr, 16) - 1);
  }
  return stacks;
}

TEST_P(AllocationChainTest, TheFirstLocationInTheUsersFileIsTheLineThatAllocates) {
  const auto& [compiler, flags] = GetParam();
  const std::string source = SourcePath("allocations.cc");
  TempDir directory;
  ASSERT_TRUE(RunTool(fmt::format("{} -std=c++17 -fno-pie -no-pie {} {} -o program", compiler, flags, source),
                      directory.path()));
  Outcome outcome = RunProgram({.argv = {directory / "program"}});
  ASSERT_TRUE(outcome.ok()) << outcome.Ending() << outcome.err;

  Symbolizer symbolizer({});
  std::vector<std::string> cases;
  for (const auto& [name, stack] : Stacks(outcome.out)) {
    cases.push_back(name);
    std::vector<SourceLocation> locations;
    for (const ResolvedAddress& address : symbolizer.Resolve({.path = directory / "program"}, stack)) {
      locations.insert(locations.end(), address.locations.begin(), address.locations.end());
    }
    SourceLocation user;
    for (const SourceLocation& location : locations) {
      if (location.file != source) continue;
      user = location;
      break;
    }
    EXPECT_EQ(user.line, LineWith(source, fmt::format("// CASE: {}", name))) << name << "\n" << ToText(locations);
  }
  EXPECT_THAT(cases,
              ::testing::ElementsAre("function", "holder", "lambda", "map", "resize", "shared", "string", "vector"));
}

INSTANTIATE_TEST_SUITE_P(Builds, AllocationChainTest,
                         ::testing::Combine(::testing::ValuesIn(Compilers()),
                                            ::testing::Values("-O0 -g", "-O1 -g", "-O2 -g", "-O3 -g", "-O2 -gdwarf-4",
                                                              "-O2 -g1", "-O2 -g -gsplit-dwarf")),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param) + std::get<1>(info.param);
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace allocline
