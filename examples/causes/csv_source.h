// Reads a CSV file with a header row by row, with libcsv.
#ifndef ALLOCLINE_EXAMPLES_CAUSES_CSV_SOURCE_H_
#define ALLOCLINE_EXAMPLES_CAUSES_CSV_SOURCE_H_

#include <csv.h>

#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "examples/connectors/connector_kit.h"

namespace connectors {

// Throws std::runtime_error with the file's name when it cannot be read or is no CSV. In memory: what 16 KiB of the
// file hold. Belongs to one thread.
class CsvSource {
 public:
  explicit CsvSource(const std::string& path);
  ~CsvSource() { csv_free(&parser_); }
  CsvSource(const CsvSource&) = delete;
  CsvSource& operator=(const CsvSource&) = delete;

  // The next row in place of the last one, its cells by the names in the header: numbers where a cell is a whole one,
  // texts otherwise. False after the last row.
  bool Next(Row& row);

 private:
  using Cells = std::vector<std::string>;

  // The next line of the file, the header among them; false at its end.
  bool NextCells(Cells& cells);
  static void OnCell(void* text, size_t bytes, void* self);
  static void OnLineEnd(int terminator, void* self);

  std::string path_;
  std::ifstream file_;
  csv_parser parser_;
  Cells names_;
  Cells line_;               // as far as it is read
  std::deque<Cells> lines_;  // read, and not asked for yet
};

}  // namespace connectors

#endif  // ALLOCLINE_EXAMPLES_CAUSES_CSV_SOURCE_H_
