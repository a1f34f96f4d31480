// What tracing a program of tests/programs changes of what it does: nothing, if all is well.
#ifndef ALLOCLINE_TESTS_SUPPORT_HARM_H_
#define ALLOCLINE_TESTS_SUPPORT_HARM_H_

#include <string>
#include <vector>

namespace allocline::testing {

// Runs `program` ("containers", "traps/fork_storm") by itself, then traced once with the environment variable `setting`
// at each of `values`. What differs in its output or its ending, and what of the recordings is damaged, a line each; ""
// if there is nothing. Whose signal handlers allocate runs on top of a malloc that allows it; what it prints depends on
// how often its timers rang, so that only the ending is compared.
std::string HarmDoneTo(const std::string& program, const std::string& setting, const std::vector<std::string>& values);

}  // namespace allocline::testing

#endif  // ALLOCLINE_TESTS_SUPPORT_HARM_H_
