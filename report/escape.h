// Makes text from a recording safe to print. Paths, symbols and labels are whatever the traced process chose: they may
// hold terminal escapes that move the cursor, retitle the window or forge lines of the report.
#ifndef ALLOCLINE_REPORT_ESCAPE_H_
#define ALLOCLINE_REPORT_ESCAPE_H_

#include <string>
#include <string_view>

namespace allocline {

// `text` with every control character (C0, DEL, C1), every bidirectional override and line separator, and every byte
// that is not valid UTF-8 shown as \xNN, one per byte. A backslash stays as it is: the result is for eyes, not for
// parsing back.
std::string Printable(std::string_view text);

// `text` with every byte that is not part of valid UTF-8 replaced by U+FFFD: what JSON can hold.
std::string ValidUtf8(std::string_view text);

// Length of the valid UTF-8 sequence at the beginning of `text`, 0 if there is none; `code_point` is set.
size_t DecodeUtf8(std::string_view text, char32_t* code_point);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_ESCAPE_H_
