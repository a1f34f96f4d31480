// What a line of source text says about the memory that is allocated on it: which container it goes to, under what
// name, and what else the statement calls.
//
// In Python this is the only witness of a method of a built-in type, which has no frame of its own:
//
//   for row in cursor.fetchall():                 a whole result ...
//       orders[row["id"]] = row                   ... and what becomes of it: keyed, by the name "orders"
//
// A statement that only names what it made (row = ...), or is the head of a loop, is followed for a few lines to where
// the name is put into a container. It is a reading of text and no parser, and so it is evidence among other, never
// alone.
//
// Files are those of this machine, by the path that was recorded. One that was changed after the recording began may
// have other lines now, and is not read.
//
// Threads: one per thread.
#ifndef ALLOCLINE_REPORT_STATEMENT_H_
#define ALLOCLINE_REPORT_STATEMENT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "report/known_calls.h"
#include "report/source_lines.h"

namespace allocline {

struct Statement {
  CallKinds kinds;
  std::string text;       // without comments, and with nothing in quotation marks
  std::string container;  // "self._orders", where something is put into one; else empty
  uint32_t container_line = 0;
  // The kind of container was told by a subscript, x[i] = y or x[i].append(y): in Python it is a map's more often than
  // not. In C and C++ an array's looks alike; if it is one, y goes into `of_array`.
  bool by_subscript = false;
  CallKinds of_array;
};

class StatementReader {
 public:
  // Files changed after that (since 1970) are not read; 0: all are.
  explicit StatementReader(uint64_t recorded_at_ns) : recorded_at_ns_(recorded_at_ns) {}

  Statement Read(std::string_view file, uint32_t line);
  // What the lines before it call, as far as they are of the same function: only kFile, kPaged and kDatabase are looked
  // for.
  CallKinds Around(std::string_view file, uint32_t line);
  // Whether the lines around look for something in `container`, and give back what is there: how a cache is written.
  bool IsLookUp(std::string_view file, uint32_t line, std::string_view container);
  // Whether a function of Python that the line is in, of that name, has a decorator that keeps results.
  bool IsMemoized(std::string_view file, uint32_t line, std::string_view function);

 private:
  bool IsAsRecorded(std::string_view file);
  std::string_view Line(std::string_view file, uint32_t line);  // as it stands there
  std::string Code(std::string_view file, uint32_t line);       // without comments, and with nothing in quotation marks
  std::string WholeStatement(std::string_view file, uint32_t line, uint32_t* last);
  void Follow(std::string_view file, uint32_t line, std::string_view name, Statement* statement);

  const uint64_t recorded_at_ns_;
  SourceLines lines_;
  absl::flat_hash_map<std::string, bool> as_recorded_;
};

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_STATEMENT_H_
