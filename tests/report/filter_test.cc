#include "report/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "report/profile_builder.h"
#include "report/statistics.h"

namespace allocline {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Three sites: a vector that grows in api/client.cc, one in db/client.cc, and a mapping made in a library.
Profile MakeProfile() {
  ProfileBuilder builder;
  auto add = [&](std::vector<Location> frames, uint32_t domain, int64_t bytes) {
    StackId stack = kRootStack;
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
      stack = builder.Push(stack, builder.AddLocation(*frame));
    }
    builder.AddSite({.stack = stack, .domain = domain, .live_bytes = bytes, .live_blocks = 1});
  };
  Location main{.file = "/src/main.cc", .line = 9, .function = "main", .module = "/app/prog"};
  Location grow{.file = "/usr/include/c++/12/bits/vector.tcc",
                .line = 70,
                .function = "std::vector<int>::reserve(unsigned long)",
                .module = "/app/prog"};
  Location api{.file = "/src/api/client.cc", .line = 10, .function = "api::Fetch(int)", .module = "/app/prog"};
  Location db{.file = "/src/db/client.cc", .line = 20, .function = "db::Fetch(int)", .module = "/app/libdb.so"};
  Location map{.function = "arena_map", .module = "/usr/lib/libarena.so.1"};
  add({grow, api, main}, format::kDomainMalloc, 100);
  add({grow, db, main}, format::kDomainMalloc, 10);
  add({map}, format::kDomainMmap, 1);
  return std::move(builder).Build(UserLineRule({.main_executable = "/app/prog"}));
}

std::vector<int64_t> Kept(const std::vector<std::string>& texts, bool all_frames = false,
                          LineOf line_of = LineOf::kUser) {
  std::vector<Filter> filters;
  for (const std::string& text : texts) filters.push_back(ParseFilter(text, all_frames).value());
  Profile kept = FilterProfile(MakeProfile(), filters, line_of);
  std::vector<int64_t> sizes;
  for (const Site& site : kept.sites()) sizes.push_back(site.live_bytes);
  return sizes;
}

TEST(FilterTest, ABareNameMatchesInAnyDirectory) {
  EXPECT_THAT(Kept({"client.cc"}), UnorderedElementsAre(100, 10));
  EXPECT_THAT(Kept({"api/client.cc"}), ElementsAre(100));
  EXPECT_THAT(Kept({"pi/client.cc"}), IsEmpty());
  EXPECT_THAT(Kept({"/src/api/*"}), ElementsAre(100));
  EXPECT_THAT(Kept({"/api/client.cc"}), IsEmpty());
  EXPECT_THAT(Kept({"*client.cc"}), UnorderedElementsAre(100, 10));
}

TEST(FilterTest, DigitsBehindAColonAreTheLine) {
  EXPECT_THAT(Kept({"client.cc:20"}), ElementsAre(10));
  EXPECT_THAT(Kept({"client.cc:21"}), IsEmpty());
}

TEST(FilterTest, AnExclamationMarkExcludes) {
  EXPECT_THAT(Kept({"!client.cc:20"}), UnorderedElementsAre(100, 1));
  EXPECT_THAT(Kept({"!domain=mmap"}), UnorderedElementsAre(100, 10));
  EXPECT_THAT(Kept({"client.cc", "!function=db::*"}), ElementsAre(100));
}

TEST(FilterTest, FunctionsMatchWithAndWithoutTheirParameters) {
  EXPECT_THAT(Kept({"function=api::Fetch"}), ElementsAre(100));
  EXPECT_THAT(Kept({"function=*::Fetch(int)"}), UnorderedElementsAre(100, 10));
  EXPECT_THAT(Kept({"function=Fetch"}), IsEmpty());
}

TEST(FilterTest, ModulesMatchByPathAndByName) {
  EXPECT_THAT(Kept({"module=libdb.so"}), ElementsAre(10));
  EXPECT_THAT(Kept({"module=/usr/lib/*"}), ElementsAre(1));
}

TEST(FilterTest, DomainsHaveNamesAndNumbers) {
  EXPECT_THAT(Kept({"domain=mmap"}), ElementsAre(1));
  EXPECT_THAT(Kept({"domain=1"}), ElementsAre(1));
  EXPECT_THAT(Kept({"domain=malloc"}), UnorderedElementsAre(100, 10));
  EXPECT_THAT(Kept({"domain=17"}), IsEmpty());
}

TEST(FilterTest, TheFrameThatStandsForTheStackIsTestedUnlessAllFramesAre) {
  EXPECT_THAT(Kept({"vector.tcc"}), IsEmpty());
  EXPECT_THAT(Kept({"vector.tcc"}, false, LineOf::kInnermost), UnorderedElementsAre(100, 10));
  EXPECT_THAT(Kept({"main.cc"}), IsEmpty());
  EXPECT_THAT(Kept({"main.cc"}, true), UnorderedElementsAre(100, 10));
  EXPECT_THAT(Kept({"!main.cc:9"}, true), ElementsAre(1));
}

TEST(FilterTest, AllConditionsOfAFilterAreAskedOfOneFrame) {
  Filter filter{.file = "*client.cc", .line = 10, .all_frames = true, .function = "db::Fetch"};
  EXPECT_THAT(FilterProfile(MakeProfile(), std::vector<Filter>{filter}).sites(), IsEmpty());
}

TEST(FilterTest, TheHeaderKeepsTheFiguresOfTheWholeProfile) {
  Profile kept = FilterProfile(MakeProfile(), std::vector<Filter>{ParseFilter("client.cc:20").value()});
  EXPECT_EQ(kept.summary().live_bytes, 111);
}

TEST(FilterSyntaxTest, WhatCannotBeAFilterIsRefusedWithWhatWasExpected) {
  EXPECT_EQ(ParseFilter("domain=heap").status().message(),
            "domain \"heap\": expected python, malloc, mmap or a number");
  EXPECT_EQ(ParseFilter("domain=python").value().domain, format::kDomainPython);
  EXPECT_EQ(ParseFilter("domain=17").value().domain, 17u);
  EXPECT_EQ(ParseFilter("").status().message(), "filter: the file pattern is empty; \"*\" matches every file");
  EXPECT_EQ(ParseFilter("!:12").status().message(), "filter: the file pattern is empty; \"*\" matches every file");
  EXPECT_EQ(ParseFilter("a.cc:99999999999").status().message(), "filter: line 99999999999 is too large");
}

TEST(FilterSyntaxTest, AColonWithoutDigitsBelongsToThePattern) {
  EXPECT_EQ(ParseFilter("C:/x.cc").value().file, "C:/x.cc");
  EXPECT_EQ(ParseFilter("C:/x.cc").value().line, std::nullopt);
  EXPECT_EQ(ParseFilter("a.cc:").value().file, "a.cc:");
  EXPECT_EQ(ParseFilter("file=function=x").value().file, "function=x");
}

}  // namespace
}  // namespace allocline
