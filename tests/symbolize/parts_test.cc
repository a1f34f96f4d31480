// The parts of the symbolizer whose edges no compiled program reaches: cursors, forms, names, paths, damaged sections.
#include <dwarf.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "symbolize/byte_cursor.h"
#include "symbolize/demangle.h"
#include "symbolize/dwarf_forms.h"
#include "symbolize/dwarf_lines.h"
#include "symbolize/inflate.h"

namespace allocline {
namespace {

using namespace std::string_literals;  // NOLINT: for strings with zero bytes
using ::testing::HasSubstr;
using ::testing::Optional;

TEST(ByteCursorTest, ReadsNumbersAsDwarfWritesThem) {
  const std::string bytes = "\x01\x02\x03\x04\x05\xe5\x8e\x26\x7f\x80\x7f"s + "abc\0"s;
  ByteCursor cursor(bytes);
  EXPECT_EQ(cursor.U8(), 1);
  EXPECT_EQ(cursor.U16(), 0x0302);
  EXPECT_EQ(cursor.Unsigned(2), 0x0504u);
  EXPECT_EQ(cursor.Uleb(), 624485u);
  EXPECT_EQ(cursor.Sleb(), -1);
  EXPECT_EQ(cursor.Sleb(), -128);
  EXPECT_EQ(cursor.CString(), "abc");
  EXPECT_TRUE(cursor.ok() && cursor.AtEnd());
}

TEST(ByteCursorTest, FailsForGoodAtTheFirstReadBeyondTheEnd) {
  const std::string two = "\x81\x82"s;
  for (auto read : {+[](ByteCursor& c) { return uint64_t{c.U32()}; }, +[](ByteCursor& c) { return c.Uleb(); },
                    +[](ByteCursor& c) { return static_cast<uint64_t>(c.Sleb()); },
                    +[](ByteCursor& c) { return uint64_t{c.CString().size()}; },
                    +[](ByteCursor& c) { return uint64_t{c.Bytes(3).size()}; },
                    +[](ByteCursor& c) { return c.Skip(~uint64_t{0}), uint64_t{0}; },
                    +[](ByteCursor& c) { return c.Unsigned(9); }}) {
    ByteCursor cursor(two);
    EXPECT_EQ(read(cursor), 0u);
    EXPECT_FALSE(cursor.ok());
    EXPECT_EQ(cursor.U8(), 0);
    EXPECT_TRUE(cursor.AtEnd());
  }
  EXPECT_FALSE(ByteCursor(two, 3).ok());
  EXPECT_TRUE(ByteCursor(two, 2).ok());
}

// Stepping over a value and reading it are two pieces of code: they must end at the same byte.
TEST(DwarfFormsTest, ReadingAndSkippingAValueTakeTheSameBytes) {
  std::mt19937 random(7);
  std::string bytes(300, '\0');
  for (uint16_t form = 0; form < 0x2000; ++form) {
    if (form > 0x40 && (form < 0x1f00 || form > 0x1f40)) continue;
    for (int round = 0; round < 20; ++round) {
      for (char& byte : bytes) byte = static_cast<char>(random());
      for (DwarfEncoding encoding : {DwarfEncoding{2, 8, 4}, {4, 8, 8}, {5, 4, 4}}) {
        ByteCursor read(bytes), skipped(bytes);
        ReadForm(read, form, 0, encoding);
        if (auto fixed = FixedFormBytes(form, encoding)) {
          skipped.Skip(*fixed);
        } else {
          SkipVariableForm(skipped, form, encoding);
        }
        EXPECT_EQ(read.ok(), skipped.ok()) << form;
        EXPECT_EQ(read.offset(), skipped.offset()) << form;
      }
    }
  }
}

TEST(DwarfFormsTest, AnUnknownFormCannotBeSteppedOver) {
  ByteCursor cursor("0123456789");
  SkipVariableForm(cursor, 0x3f, {5, 8, 4});
  EXPECT_FALSE(cursor.ok());
}

TEST(DemangleTest, NamesReadAsTheyWereWritten) {
  EXPECT_THAT(Demangle("_ZN3foo3barEi"), Optional("foo::bar(int)"s));
  EXPECT_THAT(Demangle("main"), Optional("main"s));
  EXPECT_THAT(Demangle("_Z4TakeRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
              Optional("Take(std::string const&)"s));
  EXPECT_THAT(Demangle("_ZNSt7__cxx119to_stringEi"), Optional("std::__cxx11::to_string(int)"s));
  EXPECT_THAT(Demangle("_ZN3foo4nameB5cxx11Ev"), Optional("foo::name()"s));
}

TEST(DemangleTest, AFunctionAndItsClonesHaveOneName) {
  EXPECT_THAT(Demangle("_ZN3foo3barEi.cold"), Optional("foo::bar(int)"s));
  EXPECT_THAT(Demangle("_ZN3foo3barEi.isra.0.part.1"), Optional("foo::bar(int)"s));
  EXPECT_THAT(Demangle("read_page.constprop.0"), Optional("read_page"s));
  EXPECT_THAT(Demangle("read_page.llvm.1234"), Optional("read_page"s));
  EXPECT_THAT(Demangle("a.b"), Optional("a.b"s));
}

TEST(DemangleTest, WhatIsNotAMangledNameIsNoName) {
  EXPECT_EQ(Demangle("_Z"), std::nullopt);
  EXPECT_EQ(Demangle("_ZN3foo"), std::nullopt);
  EXPECT_EQ(Demangle("_Z" + std::string(100000, 'P') + "i"), std::nullopt);
  Demangler demangler;
  EXPECT_EQ(demangler.TryDemangle("_ZN3foo"), nullptr);
  EXPECT_EQ(demangler.DemangleOrKeep("_ZN3foo"), "_ZN3foo");
}

TEST(JoinPathTest, GivesTheShortestTextOfThePath) {
  EXPECT_EQ(JoinPath("/build", "a.cc"), "/build/a.cc");
  EXPECT_EQ(JoinPath("/build/", "./x//y/../a.cc"), "/build/x/a.cc");
  EXPECT_EQ(JoinPath("/build", "/src/a.cc"), "/src/a.cc");
  EXPECT_EQ(JoinPath("/build", "../src/a.cc"), "/src/a.cc");
  EXPECT_EQ(JoinPath("/", "../../a.cc"), "/a.cc");
  EXPECT_EQ(JoinPath("", "/usr/bin/../lib/gcc/x86_64-linux-gnu/12/../../../../include/c++/12/new"),
            "/usr/include/c++/12/new");
  EXPECT_EQ(JoinPath("build", "a.cc"), "build/a.cc");
  EXPECT_EQ(JoinPath("build", "../../a.cc"), "../a.cc");
  EXPECT_EQ(JoinPath(".", "a.cc"), "a.cc");
  EXPECT_EQ(JoinPath("", ""), "");
}

TEST(InflateTest, AClaimThatCannotBeTrueIsRefusedBeforeMemoryIsAskedFor) {
  EXPECT_THAT(InflateZlib("0123456789", size_t{1} << 40).status().message(), HasSubstr("cannot hold"));
  EXPECT_THAT(InflateZlib("0123456789", 100).status().message(), HasSubstr("damaged zlib data"));
}

}  // namespace
}  // namespace allocline
