#include "report/escape.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace allocline {
namespace {

using namespace std::string_view_literals;

TEST(PrintableTest, OrdinaryTextStays) {
  EXPECT_EQ(Printable("connector.cc:146"), "connector.cc:146");
  EXPECT_EQ(Printable("Größe 大小 🙂 C:\\dir"), "Größe 大小 🙂 C:\\dir");
  EXPECT_EQ(Printable(""), "");
}

TEST(PrintableTest, TerminalEscapesAndControlCharactersAreShown) {
  EXPECT_EQ(Printable("\x1b[31mred\x1b]0;title\x07"), "\\x1b[31mred\\x1b]0;title\\x07");
  EXPECT_EQ(Printable("a\nb\rc\td\x7f"sv), "a\\x0ab\\x0dc\\x09d\\x7f");
  EXPECT_EQ(Printable("a\0b"sv), "a\\x00b");
  EXPECT_EQ(Printable("\u009b31m"), "\\xc2\\x9b31m") << "C1 control sequence introducer";
}

TEST(PrintableTest, CharactersThatReorderOrBreakALineAreShown) {
  EXPECT_EQ(Printable("a\u202eb"), "a\\xe2\\x80\\xaeb");
  EXPECT_EQ(Printable("a\u2066b"), "a\\xe2\\x81\\xa6b");
  EXPECT_EQ(Printable("a\u2028b"), "a\\xe2\\x80\\xa8b");
}

TEST(PrintableTest, BytesThatAreNotUtf8AreShownOneByOne) {
  EXPECT_EQ(Printable("\xff"), "\\xff");
  EXPECT_EQ(Printable("\xc3"), "\\xc3") << "cut short";
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(Printable("a\xe2\x82z"), "a\\xe2\\x82z");
}

TEST(PrintableTest, NoByteCombinationLetsAnEscapeThrough) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string text = {static_cast<char>(first), static_cast<char>(second), '[', 'm'};
      std::string shown = Printable(text);
      for (char c : shown) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << first << " " << second;
      ASSERT_EQ(ValidUtf8(shown), shown);
    }
  }
}

TEST(ValidUtf8Test, BadBytesAreReplaced) {
  EXPECT_EQ(ValidUtf8("a\xff\xc3z"), "a\ufffd\ufffdz");
  EXPECT_EQ(ValidUtf8("Größe\n"), "Größe\n");
}

}  // namespace
}  // namespace allocline
