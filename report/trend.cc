#include "report/trend.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace allocline {
namespace {

// Below this the distribution of S is not the normal one, and is counted out.
constexpr size_t kMostExact = 10;
// Hamed and Rao: with fewer, an autocorrelation is mostly noise itself.
constexpr size_t kLeastForAutocorrelation = 10;
// 95 of 100 autocorrelations of independent values are within so many / sqrt(n).
constexpr double kAutocorrelationBound = 1.96;

// A first autocorrelation that is estimated beside a slope comes out too low by (2 + 4 r) / n, which is put back; above
// this it says no more than that hardly anything is independent.
constexpr double kMostCorrelation = 0.95;

// A curve is never told from a straight line by less than this share of its range: allocators round, and a shape that
// deviates by half a percent is no other shape.
constexpr double kSmallestDeviation = 0.005;
// How much better than a line a ramp must fit, as Fisher's F for its two corners. The corners are searched for, so the
// usual table does not hold: D. W. K. Andrews (Econometrica 61, 1993) gives 8 for long series. Short ones are asked
// for more: 8 (1 + 8 / degrees of freedom) keeps straight lines with noise in 99 of 100 cases from 8 points on.
constexpr double kBreakRatio = 8;
constexpr double kBreakRatioShort = 8;
constexpr size_t kLeastForRamp = 8;

double OneSidedNormal(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

// P(S >= s) of n values in random order: S is n (n - 1) / 2 less twice the inversions, of which the number of
// permutations follows by putting in one value after another.
double ExactP(size_t n, int64_t s) {
  std::vector<double> ways = {1};
  for (size_t k = 2; k <= n; ++k) {
    std::vector<double> more(ways.size() + k - 1, 0);
    for (size_t i = 0; i < ways.size(); ++i) {
      for (size_t put = 0; put < k; ++put) more[i + put] += ways[i];
    }
    ways = std::move(more);
  }
  const int64_t pairs = static_cast<int64_t>(n * (n - 1) / 2);
  double as_many = 0;
  for (size_t inversions = 0; inversions < ways.size(); ++inversions) {
    if (pairs - 2 * static_cast<int64_t>(inversions) >= s) as_many += ways[inversions];
  }
  return as_many / std::accumulate(ways.begin(), ways.end(), 0.0);
}

struct Pairs {
  int64_t s = 0;        // rising less falling
  double variance = 0;  // of s, if the order were random
  bool has_ties = false;
};
Pairs CountPairs(std::span<const double> y) {
  Pairs pairs;
  for (size_t i = 0; i < y.size(); ++i) {
    for (size_t j = i + 1; j < y.size(); ++j) pairs.s += (y[j] > y[i]) - (y[j] < y[i]);
  }
  const auto term = [](double n) { return n * (n - 1) * (2 * n + 5); };
  double variance = term(static_cast<double>(y.size()));
  std::vector<double> sorted(y.begin(), y.end());
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
    if (end - i > 1) {
      variance -= term(static_cast<double>(end - i));
      pairs.has_ties = true;
    }
    i = end;
  }
  pairs.variance = variance / 18;
  return pairs;
}

// Ranks from 1; equal values share the mean of theirs.
std::vector<double> RanksOf(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t k = i; k < end; ++k) ranks[order[k]] = static_cast<double>(i + end + 1) / 2;
    i = end;
  }
  return ranks;
}

