// A script for sqlite3 that makes more than five million allocations.
#ifndef ALLOCLINE_TESTS_E2E_SQLITE_SCRIPT_H_
#define ALLOCLINE_TESTS_E2E_SQLITE_SCRIPT_H_

namespace allocline::testing {

inline constexpr char kSqliteScript[] = R"(
      CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, score REAL);
      WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500000)
        INSERT INTO t SELECT x, printf('row-%d-%s', x, hex(x * 7919)), x * 0.5 FROM n;
      CREATE INDEX by_name ON t(name);
      SELECT count(*), sum(length(upper(name) || lower(name) || replace(name, '-', '+'))) FROM t;
      SELECT name, score FROM t WHERE name LIKE 'row-12%99' ORDER BY name LIMIT 20;
      SELECT substr(name, 1, 6) AS k, count(*), group_concat(id % 10, '') FROM t GROUP BY k ORDER BY k LIMIT 5;)";

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_E2E_SQLITE_SCRIPT_H_
