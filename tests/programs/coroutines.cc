// Coroutine frames, allocated by the promise's operator new, resumed and destroyed from other stacks.
#include <coroutine>
#include <exception>

#include "truth.h"

static Amount frames;

struct Task {
  struct promise_type {
    static void* operator new(size_t bytes) {
      frames.Allocate(bytes);
      void* block = malloc(bytes);  // LINE: frames
      Keep(block);
      return block;
    }
    static void operator delete(void* block, size_t bytes) {
      frames.Free(bytes);
      free(block);
    }
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

static NEVER_INLINE Task Work(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    void* before = malloc(10);  // LINE: before 0/0 of 3000/300
    Keep(before);
    co_await std::suspend_always{};
    free(before);
    void* after = malloc(20);  // LINE: after 6000/300
    Keep(after);
  }
}

static NEVER_INLINE void ResumeDeeper(std::coroutine_handle<> handle, int depth) {
  if (depth > 0) {
    ResumeDeeper(handle, depth - 1);
  } else {
    handle.resume();
  }
  asm volatile("");
}

int main() {
  Task tasks[100];
  for (Task& task : tasks) task = Work(3);
  for (int round = 0; round < 4; ++round) {
    for (Task& task : tasks) ResumeDeeper(task.handle, round);
  }
  for (int i = 0; i < 50; ++i) {
    REQUIRE(tasks[i].handle.done());
    tasks[i].handle.destroy();
  }
  Say("frames", frames);
}
