// Two threads, each freeing what the other allocated: batches change hands at a barrier. A tracer that locks per event,
// or looks for a block in the table of the thread that allocated it, shows here.
//
//   pass_blocks ROUNDS
//
// Prints nanoseconds of wall time per block that was allocated and freed: the 20th percentile over the rounds, which is
// what a round takes when both threads have a processor to themselves.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <vector>

namespace {

constexpr size_t kBlocks = 10'000;  // handed over at a time

pthread_barrier_t g_turn;
std::array<std::vector<void*>, 2> g_made = {std::vector<void*>(kBlocks), std::vector<void*>(kBlocks)};
int g_rounds = 100;
std::vector<int64_t> g_round_ns;

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void* Work(void* self) {
  const size_t me = *static_cast<const size_t*>(self);
  uint32_t random = static_cast<uint32_t>(me) + 1;
  for (int round = 0; round < g_rounds; ++round) {
    const int64_t begin = Now();
    for (void*& block : g_made[me]) {
      random = random * 1664525u + 1013904223u;
      block = malloc(16 + (random >> 24));
      *static_cast<uint32_t*>(block) = random;
    }
    pthread_barrier_wait(&g_turn);
    for (void* block : g_made[1 - me]) free(block);
    pthread_barrier_wait(&g_turn);
    if (me == 0) g_round_ns.push_back(Now() - begin);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) g_rounds = atoi(argv[1]);
  if (g_rounds < 1) return 2;
  g_round_ns.reserve(static_cast<size_t>(g_rounds));
  pthread_barrier_init(&g_turn, nullptr, 2);
  std::array<pthread_t, 2> threads;
  std::array<size_t, 2> numbers = {0, 1};
  for (size_t i = 0; i < 2; ++i) pthread_create(&threads[i], nullptr, Work, &numbers[i]);
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  const auto p20 = g_round_ns.begin() + g_rounds / 5;
  std::nth_element(g_round_ns.begin(), p20, g_round_ns.end());
  printf("%.2f\n", static_cast<double>(*p20) / static_cast<double>(2 * kBlocks));
}
