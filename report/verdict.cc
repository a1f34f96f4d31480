#include "report/verdict.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/trend.h"

namespace allocline {
namespace {

static_assert(kLeastCheckpoints == kLeastPoints);

// Above, a series is thinned to medians of neighbours: 128 points show every shape here, and n^2 of them are cheap
// enough for ten thousand lines.
constexpr size_t kMostPoints = 128;
// A flat end of fewer intervals may be a pause.
constexpr size_t kLeastFlat = 3;
// Nor is it flat if there were pauses half as long before.
constexpr size_t kPauses = 2;
constexpr size_t kShortEnd = 8;
constexpr double kPartOfPace = 0.25;
// A flat end that still rises does not level off unless the rise itself fades: its second half has less than this share
// of what the first has. Of a filling cache, 1 - exp(-t), that is so from two time constants on; of a leak it is 1.
constexpr double kFading = 0.6;
// Two levels explain this much of a step's variance; of a straight line's they explain three quarters.
constexpr double kStepExplains = 0.9;
// Blocks that are one buffer: growing it, there are two for a moment, and its owner may have a few.
constexpr int64_t kFewBlocks = 4;
constexpr int64_t kHugeBlock = 1 << 20;
// From Python's lists (an eighth) to vectors (double): what replaces a buffer is larger by a tenth, or it is no growth
// of one buffer.
constexpr double kBufferGrowth = 1.1;
constexpr size_t kLeastDoublings = 3;
// What is not four times the usual is not a spike, but noise that a second look would not find.
constexpr double kSpikeRatio = 4;
// A spike is over soon: it takes this share of the checkpoints, or one.
constexpr double kSpikeShare = 0.15;
// What comes in so many of the intervals is a habit: a batch's memory, not a spike.
constexpr double kHabitShare = 0.25;
constexpr size_t kLeastHabit = 3;
// A saw swings by a quarter of its top, there and back again twice.
constexpr double kSawSwing = 0.25;
constexpr size_t kLeastTurns = 3;
// What falls in a quarter of the intervals is rough: a saw, or noise.
constexpr double kRoughShare = 0.25;
// What fills and then moves about its top rises in few intervals, and by chance may not rise at all after that. Where a
// ramp explains this much of it, chances of this kind are enough.
constexpr double kRampExplains = 0.97;
constexpr double kRampLevel = 0.05;
// Between two checkpoints, ten times what it ever holds is allocated: churn.
constexpr double kChurnTurnover = 10;

class Judge {
 public:
  Judge(const LineSeries& series, const std::vector<double>& rows) : series_(series), rows_(rows) {
    n_ = series.live_bytes.size();
    for (size_t i = 0; i < n_; ++i) {
      all_.x.push_back(static_cast<double>(i));
      all_.y.push_back(static_cast<double>(series.live_bytes[i]));
    }
    Steady();
    for (size_t i = 1; i < n_; ++i) {
      const uint64_t now = series.allocated_bytes[i], before = series.allocated_bytes[i - 1];
      allocated_.push_back(now > before ? static_cast<double>(now - before) : 0);
    }
  }

  Verdict Give() && {
    FillFigures();
    if (n_ < kLeastCheckpoints) return verdict_;
    Decide();
    return verdict_;
  }

 private:
  // Where blocks are sampled, what is within the error of the value before has not moved.
  void Steady() {
    for (size_t i = 1; i < series_.error_bytes.size(); ++i) {
      if (std::abs(all_.y[i] - all_.y[i - 1]) <= series_.error_bytes[i]) all_.y[i] = all_.y[i - 1];
    }
  }

  void FillFigures() {
    if (n_ == 0) return;
    const std::vector<int64_t>& live = series_.live_bytes;
    verdict_.first = live.front();
    verdict_.last = live.back();
    verdict_.last_blocks = series_.live_blocks.back();
    verdict_.least = *std::min_element(live.begin(), live.end());
    verdict_.most = *std::max_element(live.begin(), live.end());
    verdict_.peak_bytes = series_.peak_bytes;
    verdict_.top = std::max(verdict_.most, series_.peak_bytes.value_or(0));
    verdict_.allocated_per_checkpoint = Median(allocated_);
    verdict_.of = n_ - 1;
    verdict_.end = n_ - 1;
    for (size_t i = 1; i < n_; ++i) {
      verdict_.rises += all_.y[i] > all_.y[i - 1];
      verdict_.falls += all_.y[i] < all_.y[i - 1];
    }
  }

