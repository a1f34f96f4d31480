// Budget files: what they mean, what is refused and in which words, and that no damage to one is more than an error.
#include "tools/budget_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/temp_dir.h"

namespace allocline {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<std::vector<Budget>> budgets = ParseBudgets(text, "b.toml");
  return budgets.ok() ? "no error" : std::string(budgets.status().message());
}

constexpr char kWhole[] =
    "# What the connector may hold\n"
    "[total]\n"
    "peak = \"1.5 MiB\"\n"
    "growth = 0\n"
    "\n"
    "[[line]]\n"
    "name = \"orders.cc:61\"\n"
    "live = 4096\n"
    "blocks = 7\n"
    "at = \"batch *\"\n"
    "[[label]]\n"
    "name = \"after fetch\"\n"
    "rss = \"2G\"\n"
    "[[file]]\n"
    "name = \"src/cache/*\"\n"
    "peak = \"1K\"\n"
    "[[function]]\n"
    "name = \"*::Parse*\"\n"
    "growth_per_row = 12\n";

TEST(BudgetFileTest, HoldsBudgetsInTheOrderTheyStand) {
  const std::vector<Budget> budgets = ParseBudgets(kWhole, "b.toml").value();
  ASSERT_EQ(budgets.size(), 7u);
  EXPECT_EQ(budgets[0].scope, BudgetScope::kTotal);
  EXPECT_EQ(budgets[0].measure, BudgetMeasure::kPeak);
  EXPECT_EQ(budgets[0].most, 1.5 * (1 << 20));
  EXPECT_EQ(budgets[0].source_line, 3u);
  EXPECT_EQ(budgets[1].measure, BudgetMeasure::kGrowth);
  EXPECT_EQ(budgets[1].most, 0);
  EXPECT_EQ(budgets[2].scope, BudgetScope::kLine);
  EXPECT_EQ(budgets[2].name, "orders.cc:61");
  EXPECT_EQ(budgets[2].at, "batch *");
  EXPECT_EQ(budgets[2].source_line, 8u);
  EXPECT_EQ(budgets[3].measure, BudgetMeasure::kBlocks);
  EXPECT_EQ(budgets[3].most, 7);
  EXPECT_EQ(budgets[4].measure, BudgetMeasure::kRss);
  EXPECT_EQ(budgets[5].scope, BudgetScope::kFile);
  EXPECT_EQ(budgets[6].scope, BudgetScope::kFunction);
  EXPECT_EQ(budgets[6].source_line, 19u);
}

TEST(BudgetFileTest, UnknownKeysAreNamedWithTheirLineAndTheNearestKnownOne) {
  EXPECT_EQ(ErrorOf("[total]\npaek = 1\n"), "b.toml:2: unknown key 'paek' of a total; did you mean 'peak'?");
  EXPECT_EQ(ErrorOf("[total]\npeak = 1\n\n[[lines]]\nname = \"a.cc:1\"\n"),
            "b.toml:4: unknown key 'lines'; did you mean 'line'?");
  EXPECT_EQ(ErrorOf("[[label]]\nname = \"x\"\npeak = 1\n"),
            "b.toml:3: unknown key 'peak' of a label; expected name, live, blocks or rss");
  EXPECT_EQ(ErrorOf("[[file]]\nname = \"x\"\ngrowth_per_rows = 1\n"),
            "b.toml:3: unknown key 'growth_per_rows' of a file; did you mean 'growth_per_row'?");
}

