// Profiles as tests write them: a list of traces in tracemalloc's own raw form, frames most recent first.
#ifndef ALLOCLINE_TESTS_REPORT_TRACES_H_
#define ALLOCLINE_TESTS_REPORT_TRACES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/profile.h"
#include "report/profile_builder.h"

namespace allocline {

struct Trace {
  uint32_t domain;
  int64_t size;
  std::vector<std::pair<std::string, uint32_t>> frames;  // most recent first
};

inline Profile ProfileOfTraces(const std::vector<Trace>& traces) {
  ProfileBuilder builder;
  for (const Trace& trace : traces) {
    StackId stack = kRootStack;
    for (auto frame = trace.frames.rbegin(); frame != trace.frames.rend(); ++frame) {
      stack = builder.Push(
          stack, builder.AddLocation({.file = frame->first, .line = frame->second, .level = ResolutionLevel::kLine}));
    }
    builder.AddSite({.stack = stack,
                     .domain = trace.domain,
                     .live_bytes = trace.size,
                     .live_blocks = 1,
                     .total_bytes = static_cast<uint64_t>(trace.size),
                     .total_blocks = 1});
  }
  return std::move(builder).Build(UserLineRule({}));
}

// The two snapshots of CPython's own tests.
inline std::vector<Trace> FirstTraces() {
  return {{0, 10, {{"a.py", 2}, {"b.py", 4}}},
          {0, 10, {{"a.py", 2}, {"b.py", 4}}},
          {0, 10, {{"a.py", 2}, {"b.py", 4}}},
          {1, 2, {{"a.py", 5}, {"b.py", 4}}},
          {2, 66, {{"b.py", 1}}},
          {3, 7, {{"<unknown>", 0}}}};
}
inline std::vector<Trace> SecondTraces() {
  return {{0, 10, {{"a.py", 2}, {"b.py", 4}}},   {0, 10, {{"a.py", 2}, {"b.py", 4}}},
          {0, 10, {{"a.py", 2}, {"b.py", 4}}},   {2, 2, {{"a.py", 5}, {"b.py", 4}}},
          {2, 5000, {{"a.py", 5}, {"b.py", 4}}}, {4, 400, {{"c.py", 578}}}};
}

template <typename Item>
std::vector<std::string> Texts(const std::vector<Item>& items) {
  std::vector<std::string> texts;
  for (const Item& item : items) texts.push_back(Str(item));
  return texts;
}

}  // namespace allocline

#endif  // ALLOCLINE_TESTS_REPORT_TRACES_H_