  void Decide() {
    const bool moves = verdict_.rises + verdict_.falls > 0;
    if (moves && (Doubles() || StepsUp() || Rises())) return;
    if (Spikes() || Churns() || Saws()) return;
    if (moves && Falls()) return;
    verdict_.kind = IsOneBuffer() ? VerdictKind::kBuffer : VerdictKind::kStable;
  }

  bool IsOneBuffer() const {
    return verdict_.last_blocks > 0 && verdict_.last_blocks <= kFewBlocks && verdict_.last >= kHugeBlock;
  }

  // How often an interval allocates at least `bytes`, and whether that is a habit.
  bool IsHabit(double bytes) const {
    const auto often = static_cast<size_t>(
        std::count_if(allocated_.begin(), allocated_.end(), [bytes](double each) { return each >= bytes; }));
    return often >= kLeastHabit && static_cast<double>(often) >= kHabitShare * static_cast<double>(allocated_.size());
  }

  // One buffer that is replaced by a larger one grows in steps ever further apart. What it holds grows steadily all the
  // same, as long as the last step is no longer ago than the one after it would be due.
  bool Doubles() {
    if (verdict_.falls > 0 || verdict_.rises < kLeastDoublings) return false;
    if (*std::max_element(series_.live_blocks.begin(), series_.live_blocks.end()) > kFewBlocks) return false;
    size_t last_rise = 0;
    double factor = 0;
    for (size_t i = 1; i < n_; ++i) {
      if (all_.y[i] <= all_.y[i - 1]) continue;
      if (all_.y[i] < kBufferGrowth * all_.y[i - 1]) return false;
      last_rise = i;
      if (all_.y[i - 1] > 0) factor = all_.y[i] / all_.y[i - 1];
    }
    constexpr double kLate = 1.25;  // batches are not all alike
    const double due = static_cast<double>(last_rise + 1) * std::max(factor, kBufferGrowth) * kLate;
    const bool grows = n_ - 1 - last_rise < kLeastFlat || static_cast<double>(n_) <= due;
    verdict_.p = MannKendall(Thin(all_, kMostPoints).y).p;
    verdict_.doubles = true;
    if (!grows) return Levels(0, last_rise);
    verdict_.kind = VerdictKind::kAccumulating;
    verdict_.bytes_per_checkpoint = (all_.y.back() - all_.y.front()) / static_cast<double>(n_ - 1);
    FillRows(0, n_, {});
    return true;
  }

  bool StepsUp() {
    const Step step = FitStep(all_.y);
    if (step.at == 0 || step.explained < kStepExplains || step.after <= step.before) return false;
    std::vector<double> rest = all_.y;
    for (size_t i = 0; i < n_; ++i) rest[i] -= i < step.at ? step.before : step.after;
    const Points thin = Thin({.x = all_.x, .y = std::move(rest)}, kMostPoints);
    if (MannKendall(thin.y).significant) return false;
    if (step.at == n_ - 1) {
      // Seen at the last checkpoint only: if every batch takes as much, this one was caught in the middle.
      if (IsHabit((step.after - step.before) / 2)) return false;
    }
    verdict_.begin = step.at - 1;
    verdict_.end = step.at;
    verdict_.kind = IsOneBuffer() ? VerdictKind::kBuffer : VerdictKind::kStep;
    return true;
  }

  bool IsRough() const { return static_cast<double>(verdict_.falls) >= kRoughShare * static_cast<double>(n_ - 1); }

