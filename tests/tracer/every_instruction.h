// A signal handler at every single instruction of some code, each in a process of its own, as a test.
//
//   ForEachInstruction([](AtInstruction& at) {
//     ...
//     at.Interrupt([&] { counters.At(1000, recording); }, [&] { counters.At(2000, recording); });
//     EXPECT_EQ(...);
//   });
#ifndef ALLOCLINE_TESTS_TRACER_EVERY_INSTRUCTION_H_
#define ALLOCLINE_TESTS_TRACER_EVERY_INSTRUCTION_H_

#include <functional>
#include <memory>
#include <optional>

#include "tests/support/single_step.h"

namespace allocline::testing {

class AtInstruction {
 public:
  // To be called once in a trial. Runs `action`, and `interrupt` in the middle of it. False if nothing was interrupted,
  // as in the trial that only finds out which instructions there are.
  bool Interrupt(const std::function<void()>& action, const std::function<void()>& interrupt);

 private:
  friend void ForEachInstruction(const std::function<void(AtInstruction&)>& trial);
  std::optional<Point> point_;
  bool interrupted_ = false;
  std::unique_ptr<Trace> trace_;
};

// A trial that dies, does not end, or fails an EXPECT fails the test and tells at which instruction.
void ForEachInstruction(const std::function<void(AtInstruction&)>& trial);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_TRACER_EVERY_INSTRUCTION_H_
