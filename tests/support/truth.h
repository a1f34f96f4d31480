// The truth about a program of tests/programs: what each marked line of its source must have allocated.
//
// A marker (tests/programs/truth.h tells their forms) names its line, so no test knows a line number.
#ifndef ALLOCLINE_TESTS_SUPPORT_TRUTH_H_
#define ALLOCLINE_TESTS_SUPPORT_TRUTH_H_

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace allocline::testing {

struct Amount {
  int64_t live_bytes = 0, live_blocks = 0;
  uint64_t total_bytes = 0, total_blocks = 0;
  Amount& operator+=(const Amount& other);
  bool operator==(const Amount&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Amount& amount);  // 100/1 of 300/3, as in a marker

// Amounts by the name of the line. Lines without any allocation have no element.
using Lines = std::map<std::string, Amount>;

struct Marker {
  std::string file;  // path
  uint32_t line = 0;
  std::string name;
  bool any = false;              // what happens here is libc's business
  std::optional<Amount> amount;  // if the source knows it
};

// The markers of a source file. Throws std::runtime_error for one it does not understand.
std::vector<Marker> ReadMarkers(const std::string& file);

// What `output`, the standard output of a program, says about its lines (Say() in tests/programs/truth.h).
Lines ReadOutput(std::string_view output);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_TRUTH_H_
