// Files from a disk that was full, a copy that was cut, a strip that went wrong: whatever the bytes are, a result or a
// diagnosis comes back, soon, and nothing is read that is not there (the address sanitizer runs this too).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/symbolize/compiled.h"
#include "tests/symbolize/exercise.h"

namespace allocline {
namespace {

using ::allocline::testing::ExerciseSymbolizer;
using ::allocline::testing::HasTool;
using ::allocline::testing::MemoryFile;
using ::allocline::testing::ReadFile;
using ::allocline::testing::RunTool;
using ::allocline::testing::SourcePath;
using ::allocline::testing::TempDir;

constexpr uint32_t kSeed = 90210;
constexpr double kSecondsPerFile = 5;  // far above what any needs, far below what a user would take for hanging
constexpr double kSecondsPerTest = 4;  // then the rest is left to the fuzzer

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// What is damaged, one file per way of writing DWARF.
struct Victim {
  std::string name;
  std::string commands;  // separated by ';', the last writes "victim"
  std::string needs;
};

constexpr char kLibrary[] = "-shared -fPIC -nostdlib -Wl,-z,noseparate-code";

std::vector<Victim> Victims() {
  auto compile = [](const std::string& compiler, const std::string& flags) {
    return fmt::format("{} -std=c++17 -O2 {} {} {} -o victim", compiler, kLibrary, flags, SourcePath("small.cc"));
  };
  return {
      {"gcc_dwarf5", compile("g++", "-gdwarf-5"), "g++"},
      {"gcc_dwarf4", compile("g++", "-gdwarf-4"), "g++"},
      {"gcc_compressed", compile("g++", "-g -gz=zlib"), "g++"},
      {"clang_dwarf5", compile("clang++", "-gdwarf-5"), "clang++"},
      {"no_dwarf", compile("g++", ""), "g++"},
      {"dwo",
       fmt::format("g++ -std=c++17 -O2 -gdwarf-5 -gsplit-dwarf -c {} -o small.o;mv small.dwo victim",
                   SourcePath("small.cc")),
       "g++"},
      {"dwp",
       fmt::format("g++ -std=c++17 -O2 -gdwarf-5 -gsplit-dwarf -c {} -o small.o;llvm-dwp small.dwo -o victim",
                   SourcePath("small.cc")),
       "llvm-dwp"},
  };
}

class DamagedFilesTest : public ::testing::TestWithParam<Victim> {
 protected:
  void SetUp() override {
    if (!HasTool(GetParam().needs)) GTEST_SKIP() << GetParam().needs << " is not installed";
    const std::string& commands = GetParam().commands;
    for (size_t from = 0; from < commands.size();) {
      const size_t end = std::min(commands.find(';', from), commands.size());
      ASSERT_TRUE(RunTool(commands.substr(from, end - from), directory_.path()));
      from = end + 1;
    }
    bytes_ = ReadFile(directory_ / "victim");
    ASSERT_GT(ExerciseSymbolizer(directory_ / "victim"), 10u) << "nothing there to damage";
  }

  void Exercise(const std::string& bytes, const std::string& what) {
    const double start = CpuSeconds();
    MemoryFile file(bytes);
    ExerciseSymbolizer(file.path());
    EXPECT_LT(CpuSeconds() - start, kSecondsPerFile) << what;
  }

  TempDir directory_;
  std::string bytes_;
};

TEST_P(DamagedFilesTest, ChangedBytesGiveAResultOrADiagnosis) {
  std::mt19937 random(kSeed);
  auto below = [&](size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random); };
  const double start = CpuSeconds();
  size_t files = 0;
  for (; files < 3000 && CpuSeconds() - start < kSecondsPerTest; ++files) {
    std::string damaged = bytes_;
    const size_t changes = size_t{1} << below(6);
    for (size_t i = 0; i < changes; ++i) {
      // Extremes and small differences reach more checks than noise does.
      char& byte = damaged[below(damaged.size())];
      const char values[] = {0,
                             1,
                             0x7f,
                             static_cast<char>(0x80),
                             static_cast<char>(0xff),
                             static_cast<char>(byte + 1),
                             static_cast<char>(byte - 1),
                             static_cast<char>(below(256))};
      byte = values[below(sizeof(values))];
    }
    Exercise(damaged, fmt::format("file {} of seed {}", files, kSeed));
  }
  EXPECT_GT(files, 50u) << "too slow to mean anything";
}

TEST_P(DamagedFilesTest, AFileCutAnywhereGivesAResultOrADiagnosis) {
  const size_t step = bytes_.size() / 150 + 1;
  for (size_t length = 0; length < bytes_.size(); length += step) {
    Exercise(bytes_.substr(0, length), fmt::format("cut at {}", length));
    Exercise(bytes_.substr(0, length) + std::string(bytes_.size() - length, '\0'),
             fmt::format("zeros from {}", length));
  }
}

INSTANTIATE_TEST_SUITE_P(Victims, DamagedFilesTest, ::testing::ValuesIn(Victims()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace allocline
