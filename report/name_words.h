// The words that names are made of, and what they are words for. A function is called FetchPage and a map
// customers_by_id for a reason; a name proves nothing, and tips the scales where two causes are as likely.
#ifndef ALLOCLINE_REPORT_NAME_WORDS_H_
#define ALLOCLINE_REPORT_NAME_WORDS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/evidence.h"

namespace allocline {

// In small letters: {functools, lru, cache} of "functools.lru_cache", {fetch, page, of, rows} of "FetchPageOfRows".
std::vector<std::string> WordsOf(std::string_view name);

struct NamedFact {
  FactKind fact;
  std::string_view noun;
  std::vector<std::string_view> words;
};
std::span<const NamedFact> NamedFacts();

// Whether a container of this name is one row: "row", "self.record".
bool IsRowName(std::string_view name);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_NAME_WORDS_H_
