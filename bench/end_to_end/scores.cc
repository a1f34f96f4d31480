#include "bench/end_to_end/scores.h"

#include <fmt/core.h>

#include <algorithm>

namespace allocline::bench {
namespace {

std::string Figure(double value, const std::string& unit) {
  if (unit == "%") return fmt::format("{:.1f} %", value * 100);
  return fmt::format("{:.{}f}{}", value, unit == "x" ? 2 : 1, unit);
}

}  // namespace

void Scores::AtMost(const std::string& what, double limit, double measured, const std::string& unit) {
  Add(what, "<=", limit, measured, unit, measured <= limit);
}

void Scores::AtLeast(const std::string& what, double limit, double measured, const std::string& unit) {
  Add(what, ">=", limit, measured, unit, measured >= limit);
}

void Scores::Add(const std::string& what, const char* sign, double limit, double measured, const std::string& unit,
                 bool met) {
  rows_.push_back({what, fmt::format("{} {}", sign, Figure(limit, unit)), Figure(measured, unit), met});
}

void Scores::NotMeasured(const std::string& what, const std::string& why) {
  not_measured_.push_back(what + ": " + why);
}

void Scores::BehindHeaptrack(const std::string& what, double ratio) {
  behind_.push_back(fmt::format("{} {:.2f} times heaptrack's", what, ratio));
}

void Scores::Print() const {
  if (!rows_.empty()) {
    fmt::print("{:<80}{:>12}{:>12}  {}\n", "", "asked", "measured", "met?");
    for (const Row& row : rows_)
      fmt::print("{:<80}{:>12}{:>12}  {}\n", row.what, row.asked, row.measured, row.met ? "yes" : "NO");
    const auto missed = std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return !row.met; });
    fmt::print("{} of {} met\n", static_cast<long>(rows_.size()) - missed, rows_.size());
  }
  for (const std::string& sentence : not_measured_) fmt::print("not measured: {}\n", sentence);
  for (const std::string& sentence : behind_) fmt::print("behind heaptrack: {}\n", sentence);
}

}  // namespace allocline::bench
