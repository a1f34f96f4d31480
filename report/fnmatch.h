// Python's fnmatch.fnmatchcase(): * ? [seq] [!seq], over the whole text; * crosses '/'.
//
// POSIX fnmatch() is not it: [^a] negates there, a backslash quotes, an unclosed [ differs. Characters are UTF-8 code
// points; a byte that is not part of one counts as a character of its own.
#ifndef ALLOCLINE_REPORT_FNMATCH_H_
#define ALLOCLINE_REPORT_FNMATCH_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace allocline {

// A compiled pattern: Match() on many texts costs no parsing.
class FnmatchPattern {
 public:
  explicit FnmatchPattern(std::string_view pattern);
  bool Matches(std::string_view text) const;

 private:
  struct Token {
    enum Kind { kLiteral, kAnyOne, kAnyRun, kSet } kind;
    char32_t literal = 0;
    bool negated = false;
    std::vector<std::pair<char32_t, char32_t>> ranges = {};
    bool Accepts(char32_t c) const;
  };
  std::vector<Token> tokens_;
};

bool Fnmatch(std::string_view pattern, std::string_view text);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_FNMATCH_H_
