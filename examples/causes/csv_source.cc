#include "examples/causes/csv_source.h"

#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace connectors {
namespace {

Value CellOf(std::string&& text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  return std::move(text);
}

}  // namespace

CsvSource::CsvSource(const std::string& path) : path_(path), file_(path, std::ios::binary) {
  if (!file_) throw std::runtime_error("cannot read " + path);
  if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::runtime_error("cannot set up a CSV parser");
  if (!NextCells(names_)) throw std::runtime_error(path + " has no header");
}

bool CsvSource::Next(Row& row) {
  Cells cells;
  if (!NextCells(cells)) return false;
  if (cells.size() != names_.size()) throw std::runtime_error(path_ + ": a line is not as long as the header");
  for (size_t i = 0; i < cells.size(); ++i) row[names_[i]] = CellOf(std::move(cells[i]));
  return true;
}

bool CsvSource::NextCells(Cells& cells) {
  std::array<char, 16 << 10> chunk;
  while (lines_.empty() && file_) {
    file_.read(chunk.data(), chunk.size());
    const size_t bytes = static_cast<size_t>(file_.gcount());
    if (csv_parse(&parser_, chunk.data(), bytes, OnCell, OnLineEnd, this) != bytes ||
        (!file_ && csv_fini(&parser_, OnCell, OnLineEnd, this) != 0)) {
      throw std::runtime_error(path_ + ": " + csv_strerror(csv_error(&parser_)));
    }
  }
  if (file_.bad()) throw std::runtime_error("cannot read " + path_);
  if (lines_.empty()) return false;
  cells = std::move(lines_.front());
  lines_.pop_front();
  return true;
}

void CsvSource::OnCell(void* text, size_t bytes, void* self) {
  static_cast<CsvSource*>(self)->line_.emplace_back(static_cast<const char*>(text), bytes);
}

void CsvSource::OnLineEnd(int /*terminator*/, void* self) {
  CsvSource& source = *static_cast<CsvSource*>(self);
  source.lines_.push_back(std::exchange(source.line_, {}));
}

}  // namespace connectors
