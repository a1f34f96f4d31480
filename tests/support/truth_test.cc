#include "tests/support/truth.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

std::vector<Marker> Read(const std::string& source) {
  TempDir directory;
  return ReadMarkers(directory.WriteFile("a.cc", source));
}

TEST(TruthTest, AMarkerNamesItsLineAndTheAmount) {
  std::vector<Marker> markers =
      Read("int main() {\n  f();  // LINE: kept 100/2\n  g();  // LINE: gone 0/0 of 7/1\n}\n");
  ASSERT_EQ(markers.size(), 2);
  EXPECT_EQ(markers[0].name, "kept");
  EXPECT_EQ(markers[0].line, 2);
  EXPECT_EQ(markers[0].amount, (Amount{100, 2, 100, 2}));
  EXPECT_EQ(markers[1].line, 3);
  EXPECT_EQ(markers[1].amount, (Amount{0, 0, 7, 1}));
}

TEST(TruthTest, AMarkerMayLeaveTheAmountToTheProgramOrToLibc) {
  std::vector<Marker> markers = Read("a  // LINE: said\nb  // LINE: spawned any\n");
  ASSERT_EQ(markers.size(), 2);
  EXPECT_FALSE(markers[0].any);
  EXPECT_EQ(markers[0].amount, std::nullopt);
  EXPECT_TRUE(markers[1].any);
}

TEST(TruthTest, AMarkerThatIsNotUnderstoodOrNotUniqueIsAnError) {
  EXPECT_THROW(Read("a  // LINE: kept 100 bytes\n"), std::runtime_error);
  EXPECT_THROW(Read("a  // LINE: kept 1/1\nb  // LINE: kept 2/1\n"), std::runtime_error);
}

TEST(TruthTest, WhatAProgramSaysIsReadBack) {
  Lines lines = ReadOutput("growth 8/1 of 24/3\nother 5/1 of 5/1\n");
  EXPECT_EQ(lines.size(), 2);
  EXPECT_EQ(lines["growth"], (Amount{8, 1, 24, 3}));
  EXPECT_THROW(ReadOutput("Segmentation fault\n"), std::runtime_error);
}

}  // namespace
}  // namespace allocline::testing
