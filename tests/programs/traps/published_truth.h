// What publishes_truth.cc writes into the file it shares with its test.
#ifndef ALLOCLINE_TESTS_PROGRAMS_TRAPS_PUBLISHED_TRUTH_H_
#define ALLOCLINE_TESTS_PROGRAMS_TRAPS_PUBLISHED_TRUTH_H_

#include <atomic>

constexpr unsigned kPublishingThreads = 4;
constexpr unsigned kLargestBlock = 8192;

// Of one thread: what it allocated minus what it freed, whoever had allocated that.
struct alignas(64) ThreadTruth {
  std::atomic<long> live_bytes;
  std::atomic<unsigned long> operations;
};

struct PublishedTruth {
  ThreadTruth threads[kPublishingThreads];
};

#endif  // ALLOCLINE_TESTS_PROGRAMS_TRAPS_PUBLISHED_TRUTH_H_
