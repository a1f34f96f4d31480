// Keeps what its arguments say, each kind at a line of its own, so that whoever starts it knows every figure of a
// report:
//   rows N BYTES     N blocks
//   names N BYTES    N vectors that reserve BYTES: allocated inside a libstdc++ header
//   deep N BYTES     N blocks, three calls of Deep() down
//   pooled N BYTES   N blocks by way of pool.h
//   indexed N BYTES  N blocks of a thread of its own, "indexer"; several of them run one after another
//   churn N BYTES    N blocks that are freed at once
//   label TEXT       a snapshot of that label
//   wait             prints "ready" and waits to be killed
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <new>
#include <vector>

#include "allocline/allocline.h"
#include "pool.h"

static void* kept[1 << 16];
static size_t kept_count;

// The compiler can neither leave the allocation out nor call it as the last thing of a function.
static void Keep(void* block) {
  asm volatile("" : "+r"(block));
  kept[kept_count++] = block;
}

__attribute__((noinline)) static void Rows(size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i) {
    Keep(malloc(bytes));  // LINE: rows
  }
}

__attribute__((noinline)) static void Names(size_t count, size_t bytes) {
  alignas(std::vector<char>) static char storage[1000][sizeof(std::vector<char>)];  // never destroyed
  for (size_t i = 0; i < count; ++i) {
    auto* name = new (storage[i]) std::vector<char>();
    name->reserve(bytes);  // LINE: names
  }
}

__attribute__((noinline)) static void Deep(int level, size_t bytes) {
  if (level > 0) {
    Deep(level - 1, bytes);  // LINE: recursion
    asm volatile("");
    return;
  }
  Keep(malloc(bytes));  // LINE: deep
}

__attribute__((noinline)) static void Pooled(size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i) {
    Keep(TakeFromPool(bytes));  // LINE: pooled
  }
}

__attribute__((noinline)) static void Churn(size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i) {
    void* block = malloc(bytes);  // LINE: churn
    asm volatile("" : "+r"(block));
    free(block);
  }
}

struct Amount {
  size_t count, bytes;
};

static void* Index(void* argument) {
  const Amount& amount = *static_cast<Amount*>(argument);
  pthread_setname_np(pthread_self(), "indexer");
  for (size_t i = 0; i < amount.count; ++i) {
    Keep(malloc(amount.bytes));  // LINE: indexed
  }
  return nullptr;
}

static void Indexed(size_t count, size_t bytes) {
  static Amount amount;
  amount = {count, bytes};
  pthread_t thread;
  if (pthread_create(&thread, nullptr, Index, &amount) != 0) abort();  // LINE: spawned
  pthread_join(thread, nullptr);
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc;) {
    const char* what = argv[i++];
    if (strcmp(what, "wait") == 0) {
      if (write(STDOUT_FILENO, "ready\n", 6) != 6) abort();
      for (;;) pause();
    }
    if (strcmp(what, "label") == 0) {
      allocline_take_snapshot(argv[i++]);
      continue;
    }
    const size_t count = strtoul(argv[i], nullptr, 10), bytes = strtoul(argv[i + 1], nullptr, 10);
    i += 2;
    if (strcmp(what, "rows") == 0) Rows(count, bytes);
    if (strcmp(what, "names") == 0) Names(count, bytes);
    if (strcmp(what, "pooled") == 0) Pooled(count, bytes);
    if (strcmp(what, "churn") == 0) Churn(count, bytes);
    if (strcmp(what, "indexed") == 0) Indexed(count, bytes);
    for (size_t k = 0; strcmp(what, "deep") == 0 && k < count; ++k) Deep(3, bytes);
  }
}
