// The line of an instruction, asked of every CPython of this machine and of our reading of the same table.
#include "recording/python_lines.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/pythons.h"

namespace allocline {
namespace {

using format::LineTableKind;
using testing::Python;

LineTableKind KindOfVersion(int minor) {
  if (minor < 10) return LineTableKind::kLnotab;
  return minor == 10 ? LineTableKind::kLineTable : LineTableKind::kLocations;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// A code object, and the line of each of its instructions as the interpreter gives it.
struct Code {
  int32_t first_line = 0;
  std::string table;
  std::vector<int32_t> lines;  // of offset 0, 2, 4, ...
};

std::vector<Code> ParseTruth(const std::string& text) {
  std::vector<Code> codes;
  std::istringstream words(text);
  size_t bytes = 0;
  int32_t line = 0;  // from the last offset told on
  const auto tell_up_to = [&](size_t offset) {
    if (!codes.empty()) codes.back().lines.resize((offset + 1) / 2, line);
  };
  for (std::string word; words >> word;) {
    if (word == "code") {
      tell_up_to(bytes);
      std::string hex;
      words >> codes.emplace_back().first_line >> hex >> bytes;
      codes.back().table = FromHex(hex);
    } else {
      tell_up_to(std::stoul(word));
      words >> line;
    }
  }
  tell_up_to(bytes);
  return codes;
}

class PythonLinesTest : public ::testing::TestWithParam<int> {};

TEST_P(PythonLinesTest, EveryInstructionIsOnTheLineThatTheInterpreterSays) {
  const std::vector<Python> pythons = testing::PythonsOf(GetParam());
  if (pythons.empty()) GTEST_SKIP() << "no CPython 3." << GetParam() << " on this machine";
  const LineTableKind kind = KindOfVersion(GetParam());
  for (const Python& python : pythons) {
    SCOPED_TRACE(python.path);
    const testing::Outcome told = testing::RunProgram(
        {.argv = {python.path, "-I", "-S", testing::SourceDir() + "/tests/recording/python_lines_truth.py"}});
    ASSERT_TRUE(told.ok()) << told.Ending() << "\n" << told.err;
    const std::vector<Code> codes = ParseTruth(told.out);
    size_t instructions = 0, without_line = 0;
    for (const Code& code : codes) {
      instructions += code.lines.size();
      PythonLineRanges ranges(kind, code.first_line, code.table);
      PythonLineRange range;
      ASSERT_TRUE(ranges.Next(&range) || code.lines.empty());
      for (uint64_t offset = 0; offset < 2 * code.lines.size(); offset += 2) {
        while (offset >= range.end) ASSERT_TRUE(ranges.Next(&range)) << "no range for offset " << offset;
        ASSERT_GE(offset, range.begin);
        const int32_t expected = code.lines[offset / 2];
        without_line += expected < 0;
        ASSERT_EQ(range.line, expected) << "at offset " << offset << " of code at line " << code.first_line;
        // The same of one offset alone; every one of them would take a while.
        if (offset % 64 == 0) {
          ASSERT_EQ(PythonLine(kind, code.first_line, code.table, offset), expected);
        }
      }
    }
    EXPECT_GT(codes.size(), 1000u);
    EXPECT_GT(instructions, 50000u);
    // Such instructions were invented with 3.10.
    EXPECT_EQ(without_line > 0, GetParam() >= 10);
    printf("%s: %zu code objects, %zu instructions, %zu of them without a line\n", python.path.c_str(), codes.size(),
           instructions, without_line);
  }
}

INSTANTIATE_TEST_SUITE_P(, PythonLinesTest, ::testing::Range(testing::kFirstPythonMinor, testing::kLastPythonMinor + 1),
                         [](const auto& version) { return "Python3_" + std::to_string(version.param); });

TEST(PythonLineTest, AFrameThatHasNotBegunIsOnItsFunctionsLine) {
  for (LineTableKind kind : {LineTableKind::kLnotab, LineTableKind::kLineTable, LineTableKind::kLocations}) {
    EXPECT_EQ(PythonLine(kind, 7, "\x80\x05", format::kNoCodeOffset), 7);
    EXPECT_EQ(PythonLine(kind, -7, "\x80\x05", format::kNoCodeOffset), kNoPythonLine);
  }
}

TEST(PythonLineTest, ACodeWithoutATableHasNoLine) {
  EXPECT_EQ(PythonLine(LineTableKind::kNone, 7, "", 0), kNoPythonLine);
  EXPECT_EQ(PythonLine(LineTableKind::kLineTable, 7, "", 0), kNoPythonLine);
  EXPECT_EQ(PythonLine(LineTableKind::kLocations, 7, "", 0), kNoPythonLine);
  EXPECT_EQ(PythonLine(LineTableKind::kLnotab, 7, "", 1000), 7);  // which is how a one-line function was written
}

TEST(PythonLineTest, AnOffsetBehindTheCodeHasNoLine) {
  EXPECT_EQ(PythonLine(LineTableKind::kLineTable, 7, "\x04\x01", 3), 8);
  EXPECT_EQ(PythonLine(LineTableKind::kLineTable, 7, "\x04\x01", 4), kNoPythonLine);
  EXPECT_EQ(PythonLine(LineTableKind::kLocations, 7, "\xd9", 3), 8);  // 11: a line more, 2 instructions
  EXPECT_EQ(PythonLine(LineTableKind::kLocations, 7, "\xd9", 4), kNoPythonLine);
}

TEST(PythonLineTest, ALineThatGarbageLeadsToIsNone) {
  EXPECT_EQ(PythonLine(LineTableKind::kLineTable, 7, "\x04\x88", 0), kNoPythonLine);  // 120 lines back
  EXPECT_EQ(PythonLine(LineTableKind::kLnotab, 7, std::string("\0\x88", 2), 0), kNoPythonLine);
  EXPECT_EQ(PythonLine(LineTableKind::kLocations, 7, "\xe8\x51\x07", 0), kNoPythonLine);  // 13: 232 lines back
  EXPECT_EQ(PythonLine(LineTableKind::kLocations, 7, "\xe8\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 0), kNoPythonLine);
}

// Whatever the bytes: ranges rise, are not empty, leave no gap, and end.
TEST(PythonLineTest, AnyBytesAreATable) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string table(random() % 40, '\0');
    for (char& byte : table) byte = static_cast<char>(random() % 4 == 0 ? 0x80 : random());
    for (LineTableKind kind : {LineTableKind::kNone, LineTableKind::kLnotab, LineTableKind::kLineTable,
                               LineTableKind::kLocations, static_cast<LineTableKind>(99)}) {
      PythonLineRanges ranges(kind, static_cast<int32_t>(random()), table);
      uint64_t end = 0;
      size_t count = 0;
      for (PythonLineRange range; ranges.Next(&range); end = range.end, ++count) {
        ASSERT_EQ(range.begin, end);
        ASSERT_GT(range.end, range.begin);
        ASSERT_GE(range.line, kNoPythonLine);
      }
      ASSERT_LE(count, table.size() + 1);
    }
  }
}

}  // namespace
}  // namespace allocline
