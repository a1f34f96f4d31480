// Statistics of a short series in which noise, steps and saws may hide a direction.
//
// Memory is not measured with bell-shaped errors: a buffer doubles, a batch is freed, a table is loaded once. So what
// decides here looks at the order of values and at medians, and one wild value changes little:
//
//   MannKendall      do later values tend to be larger? Counts pairs (H. B. Mann, Econometrica 13, 1945; M. G. Kendall,
//                    Rank Correlation Methods, 1975), with the corrections of K. H. Hamed and A. R. Rao (Journal of
//                    Hydrology 204, 1998) and of G. V. Bayley and J. M. Hammersley (Supplement to the Journal of the
//                    Royal Statistical Society 8, 1946), the larger of the two, for series whose neighbours are alike:
//                    a queue that wanders up is no leak.
//   TheilSenSlope    how fast? The median of the slopes between all pairs (P. K. Sen, Journal of the American
//                    Statistical Association 63, 1968). 29 % of the values may be anything.
//   LowPoints        a saw's teeth hide what its feet show: the local minima of the series, judged as a series.
//   FitRamp, FitStep where does it begin and end? Least squares over all places of the corners.
//
// All are pure functions. Long series are thinned first (Thin), as most of this is of n^2 steps.
#ifndef ALLOCLINE_REPORT_TREND_H_
#define ALLOCLINE_REPORT_TREND_H_

#include <cstddef>
#include <span>
#include <vector>

namespace allocline {

// Values over rising positions: checkpoints, or rows of work.
struct Points {
  std::vector<double> x, y;
  size_t size() const { return y.size(); }
  // Those from `begin` up to, not including, `end`.
  Points Slice(size_t begin, size_t end) const;
};

// Fewer say nothing: of four values in any order, one order in 24 rises throughout.
inline constexpr size_t kLeastPoints = 5;
// A series that stands still is found to rise in one case of a thousand: a report has hundreds of lines.
inline constexpr double kTrendLevel = 0.001;

struct Trend {
  size_t rises = 0, falls = 0;  // of neighbours
  double p = 1;                 // one-sided: how rarely chance alone gives as many rising pairs
  bool unlikely = false;        // p is below the level
  bool significant = false;     // and that is not owed to neighbours being alike
};
// Whether `y` rises. Of fewer than kLeastPoints values, it does not.
Trend MannKendall(std::span<const double> y);

// Median of the slopes between all pairs with different x; 0 if there is none.
double TheilSenSlope(const Points& points);

double Median(std::vector<double> values);  // 0 of nothing
// The value that a share `q` of them is not above.
double Quantile(std::vector<double> values, double q);

// The places where y is lower than before and after; of a flat bottom the last one. Not the first value, nor the last.
std::vector<size_t> LowPoints(std::span<const double> y);

// At most `limit` points: the medians of x and of y in blocks of neighbours.
Points Thin(const Points& points, size_t limit);

// Flat, then straight up, then flat: the corners are at points `begin` and `end`. A straight line is the ramp from the
// first point to the last.
struct Ramp {
  size_t begin = 0, end = 0;
  double slope = 0;
  double explained = 0;  // of the variance, 0 to 1
};
// The ramp that fits best, unless a straight line through all points fits nearly as well.
Ramp FitRamp(const Points& points);

// Two levels: y[0, at) and y[at, n), by medians.
struct Step {
  size_t at = 0;  // 0: there is none
  double before = 0, after = 0;
  double explained = 0;  // of the variance, 0 to 1
};
Step FitStep(std::span<const double> y);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_TREND_H_