// What the variance of S is to be multiplied with because neighbours are alike: at least 1.
double AutocorrelationFactor(std::span<const double> y) {
  const size_t count = y.size();
  if (count < kLeastForAutocorrelation) return 1;
  const double n = static_cast<double>(count);
  Points points{.x = std::vector<double>(count), .y = {y.begin(), y.end()}};
  std::iota(points.x.begin(), points.x.end(), 0.0);
  const double slope = TheilSenSlope(points);
  for (size_t i = 0; i < count; ++i) points.y[i] -= slope * points.x[i];
  std::vector<double> ranks = RanksOf(points.y);
  const double mean = (n + 1) / 2;
  double square = 0;
  for (double& rank : ranks) {
    rank -= mean;
    square += rank * rank;
  }
  if (square == 0) return 1;
  double sum = 0, first = 0;
  for (size_t lag = 1; lag <= count / 4; ++lag) {
    double product = 0;
    for (size_t i = lag; i < count; ++i) product += ranks[i] * ranks[i - lag];
    const double correlation = product / square, k = n - static_cast<double>(lag);
    if (lag == 1) first = std::clamp((n * correlation + 2) / (n - 4), 0.0, kMostCorrelation);
    if (std::abs(correlation) > kAutocorrelationBound / std::sqrt(n)) sum += k * (k - 1) * (k - 2) * correlation;
  }
  return std::max({1.0, 1 + 2 / (n * (n - 1) * (n - 2)) * sum, (1 + first) / (1 - first)});
}

// P of so many heads or more in `tosses` of a coin.
double CoinP(size_t heads, size_t tosses) {
  double p = 0;
  for (size_t k = heads; k <= tosses; ++k) {
    const double n = static_cast<double>(tosses), h = static_cast<double>(k);
    p += std::exp(std::lgamma(n + 1) - std::lgamma(h + 1) - std::lgamma(n - h + 1) - n * std::log(2.0));
  }
  return std::min(p, 1.0);
}

// Of few values no order is as rare as kTrendLevel: there, only the one that rises throughout passes.
double LevelFor(size_t n) {
  double orders = 1;
  for (size_t k = 2; k <= std::min<size_t>(n, 10); ++k) orders *= static_cast<double>(k);
  return std::max(kTrendLevel, 1.5 / orders);
}

}  // namespace

Points Points::Slice(size_t begin, size_t end) const {
  const auto from = static_cast<std::ptrdiff_t>(begin), to = static_cast<std::ptrdiff_t>(end);
  return {.x = {x.begin() + from, x.begin() + to}, .y = {y.begin() + from, y.begin() + to}};
}

Trend MannKendall(std::span<const double> y) {
  Trend trend;
  for (size_t i = 1; i < y.size(); ++i) {
    trend.rises += y[i] > y[i - 1];
    trend.falls += y[i] < y[i - 1];
  }
  if (y.size() < kLeastPoints || trend.rises == 0) return trend;
  const Pairs pairs = CountPairs(y);
  if (pairs.s <= 0 || pairs.variance <= 0) return trend;
  const double s = static_cast<double>(pairs.s);
  const double level = LevelFor(y.size());
  trend.p = y.size() <= kMostExact && !pairs.has_ties ? ExactP(y.size(), pairs.s)
                                                      : OneSidedNormal((s - 1) / std::sqrt(pairs.variance));
  trend.unlikely = trend.p < level;
  if (!trend.unlikely) return trend;
  // What hardly ever falls needs no model of its noise; elsewhere values that are alike count for fewer.
  constexpr size_t kRisesWithoutFall = 4;
  trend.significant = (trend.falls == 0 && trend.rises >= kRisesWithoutFall) ||
                      CoinP(trend.rises, trend.rises + trend.falls) < level ||
                      OneSidedNormal((s - 1) / std::sqrt(pairs.variance * AutocorrelationFactor(y))) < level;
  return trend;
}