TEST(BudgetFileTest, WhatMakesNoSenseIsRefusedWhereItStands) {
  EXPECT_EQ(ErrorOf(""), "b.toml: holds no budget; `man allocline-check` has examples");
  EXPECT_EQ(ErrorOf("[line]\nname = \"a.cc:1\"\n"), "b.toml:1: there may be several of 'line': write [[line]]");
  EXPECT_EQ(ErrorOf("total = 5\n"), "b.toml:1: 'total' is a table: write [total], and its budgets below");
  EXPECT_EQ(ErrorOf("file = [1]\n"), "b.toml:1: expected tables: write [[file]]");
  EXPECT_EQ(ErrorOf("[[file]]\npeak = 1\n"), "b.toml:1: this file has no name: which one is meant?");
  EXPECT_EQ(ErrorOf("[[line]]\nname = \"a.cc\"\npeak = 1\n"), "b.toml:1: name: expected FILE:LINE, not 'a.cc'");
  EXPECT_EQ(ErrorOf("[[file]]\nname = \"a.cc:3\"\npeak = 1\n"), "b.toml:1: name: 'a.cc:3' is a line: write [[line]]");
  EXPECT_EQ(ErrorOf("[[file]]\nname = 3\n"), "b.toml:2: name: expected a text in quotes");
  EXPECT_THAT(ErrorOf("[[file]]\nname = \"a.cc\"\n"), StartsWith("b.toml:1: this file has no budget; expected peak,"));
  EXPECT_EQ(ErrorOf("[[file]]\nname = \"a.cc\"\nat = \"x\"\npeak = 1\n"),
            "b.toml:1: 'at' says when 'live' and 'blocks' are looked at: give one");
  for (const char* value :
       {"-1", "1.5", "true", "\"much\"", "\"-1M\"", "[1]", "{}", "1979-05-27", "nan", "\"\"", "9223372036854775807"}) {
    EXPECT_EQ(ErrorOf(std::string("[total]\n\npeak = ") + value),
              "b.toml:3: peak: expected a number of bytes, or a text such as \"512 MiB\"")
        << value;
  }
  EXPECT_EQ(ErrorOf("[total]\nblocks = \"5K\"\n"), "b.toml:2: blocks: expected a whole number");
  EXPECT_THAT(ErrorOf("[total]\npeak = \n"), StartsWith("b.toml:2: "));
  for (const char* character : {"\u00e9", "\u2c5e", "\ufcb7", "\ufef6", "\ufef7", "\ufefe"}) {
    EXPECT_THAT(ErrorOf(std::string("[total]\n") + character + " = 1\n"), StartsWith("b.toml:2: "));
    EXPECT_THAT(ErrorOf(std::string("[total]\npeak = ") + character + "\n"), StartsWith("b.toml:2: "));
  }
  EXPECT_THAT(ErrorOf("\xef\xbb"), StartsWith("b.toml:1: "));
  EXPECT_THAT(ErrorOf("[total]\npeak = 1\npeak = 2\n"), StartsWith("b.toml:3: "));
}

TEST(BudgetFileTest, FilesThatAreNoneAreSaidToBe) {
  testing::TempDir directory;
  const auto error = [](const std::string& path) { return std::string(ReadBudgetFile(path).status().message()); };
  EXPECT_THAT(error(directory / "missing"), HasSubstr("missing: cannot be read: No such file"));
  EXPECT_THAT(error(directory.path()), HasSubstr("cannot be read: Is a directory"));
  EXPECT_THAT(error(directory.WriteFile("large", std::string((1 << 20) + 1, '#'))), HasSubstr("is larger than 1 MiB"));
  EXPECT_THAT(error("/dev/zero"), HasSubstr("is larger than 1 MiB"));
  EXPECT_EQ(ReadBudgetFile(directory.WriteFile("good", kWhole)).value().size(), 7u);
}

TEST(BudgetFileTest, DamagedFilesAreErrorsOrBudgetsAndNothingElse) {
  constexpr std::string_view kPieces[] = {"[",     "]",  "[[", "]]",  "\"", "'''",  "\"\"\"",       "=",    "{",  "}",
                                          "\n",    ".",  "#",  "\\u", "\0", "\xff", "\xef\xbb\xbf", "line", "1e", "0x",
                                          "total", "--", ",",  "inf", "\\"};
  std::mt19937_64 random(1);
  size_t good = 0, refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = kWhole;
    for (uint64_t k = 0; k <= random() % 4; ++k) {
      const size_t at = random() % (text.size() + 1);
      switch (random() % 4) {
        case 0:
          text.insert(at, kPieces[random() % std::size(kPieces)]);
          break;
        case 1:
          text.erase(at, random() % 20);
          break;
        case 2:
          if (at < text.size()) text[at] = static_cast<char>(random());
          break;
        case 3:
          text.resize(at);
          break;
      }
    }
    const absl::StatusOr<std::vector<Budget>> budgets = ParseBudgets(text, "b.toml");
    ++(budgets.ok() ? good : refused);
    if (!budgets.ok()) {
      ASSERT_THAT(std::string(budgets.status().message()), StartsWith("b.toml:")) << text;
      continue;
    }
    ASSERT_FALSE(budgets->empty());
    for (const Budget& budget : *budgets) {
      ASSERT_GE(budget.most, 0);
      ASSERT_EQ(budget.name.empty(), budget.scope == BudgetScope::kTotal);
    }
  }
  EXPECT_GT(good, 500u);
  EXPECT_GT(refused, 5000u);
  std::string deep = "[total]\npeak = ";
  for (int i = 0; i < 200000; ++i) deep += '[';
  EXPECT_THAT(ErrorOf(deep), StartsWith("b.toml:2: "));
}

}  // namespace
}  // namespace allocline
