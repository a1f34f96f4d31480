// The facts of one line, from the sums that evidence.cc adds up. Not part of the library's interface.
#ifndef ALLOCLINE_REPORT_LINE_FACTS_H_
#define ALLOCLINE_REPORT_LINE_FACTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "report/evidence.h"
#include "report/file_names.h"
#include "report/growth.h"
#include "report/known_calls.h"
#include "report/profile.h"
#include "report/statement.h"
#include "report/verdict.h"

namespace allocline {

inline constexpr size_t kCallKinds = static_cast<size_t>(CallKind::kCount);

struct CallBytes {
  int64_t bytes = -1;      // live, of the stacks that pass through such a call; -1: none does
  int64_t largest = -1;    // of the call that most of them pass through
  LocationId example = 0;  // that call
  void Add(int64_t more, LocationId location) {
    bytes = (bytes < 0 ? 0 : bytes) + more;
    if (more > largest) largest = more, example = location;
  }
};
using CallSums = std::array<CallBytes, kCallKinds>;

struct ThreadBytes {
  bool is_first = false;  // the thread that the process began with
  uint64_t allocated = 0, freed = 0;
};

struct LineSums {
  int64_t size = 0, count = 0;  // live at the moment
  double variance = 0;
  uint64_t total_bytes = 0, total_blocks = 0;  // ever allocated, also after it
  int64_t large_bytes = 0, large_blocks = 0;   // live in blocks of a size that no row has
  int64_t buffer_bytes = 0, buffers = 0;       // and in those of a MiB and more
  uint64_t buffers_total_bytes = 0, buffers_total_blocks = 0;
  CallSums calls;                               // between the line and the allocator
  absl::flat_hash_map<StackId, int64_t> paths;  // live, by the node of the line: how it was called
  std::vector<ThreadBytes> threads;             // that allocated or freed here
};

// What all lines of a program share.
struct FactContext {
  const StackTable& stacks;
  const FileNames& names;
  const Evidence& evidence;  // all but its lines
  const Growth& growth;
  const std::vector<Checkpoint>& points;  // all snapshots, and the end
  size_t points_before = 0;               // how many of them are before the moment
  CallSums program_calls;
  absl::flat_hash_map<std::string, CallSums> function_calls;  // by FunctionKey()
  StatementReader* statements = nullptr;                      // or null
};

// A function and what is written inside of it: lambdas, generators, comprehensions.
std::string FunctionKey(std::string_view file, std::string_view function);

// `series`: over context.points. Fills in `path`, `keeper`, `facts` and `present`; the figures are there already.
void FindFacts(const FactContext& context, const LineSums& sums, const Verdict& verdict, const LineSeries& series,
               LineEvidence* line);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_LINE_FACTS_H_
