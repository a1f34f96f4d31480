// What was asked, what was measured, and whether it was met: the table that a run of the benchmarks ends with.
#ifndef ALLOCLINE_BENCH_END_TO_END_SCORES_H_
#define ALLOCLINE_BENCH_END_TO_END_SCORES_H_

#include <string>
#include <vector>

namespace allocline::bench {

class Scores {
 public:
  // `unit` follows both figures: " ns", "x", " MiB"; "%" makes them percentages.
  void AtMost(const std::string& what, double limit, double measured, const std::string& unit);
  void AtLeast(const std::string& what, double limit, double measured, const std::string& unit);
  void NotMeasured(const std::string& what, const std::string& why);
  // Where we came out behind heaptrack: `ratio` times its figure.
  void BehindHeaptrack(const std::string& what, double ratio);

  void Print() const;

 private:
  struct Row {
    std::string what, asked, measured;
    bool met;
  };
  void Add(const std::string& what, const char* sign, double limit, double measured, const std::string& unit, bool met);

  std::vector<Row> rows_;
  std::vector<std::string> not_measured_;
  std::vector<std::string> behind_;
};

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_SCORES_H_
