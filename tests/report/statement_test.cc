// What lines of source text say, in Python and in C++, and what they must not be taken to say.
#include "report/statement.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "report/name_words.h"
#include "tests/support/temp_dir.h"

namespace allocline {
namespace {

using testing::TempDir;

class StatementTest : public ::testing::Test {
 protected:
  // Of the line that has the mark "@@".
  Statement Python(const std::string& text) { return Read("a.py", text); }
  Statement Cxx(const std::string& text) { return Read("a.cc", text); }
  Statement Read(const std::string& name, std::string text) {
    const size_t mark = text.find("@@");
    text.erase(mark, 2);
    line_ = static_cast<uint32_t>(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(mark), '\n'));
    path_ = directory_.WriteFile(name, text);
    return StatementReader(0).Read(path_, line_);
  }

  TempDir directory_;
  std::string path_;
  uint32_t line_ = 0;
};

#define EXPECT_PUT(statement, kind, name)                \
  do {                                                   \
    const Statement put = (statement);                   \
    EXPECT_TRUE(put.kinds.Has(CallKind::kind)) << #kind; \
    EXPECT_EQ(put.container, name);                      \
  } while (false)

TEST_F(StatementTest, WhatIsPutSomewhereGoesIntoAContainerOfThatName) {
  EXPECT_PUT(Python("@@orders.append(dict(row))\n"), kSequence, "orders");
  EXPECT_PUT(Python("@@self._rows.extend(f(r) for r in page)\n"), kSequence, "self._rows");
  EXPECT_PUT(Python("@@self.records += [clean(r) for r in page]\n"), kSequence, "self.records");
  EXPECT_PUT(Python("@@by_id[row['id']] = row\n"), kKeyed, "by_id");
  EXPECT_PUT(Python("@@groups[row.day].append(row)\n"), kKeyed, "groups");
  EXPECT_PUT(Python("@@groups.setdefault(k, []).append(row)\n"), kKeyed, "groups");
  EXPECT_PUT(Python("@@seen.add(key)\n"), kKeyed, "seen");
  EXPECT_PUT(Python("@@self.queue.put(make(item))\n"), kQueue, "self.queue");
  EXPECT_PUT(Python("@@names = {r[0]: r for r in rows}\n"), kKeyed, "names");
  EXPECT_PUT(Python("@@names = [r[0] for r in rows]\n"), kSequence, "names");
  EXPECT_PUT(Cxx("  @@tickets_of[Number(t, \"id\")].push_back(t);\n"), kKeyed, "tickets_of");
  EXPECT_PUT(Cxx("  @@source->rows_.emplace_back(1, 2);\n"), kSequence, "source->rows_");
}

TEST_F(StatementTest, ASubscriptMayBeAnArraysAndTheStatementSaysWhatItIsThen) {
  const Statement cell = Cxx("@@node->name[79] = 0;\n");
  EXPECT_TRUE(cell.by_subscript);
  EXPECT_TRUE(cell.of_array.Empty());
  const Statement part = Cxx("@@parts[i].rows.push_back(row);\n");
  EXPECT_TRUE(part.by_subscript);
  EXPECT_EQ(part.of_array, CallKinds(CallKind::kSequence));
  EXPECT_FALSE(Cxx("@@rows.push_back(Row(cells[0]));\n").by_subscript);
  EXPECT_FALSE(Cxx("@@rows_of(ids[0]).push_back(row);\n").by_subscript);
}

TEST_F(StatementTest, WhatAStatementNamesIsFollowedToWhereItIsKept) {
  EXPECT_PUT(Python("for row in con.execute(q):  @@\n    n += 1\n    orders[row[0]] = row\n"), kKeyed, "orders");
  EXPECT_PUT(Python("row = dict(zip(names, values))  @@\nrow['x'] = 1\nrows.append(row)\n"), kSequence, "rows");
  EXPECT_PUT(Cxx("const std::vector<Row> page = Next();  @@\nif (page.empty()) break;\n"
                 "all.insert(all.end(), page.begin(), page.end());\n"),
             kSequence, "all");
  EXPECT_PUT(Python("row = f(  @@\n    1,\n    2)\nrows.append(row)\n"), kSequence, "rows");
}

TEST_F(StatementTest, WhatAStatementCallsIsRead) {
  EXPECT_TRUE(Python("@@rows = cursor.fetchall()\n").kinds.Has(CallKind::kWholeResult));
  EXPECT_TRUE(Python("@@rows = list(con.execute(q))\n").kinds.Has(CallKind::kWholeResult));
  EXPECT_TRUE(Python("@@text = f.read()\n").kinds.Has(CallKind::kWholeFile));
  EXPECT_TRUE(Python("@@rows = list(csv.reader(f))\n").kinds.Has(CallKind::kWholeFile));
  EXPECT_TRUE(Python("@@raw = base64.b64decode(x)\n").kinds.Has(CallKind::kBinary));
  EXPECT_FALSE(Python("@@text = f.read(65536)\n").kinds.Has(CallKind::kWholeFile));
  EXPECT_FALSE(Python("@@rows = cursor.fetchmany(500)\n").kinds.Has(CallKind::kWholeResult));
}

TEST_F(StatementTest, CommentsAndWhatIsInQuotationMarksAreNotRead) {
  EXPECT_TRUE(Python("@@x = f(1)  # cursor.fetchall() into orders.append(x)\n").kinds.Empty());
  EXPECT_TRUE(Python("@@x = f('cache[key] = rows.append(1)')\n").kinds.Empty());
  EXPECT_TRUE(Cxx("@@x = f(1);  // rows.push_back(x)\n").kinds.Empty());
  EXPECT_TRUE(Python("@@if a[0] == b:\n    pass\n").kinds.Empty());
}

TEST_F(StatementTest, AFileThatIsNotThereOrWasChangedSinceSaysNothing) {
  EXPECT_EQ(Python("@@rows.append(1)\n").container, "rows");
  struct stat status;
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  const uint64_t changed = static_cast<uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000;
  EXPECT_EQ(StatementReader(changed + 2'000'000'000).Read(path_, 1).container, "rows");
  EXPECT_EQ(StatementReader(changed - 2'000'000'000).Read(path_, 1).container, "");
  EXPECT_EQ(StatementReader(0).Read(path_ + ".gone", 1).container, "");
  EXPECT_EQ(StatementReader(0).Read(path_, 100).container, "");
  EXPECT_EQ(StatementReader(0).Read("/dev/zero", 1).container, "");
}

TEST_F(StatementTest, ACacheIsAskedFirstAndGivesBack) {
  const auto is_look_up = [&](const std::string& text) {
    const Statement statement = Python(text);
    return StatementReader(0).IsLookUp(path_, line_, statement.container);
  };
  EXPECT_TRUE(is_look_up("if key not in self._all:\n    @@self._all[key] = fetch(key)\nreturn self._all[key]\n"));
  EXPECT_FALSE(is_look_up("if key not in sums:\n    @@sums[key] = 0\nsums[key] += 1\n"));
  EXPECT_FALSE(is_look_up("@@by_id[row.id] = row\n\n\n\n\n\n\n\nreturn by_id\n"));
}

TEST_F(StatementTest, ADecoratorThatKeepsResultsIsFoundAboveItsFunction) {
  Python("@functools.lru_cache(maxsize=None)\ndef resolve(key):\n    x = 1\n    return @@make(key)\n");
  EXPECT_TRUE(StatementReader(0).IsMemoized(path_, line_, "Source.resolve"));
  EXPECT_FALSE(StatementReader(0).IsMemoized(path_, line_, "Source.other"));
  Python("@property\ndef resolve(key):\n    return @@make(key)\n");
  EXPECT_FALSE(StatementReader(0).IsMemoized(path_, line_, "resolve"));
}

TEST(NameWordsTest, NamesAreSplitWhereTheirWordsBegin) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(WordsOf("functools.lru_cache"), (Words{"functools", "lru", "cache"}));
  EXPECT_EQ(WordsOf("FetchPageOfRows"), (Words{"fetch", "page", "of", "rows"}));
  EXPECT_EQ(WordsOf("Base64Decode"), (Words{"base64", "decode"}));
  EXPECT_EQ(WordsOf("HTTPCache"), (Words{"http", "cache"}));
  EXPECT_EQ(WordsOf(""), Words{});
}

}  // namespace
}  // namespace allocline
