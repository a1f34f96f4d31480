// The first demand on the tracer: the program does what it does without it.
#ifndef ALLOCLINE_TESTS_E2E_UNHARMED_H_
#define ALLOCLINE_TESTS_E2E_UNHARMED_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/record.h"

namespace allocline::testing {

inline void ExpectSame(const Outcome& traced, const Outcome& untraced) {
  EXPECT_EQ(traced.Ending(), untraced.Ending());
  EXPECT_EQ(traced.out, untraced.out);
  EXPECT_EQ(traced.err, untraced.err);
}

// Runs `program` of tests/programs both ways; the endings and outputs must be the same. Gives the traced run.
inline Recorded RecordUnharmed(const std::string& program, const RecordOptions& options = {}) {
  Outcome untraced = RunUntraced(program, options);
  Recorded run = Record(program, options);
  ExpectSame(run.outcome, untraced);
  return run;
}

// The same, and the program's every line has what its markers say.
inline Recorded RecordExactly(const std::string& program, const RecordOptions& options = {}) {
  Recorded run = RecordUnharmed(program, options);
  EXPECT_THAT(run.main().UserLines(), ::testing::ContainerEq(run.truth));
  return run;
}

// "one line", ending in a newline, nothing else: what the tracer may say when something is wrong.
MATCHER(IsOneLine, "") { return !arg.empty() && arg.find('\n') == arg.size() - 1; }

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_E2E_UNHARMED_H_
