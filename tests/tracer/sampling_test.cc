// What is concluded from samples is right on the average, and the bound of its error holds: many runs of made-up
// programs whose truth is known. The seeds are fixed, so a test that passes passes.
#include "recording/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tracer/sampler.h"

namespace allocline {
namespace {

constexpr uint64_t kInterval = 512 << 10;
constexpr int kRuns = 4000;

// A thread that allocates blocks of these sizes, once each, and keeps them.
struct Estimate {
  double bytes = 0, blocks = 0;
  int samples = 0;
};
Estimate EstimateOf(const std::vector<uint64_t>& sizes, uint64_t seed, uint64_t interval = kInterval) {
  Sampler sampler;
  sampler.Start(interval, seed, 0);
  uint64_t position = 0;
  Estimate estimate;
  for (const uint64_t size : sizes) {
    if (size >= interval) continue;  // recorded exactly
    position += size;
    if (!sampler.MustLook(position) || !sampler.Pass(position)) continue;
    const SampleWeight weight = WeightOfSample(size, interval, RoundSample(size, interval, sampler.Chances()));
    estimate.bytes += static_cast<double>(weight.bytes);
    estimate.blocks += static_cast<double>(weight.blocks);
    ++estimate.samples;
  }
  return estimate;
}

double Variance(const std::vector<uint64_t>& sizes, bool of_blocks, uint64_t interval = kInterval) {
  double sum = 0;
  for (const uint64_t size : sizes) {
    const double p = SampleProbability(static_cast<double>(size), interval),
                 s = of_blocks ? 1 : static_cast<double>(size);
    sum += s * s * (1 - p) / p;
  }
  return sum;
}

double Sum(const std::vector<uint64_t>& sizes) {
  double sum = 0;
  for (const uint64_t size : sizes) sum += static_cast<double>(size);
  return sum;
}

// 20 MiB in blocks from 16 bytes to 400 KiB, small and large by turns.
std::vector<uint64_t> MixedSizes() {
  std::vector<uint64_t> sizes;
  for (uint64_t i = 0; Sum(sizes) < (20 << 20); ++i) {
    for (uint64_t k = 0; k < 400; ++k) sizes.push_back(16 + (i * 31 + k * 7) % 240);
    sizes.push_back(4000 + i * 977 % 60'000);
    if (i % 4 == 0) sizes.push_back(100'000 + i * 7919 % 300'000);
  }
  return sizes;
}

void ExpectUnbiased(const std::vector<uint64_t>& sizes, uint64_t interval = kInterval) {
  double bytes = 0, blocks = 0;
  for (int run = 0; run < kRuns; ++run) {
    const Estimate estimate = EstimateOf(sizes, static_cast<uint64_t>(run), interval);
    bytes += estimate.bytes;
    blocks += estimate.blocks;
  }
  // Rounding to whole numbers adds a quarter of one at most for each sample.
  const double expected_samples = static_cast<double>(sizes.size());
  EXPECT_NEAR(bytes / kRuns, Sum(sizes),
              4 * std::sqrt((Variance(sizes, false, interval) + expected_samples / 4) / kRuns));
  EXPECT_NEAR(blocks / kRuns, static_cast<double>(sizes.size()),
              4 * std::sqrt((Variance(sizes, true, interval) + expected_samples / 4) / kRuns));
}

TEST(SamplingTest, EstimatesOfOneSizeAreUnbiased) {
  for (const uint64_t size : {16u, 100u, 4096u, 65'536u, 200'000u, 400'000u, 524'287u}) {
    SCOPED_TRACE(size);
    ExpectUnbiased(std::vector<uint64_t>((4 << 20) / size + 3, size));
  }
}

TEST(SamplingTest, EstimatesOfMixedSizesAreUnbiased) { ExpectUnbiased(MixedSizes()); }

TEST(SamplingTest, ASmallIntervalIsUnbiasedToo) {
  ExpectUnbiased(std::vector<uint64_t>(200, 1), kLeastSampleInterval);
  ExpectUnbiased(std::vector<uint64_t>(200, 24), kLeastSampleInterval);
  ExpectUnbiased(std::vector<uint64_t>(50, 3000), kLeastSampleInterval);
}

// The error that a report prints, from what a recording knows: S and B.
bool BoundHolds(const Estimate& estimate, double truth) {
  const double variance =
      EstimateVariance(static_cast<int64_t>(estimate.bytes), static_cast<int64_t>(estimate.blocks), kInterval);
  return std::abs(estimate.bytes - truth) <= 1.96 * std::sqrt(variance);
}

TEST(SamplingTest, TheErrorCoversTheTruthNineteenTimesOutOfTwenty) {
  for (const uint64_t size : {64u, 2000u, 30'000u, 200'000u}) {
    SCOPED_TRACE(size);
    const std::vector<uint64_t> sizes((40 << 20) / size, size);
    int held = 0;
    for (int run = 0; run < kRuns; ++run) held += BoundHolds(EstimateOf(sizes, static_cast<uint64_t>(run)), Sum(sizes));
    // 80 samples: near enough to the normal law. Four standard deviations of a share of 95 % in 4000 are 1.4 %.
    EXPECT_GE(held, 0.93 * kRuns);
    EXPECT_LE(held, 0.98 * kRuns) << "the bound says less than it could";
  }
}

TEST(SamplingTest, TheErrorCoversTheTruthOfMixedSizesAtLeastNineteenTimesOutOfTwenty) {
  const std::vector<uint64_t> sizes = MixedSizes();
  int held = 0;
  for (int run = 0; run < kRuns; ++run) held += BoundHolds(EstimateOf(sizes, static_cast<uint64_t>(run)), Sum(sizes));
  EXPECT_GE(held, 0.93 * kRuns);
}

TEST(SamplingTest, TheErrorNeverCountsFewerSamplesThanThereAre) {
  const std::vector<uint64_t> sizes = MixedSizes();
  for (int run = 0; run < 200; ++run) {
    const Estimate estimate = EstimateOf(sizes, static_cast<uint64_t>(run));
    const double n =
        EstimateVariance(static_cast<int64_t>(estimate.bytes), static_cast<int64_t>(estimate.blocks), kInterval) /
        static_cast<double>(kInterval) / static_cast<double>(kInterval);
    EXPECT_GE(n, estimate.samples * 0.999 - 0.1);
  }
}

TEST(SamplingTest, TheProbabilityIsThatOfTheExponentialLaw) {
  for (const double x : {1e-9, 1e-4, 0.01, 0.3, 0.7, 0.999}) {
    EXPECT_NEAR(SampleProbability(x * static_cast<double>(kInterval), kInterval) / -std::expm1(-x), 1, 1e-14) << x;
  }
  EXPECT_EQ(SampleProbability(static_cast<double>(kInterval), kInterval), 1);
}

TEST(SamplerTest, DistancesAreExponential) {
  SampleRandom random;
  random.Seed(1);
  constexpr int kDraws = 1'000'000;
  double sum = 0, squares = 0;
  int beyond[8] = {};
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.NextExponential();
    ASSERT_GE(x, 0);
    sum += x;
    squares += x * x;
    for (int k = 0; k < 8; ++k) beyond[k] += x > k + 1;
  }
  EXPECT_NEAR(sum / kDraws, 1, 4 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 2, 4 * std::sqrt(20.0 / kDraws));
  for (int k = 0; k < 8; ++k) {
    const double expected = std::exp(-(k + 1.0)) * kDraws;
    EXPECT_NEAR(beyond[k], expected, 4 * std::sqrt(expected) + 1) << k;
  }
}

TEST(SamplerTest, NeighbouringSeedsSampleIndependently) {
  // If two seeds sampled alike, their estimates would be wrong together.
  const std::vector<uint64_t> sizes(50'000, 100);
  double product = 0, squares = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const double a = EstimateOf(sizes, seed).bytes - Sum(sizes), b = EstimateOf(sizes, seed + 1).bytes - Sum(sizes);
    product += a * b;
    squares += a * a;
  }
  EXPECT_LT(std::abs(product / squares), 4 / std::sqrt(1000));
}

TEST(SamplerTest, WhatIsSkippedMovesTheMark) {
  Sampler sampler;
  sampler.Start(kInterval, 7, 0);
  uint64_t plain = 0;
  while (!sampler.MustLook(plain + 8) || !sampler.Pass(plain + 8)) plain += 8;
  sampler.Start(kInterval, 7, 0);
  sampler.Skip(1'000'000);
  uint64_t skipped = 1'000'000;
  while (!sampler.MustLook(skipped + 8) || !sampler.Pass(skipped + 8)) skipped += 8;
  EXPECT_EQ(skipped, plain + 1'000'000);
}

TEST(SamplerTest, WithoutAnIntervalNothingIsASampleAndTotalsAreStillLookedAt) {
  Sampler sampler;
  sampler.Start(0, 7, 0);
  int looks = 0;
  for (uint64_t position = 0; position < (100 << 20); position += 1000) {
    if (!sampler.MustLook(position)) continue;
    ++looks;
    EXPECT_FALSE(sampler.Pass(position));
  }
  EXPECT_GT(looks, 1000);
}

}  // namespace
}  // namespace allocline