  // The series itself, or the feet of its teeth.
  bool Rises() {
    Points points = Thin(all_, kMostPoints);
    Trend trend = MannKendall(points.y);
    std::vector<size_t> lows;
    bool only_fills = false;
    // Of a saw the feet say more, and say it in figures that its owner can check. One with long teeth hardly ever
    // falls, but then by much.
    const bool has_teeth = Turns() >= kLeastTurns;
    if (!trend.significant || IsRough() || has_teeth) {
      lows = LowPoints(all_.y);
      Points feet;
      for (const size_t low : lows) {
        feet.x.push_back(all_.x[low]);
        feet.y.push_back(all_.y[low]);
      }
      feet = Thin(feet, kMostPoints);
      const Trend of_feet = MannKendall(feet.y);
      if (of_feet.significant) {
        points = std::move(feet);
        trend = of_feet;
        verdict_.low_points = true;
        verdict_.rises = trend.rises;
        verdict_.falls = trend.falls;
        verdict_.of = points.size() - 1;
      } else if (has_teeth && !IsRough()) {
        return false;
      } else if (!trend.significant) {
        const double explained = FitRamp(points).explained;
        only_fills = !trend.unlikely || explained < kStepExplains;
        if (only_fills && (trend.p > kRampLevel || explained < kRampExplains)) return false;
        lows.clear();
      } else {
        lows.clear();
      }
    }
    verdict_.p = trend.p;

    Ramp ramp = FitRamp(points);
    if (points.size() < 2 * kLeastFlat + 2) ramp = ShortRamp(points);
    const size_t begin = static_cast<size_t>(points.x[ramp.begin]), end = static_cast<size_t>(points.x[ramp.end]);
    const Points tail = points.Slice(ramp.end, points.size());
    const size_t still = std::min(tail.size() - 1, StillSince(points, ramp.end));
    const bool is_flat = still >= kLeastFlat && still > kPauses * LongestPause(points, ramp.end);
    if (is_flat && !GoesOn(tail, ramp.slope)) return Levels(begin, end);
    if (only_fills) return false;
    // A flat end that rises all the same is what goes on: the ramp before it was the start.
    const size_t since = is_flat && tail.size() >= kLeastPoints ? ramp.end : ramp.begin;
    const Points rising = points.Slice(since, points.size());
    verdict_.kind = VerdictKind::kAccumulating;
    verdict_.begin = static_cast<size_t>(points.x[since]);
    verdict_.bytes_per_checkpoint = TheilSenSlope(rising);
    if (verdict_.bytes_per_checkpoint <= 0) {  // it rises in few places
      verdict_.bytes_per_checkpoint = (rising.y.back() - rising.y.front()) / (rising.x.back() - rising.x.front());
    }
    FillRows(verdict_.begin, n_, lows);
    return true;
  }

  // Too few points for corners to be fitted: a flat end is one that does not rise at all.
  static Ramp ShortRamp(const Points& points) {
    size_t end = points.size() - 1;
    while (end > 0 && points.y[end] <= points.y[end - 1]) --end;
    return {.begin = 0, .end = points.size() - 1 - end >= kLeastFlat ? end : points.size() - 1};
  }

  // In how many intervals at the end nothing came that is like what came until `end`. Noise is not told from that, so
  // of what ever falls: all of them.
  static size_t StillSince(const Points& points, size_t end) {
    std::vector<double> rises;
    for (size_t i = 1; i < points.size(); ++i) {
      const double rise = points.y[i] - points.y[i - 1];
      if (rise < 0) return points.size() - 1;
      if (rise > 0 && i <= end) rises.push_back(rise);
    }
    const double enough = kPartOfPace * Median(rises);
    size_t last = points.size() - 1;
    while (last > 0 && (points.y[last] == points.y[last - 1] || points.y[last] - points.y[last - 1] < enough)) --last;
    return points.size() - 1 - last;
  }

  // The most intervals in a row, before `end`, in which nothing came to what was there.
  static size_t LongestPause(const Points& points, size_t end) {
    size_t longest = 0, pause = 0;
    double most = points.y[0];
    for (size_t i = 1; i <= end; ++i) {
      pause = points.y[i] > most ? 0 : pause + 1;
      longest = std::max(longest, pause);
      most = std::max(most, points.y[i]);
    }
    return longest;
  }

  static bool GoesOn(const Points& tail, double ramp_slope) {
    // A short end has no direction of its own that could be trusted: what rises at a part of the pace goes on.
    if (tail.size() < kShortEnd) return TheilSenSlope(tail) >= kPartOfPace * ramp_slope;
    if (!MannKendall(tail.y).significant) return false;
    const size_t middle = tail.size() / 2;
    const double first = TheilSenSlope(tail.Slice(0, middle + 1));
    const double second = TheilSenSlope(tail.Slice(middle, tail.size()));
    return second >= kFading * first;
  }

  bool Levels(size_t begin, size_t end) {
    verdict_.kind = VerdictKind::kLevelling;
    verdict_.begin = begin;
    verdict_.end = end;
    return true;
  }

  // Bytes per row over the points [begin, end), or over `only` of them.
  void FillRows(size_t begin, size_t end, const std::vector<size_t>& only) {
    if (rows_.empty()) return;
    Points points;
    const auto add = [&](size_t i) {
      points.x.push_back(rows_[i]);
      points.y.push_back(all_.y[i]);
    };
    for (size_t i = begin; i < end && only.empty(); ++i) add(i);
    for (const size_t i : only) {
      if (i >= begin && i < end) add(i);
    }
    if (points.size() < 2 || points.x.back() <= points.x.front()) return;
    const double slope = verdict_.doubles ? 0 : TheilSenSlope(Thin(points, kMostPoints));
    const double mean = (points.y.back() - points.y.front()) / (points.x.back() - points.x.front());
    verdict_.bytes_per_row = slope > 0 ? slope : mean;
  }