double TheilSenSlope(const Points& points) {
  std::vector<double> slopes;
  slopes.reserve(points.size() * points.size() / 2);
  for (size_t i = 0; i < points.size(); ++i) {
    for (size_t j = i + 1; j < points.size(); ++j) {
      if (points.x[j] != points.x[i]) slopes.push_back((points.y[j] - points.y[i]) / (points.x[j] - points.x[i]));
    }
  }
  return Median(std::move(slopes));
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::vector<size_t> LowPoints(std::span<const double> y) {
  std::vector<size_t> lows;
  bool fell = false;
  for (size_t i = 1; i < y.size(); ++i) {
    if (y[i] > y[i - 1]) {
      if (fell) lows.push_back(i - 1);
      fell = false;
    } else if (y[i] < y[i - 1]) {
      fell = true;
    }
  }
  return lows;
}

Points Thin(const Points& points, size_t limit) {
  if (points.size() <= limit) return points;
  Points thin;
  for (size_t block = 0; block < limit; ++block) {
    const Points some = points.Slice(block * points.size() / limit, (block + 1) * points.size() / limit);
    thin.x.push_back(Median(some.x));
    thin.y.push_back(Median(some.y));
  }
  return thin;
}

Ramp FitRamp(const Points& points) {
  const size_t n = points.size();
  const double count = static_cast<double>(n);
  Ramp line{.begin = 0, .end = n - 1, .slope = TheilSenSlope(points)};
  if (n < kLeastForRamp) return line;
  const double mean = std::accumulate(points.y.begin(), points.y.end(), 0.0) / count;
  // Sums over the points before each one.
  std::vector<double> x(n + 1), xx(n + 1), y(n + 1), xy(n + 1);
  double square = 0;
  for (size_t i = 0; i < n; ++i) {
    const double value = points.y[i] - mean;
    x[i + 1] = x[i] + points.x[i];
    xx[i + 1] = xx[i] + points.x[i] * points.x[i];
    y[i + 1] = y[i] + value;
    xy[i + 1] = xy[i] + points.x[i] * value;
    square += value * value;
  }
  double slope = 0;
  const auto residual = [&](size_t begin, size_t end) {
    const double from = points.x[begin], to = points.x[end];
    const double before = static_cast<double>(begin), after = static_cast<double>(n - 1 - end);
    const double u = before * from + (x[end + 1] - x[begin]) + after * to;
    const double uu = before * from * from + (xx[end + 1] - xx[begin]) + after * to * to;
    const double uy = from * y[begin] + (xy[end + 1] - xy[begin]) + to * (y[n] - y[end + 1]);
    const double spread = uu - u * u / count;
    slope = spread <= 0 ? 0 : uy / spread;  // the mean of y is 0
    return std::max(0.0, square - slope * uy);
  };
  const auto [least, most] = std::minmax_element(points.y.begin(), points.y.end());
  const double deviation = kSmallestDeviation * (*most - *least);
  const double smallest = count * deviation * deviation;
  const double of_line = std::max(smallest, residual(0, n - 1));
  Ramp best = line;
  double of_best = of_line;
  for (size_t begin = 0; begin + 1 < n; ++begin) {
    for (size_t end = begin + 1; end < n; ++end) {
      const double of_this = std::max(smallest, residual(begin, end));
      if (slope <= 0 || of_this >= of_best) continue;
      of_best = of_this;
      best = {.begin = begin, .end = end, .slope = slope, .explained = square == 0 ? 0 : 1 - of_this / square};
    }
  }
  const double freedom = count - 4;
  const double ratio = (of_line - of_best) / 2 / (of_best / freedom);
  line.explained = square == 0 ? 0 : std::max(0.0, 1 - of_line / square);
  if (of_best == 0 || ratio < kBreakRatio * (1 + kBreakRatioShort / freedom)) return line;
  return best;
}

Step FitStep(std::span<const double> y) {
  const double n = static_cast<double>(y.size());
  double sum = 0, square = 0;
  for (const double value : y) sum += value;
  const double mean = y.empty() ? 0 : sum / n;
  for (const double value : y) square += (value - mean) * (value - mean);
  Step step;
  if (square == 0) return step;
  double before = 0;  // of the values less their mean
  for (size_t at = 1; at < y.size(); ++at) {
    before += y[at - 1] - mean;
    const double left = static_cast<double>(at), explained = before * before * n / (left * (n - left)) / square;
    if (explained > step.explained) step = {.at = at, .explained = explained};
  }
  const auto split = y.begin() + static_cast<std::ptrdiff_t>(step.at);
  step.before = Median({y.begin(), split});
  step.after = Median({split, y.end()});
  return step;
}

}  // namespace allocline
