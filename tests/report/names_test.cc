#include <gtest/gtest.h>

#include "report/file_names.h"
#include "report/path_text.h"
#include "report/profile_builder.h"
#include "report/python_repr.h"

namespace allocline {
namespace {

Profile ProfileOfFiles(const std::vector<std::string>& files) {
  ProfileBuilder builder;
  for (const std::string& file : files) builder.AddLocation({.file = file});
  return std::move(builder).Build(UserLineRule({}));
}

TEST(FileNamesTest, AFileIsCalledByItsShortestSuffixThatNoOtherShares) {
  Profile profile = ProfileOfFiles(
      {"/src/api/client.cc", "/src/db/client.cc", "/old/db/client.cc", "/src/main.cc", "client.cc", "/main.cc/x.cc"});
  FileNames names;
  names.Add(profile.stacks());
  names.Finish();
  EXPECT_EQ(names.Short("/src/main.cc"), "main.cc");
  EXPECT_EQ(names.Short("/src/api/client.cc"), "api/client.cc");
  EXPECT_EQ(names.Short("/src/db/client.cc"), "src/db/client.cc");
  EXPECT_EQ(names.Short("/old/db/client.cc"), "old/db/client.cc");
  EXPECT_EQ(names.Short("client.cc"), "client.cc");
  EXPECT_EQ(names.Short("/not/added.cc"), "/not/added.cc");
}

TEST(FileNamesTest, ARootedAndARelativePathThatDifferOnlyInThatStayApart) {
  Profile profile = ProfileOfFiles({"/a/x.cc", "a/x.cc"});
  FileNames names;
  names.Add(profile.stacks());
  names.Finish();
  EXPECT_NE(names.Short("/a/x.cc"), names.Short("a/x.cc"));
}

TEST(FileNamesTest, TwoProfilesShareOneSetOfNames) {
  Profile now = ProfileOfFiles({"/src/a/x.cc"}), before = ProfileOfFiles({"/src/b/x.cc"});
  FileNames names;
  names.Add(now.stacks());
  names.Add(before.stacks());
  names.Finish();
  EXPECT_EQ(names.Short("/src/a/x.cc"), "a/x.cc");
  EXPECT_EQ(names.Short("/src/b/x.cc"), "b/x.cc");
}

TEST(NormalizedPathTest, OneFileHasOneName) {
  EXPECT_EQ(NormalizedPath("/src/./lib//../x.cc"), "/src/x.cc");
  EXPECT_EQ(NormalizedPath("/usr/lib/gcc/x86_64-linux-gnu/12/../../../../include/c++/12/new"),
            "/usr/include/c++/12/new");
  EXPECT_EQ(NormalizedPath("../src/x.cc"), "../src/x.cc");
  EXPECT_EQ(NormalizedPath("a/../../x.cc"), "../x.cc");
  EXPECT_EQ(NormalizedPath("/../x.cc"), "/x.cc");
  EXPECT_EQ(NormalizedPath("./x.cc"), "x.cc");
  EXPECT_EQ(NormalizedPath("a/.."), ".");
  EXPECT_EQ(NormalizedPath("/"), "/");
  EXPECT_EQ(NormalizedPath(""), "");
}

TEST(PythonReprTest, TextsAreQuotedAsInPython) {
  EXPECT_EQ(PythonRepr("a.py"), "'a.py'");
  EXPECT_EQ(PythonRepr("it's"), "\"it's\"");
  EXPECT_EQ(PythonRepr("it's \"x\""), "'it\\'s \"x\"'");
  EXPECT_EQ(PythonRepr("a\n\t\\\x1b\xff\u00e9"), "'a\\n\\t\\\\\\x1b\\udcff\u00e9'");
}

}  // namespace
}  // namespace allocline
