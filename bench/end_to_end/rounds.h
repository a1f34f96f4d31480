// Figures from a machine that others use too: variants take turns, and what is told is the median over the rounds of
// what was measured within one round.
#ifndef ALLOCLINE_BENCH_END_TO_END_ROUNDS_H_
#define ALLOCLINE_BENCH_END_TO_END_ROUNDS_H_

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "bench/end_to_end/variant.h"

namespace allocline::bench {

inline double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// One value per round and variant.
using Rounds = std::map<Variant, std::vector<Run>>;

// Calls `run` for each variant in each round, each round beginning with another variant, after one round that is not
// counted (it fills the page cache).
inline Rounds Alternate(const std::vector<Variant>& variants, int rounds, const std::function<Run(Variant)>& run) {
  Rounds results;
  for (int round = -1; round < rounds; ++round) {
    for (size_t i = 0; i < variants.size(); ++i) {
      const Variant variant = variants[(i + static_cast<size_t>(round + 1)) % variants.size()];
      if (round >= 0) {
        results[variant].push_back(run(variant));
      } else if (variant == variants.front()) {
        run(variant);
      }
    }
  }
  return results;
}

inline double MedianOf(const std::vector<Run>& runs, const std::function<double(const Run&)>& value) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const Run& run : runs) values.push_back(value(run));
  return Median(values);
}

// The median over the rounds of value(a's run) / value(b's run of the same round).
inline double MedianRatio(const std::vector<Run>& a, const std::vector<Run>& b,
                          const std::function<double(const Run&)>& value) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) ratios.push_back(value(a[i]) / value(b[i]));
  return Median(ratios);
}

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_ROUNDS_H_