  bool Spikes() {
    const double usual = std::max(0.0, Median(all_.y)), top = static_cast<double>(verdict_.top);
    if (top <= 0 || top < kSpikeRatio * usual || IsHabit((top - usual) / 2)) return false;
    const double high = (usual + top) / 2;
    size_t first = n_, last = 0, count = 0;
    for (size_t i = 0; i < n_; ++i) {
      if (all_.y[i] < high) continue;
      first = std::min(first, i);
      last = i;
      ++count;
    }
    const double most = std::max(1.0, kSpikeShare * static_cast<double>(n_));
    if (count > 0 && (last - first + 1 != count || static_cast<double>(count) > most || last == n_ - 1)) return false;
    verdict_.kind = VerdictKind::kSpike;
    if (count > 0) {
      verdict_.begin = first;
      verdict_.end = last;
    }
    return true;
  }

  bool Saws() {
    const double low = Quantile(all_.y, 0.1), high = Quantile(all_.y, 0.9), most = static_cast<double>(verdict_.most);
    const bool tall = high > low && high - low >= kSawSwing * most && Turns() >= kLeastTurns;
    // Or every checkpoint is taken at the foot, and the peak tells the height of a tooth.
    const double top = static_cast<double>(verdict_.top), usual = Median(all_.y);
    const bool unseen = top >= kSpikeRatio * std::max(1.0, usual) && IsHabit((top - usual) / 2);
    if (!tall && !unseen) return false;
    verdict_.kind = VerdictKind::kSawtooth;
    verdict_.swing = tall ? high - low : top - usual;
    return true;
  }

  // How often it turns, by more than two fifths of its range.
  size_t Turns() const {
    const double enough = 0.4 * static_cast<double>(verdict_.most - verdict_.least);
    size_t turns = 0;
    double low = all_.y[0], high = all_.y[0];
    int direction = 0;
    for (const double y : all_.y) {
      low = std::min(low, y);
      high = std::max(high, y);
      const bool up = y - low >= enough && direction <= 0, down = high - y >= enough && direction >= 0;
      if (!up && !down) continue;
      turns += direction != 0;
      direction = up ? 1 : -1;
      low = high = y;
    }
    return turns;
  }

  bool Churns() {
    const double held = std::max(1.0, static_cast<double>(verdict_.top));
    if (verdict_.allocated_per_checkpoint < kChurnTurnover * held) return false;
    verdict_.kind = VerdictKind::kChurn;
    return true;
  }

  bool Falls() {
    Points points = Thin(all_, kMostPoints);
    for (double& y : points.y) y = -y;
    const Trend trend = MannKendall(points.y);
    const Step step = FitStep(points.y);
    if (!trend.significant && (step.explained < kStepExplains || step.after <= step.before)) return false;
    verdict_.kind = VerdictKind::kShrinking;
    verdict_.p = trend.p;
    verdict_.bytes_per_checkpoint = -TheilSenSlope(points);
    return true;
  }

  const LineSeries& series_;
  const std::vector<double>& rows_;
  size_t n_ = 0;
  Points all_;                     // over the numbers of the checkpoints
  std::vector<double> allocated_;  // between neighbours
  Verdict verdict_;
};

struct Names {
  VerdictKind kind;
  std::string_view text, name;
};
constexpr Names kVerdictNames[] = {
    {VerdictKind::kTooFew, "too few checkpoints", "too_few_checkpoints"},
    {VerdictKind::kAccumulating, "accumulating", "accumulating"},
    {VerdictKind::kLevelling, "levels off", "levels_off"},
    {VerdictKind::kStep, "step", "step"},
    {VerdictKind::kBuffer, "one buffer", "one_buffer"},
    {VerdictKind::kSawtooth, "sawtooth", "sawtooth"},
    {VerdictKind::kSpike, "spike", "spike"},
    {VerdictKind::kChurn, "churn", "churn"},
    {VerdictKind::kShrinking, "shrinking", "shrinking"},
    {VerdictKind::kStable, "stable", "stable"},
};
const Names& NamesOf(VerdictKind kind) {
  return *std::find_if(std::begin(kVerdictNames), std::end(kVerdictNames),
                       [kind](const Names& names) { return names.kind == kind; });
}

}  // namespace

std::string_view VerdictText(VerdictKind kind) { return NamesOf(kind).text; }
std::string_view VerdictName(VerdictKind kind) { return NamesOf(kind).name; }

Verdict JudgeSeries(const LineSeries& series, const std::vector<double>& rows) { return Judge(series, rows).Give(); }

}  // namespace allocline
