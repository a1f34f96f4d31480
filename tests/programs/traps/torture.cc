// Everything that makes stacks hard to take, at once and at random, on several threads, while timers interrupt them and
// the handlers allocate on alternate stacks: realigned and variable frames, exceptions through destructors that
// allocate, longjmp, fibers on stacks that are unmapped and mapped again, coroutines resumed from other stacks, plugins
// that come and go at the same addresses, forks in the middle of it all.
//
// To be run on top of lib_signal_safe_malloc.so. The first argument seeds the threads.
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include <coroutine>
#include <exception>

#include "../truth.h"
#include "library_path.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static constexpr int kThreads = 4, kRounds = 1500;

// ---------------------------------------------------------------- what allocates

static NEVER_INLINE void Allocate(size_t bytes) {
  void* block = malloc(bytes);
  Keep(block);
  free(block);
}

struct AllocatesWhenDestroyed {
  ~AllocatesWhenDestroyed() { Allocate(33); }
};

// Calls `last` at the end of a chain of calls whose frames are of all kinds, by the bits of `way`.
struct Chain {
  void (*last)(void*);
  void* argument;
  void Go(unsigned way, int depth);
  NEVER_INLINE void Plain(unsigned way, int depth) {
    Go(way, depth);
    Keep(this);
  }
  NEVER_INLINE void Variable(unsigned way, int depth) {
    char* room = static_cast<char*>(alloca(16 + way % 97));
    Keep(room);
    Go(way, depth);
    Keep(room);
  }
  NEVER_INLINE void Realigned(unsigned way, int depth) {
    alignas(64) char room[64];
    Keep(room);
    Go(way, depth);
    Keep(room);
  }
  NEVER_INLINE void Both(unsigned way, int depth) {
    alignas(64) char room[64];
    char* more = static_cast<char*>(alloca(16 + way % 61));
    Keep(room), Keep(more);
    Go(way, depth);
    Keep(room), Keep(more);
  }
  NEVER_INLINE void Cleaning(unsigned way, int depth) {
    AllocatesWhenDestroyed last_will;
    Go(way, depth);
  }
};

NEVER_INLINE void Chain::Go(unsigned way, int depth) {
  if (depth == 0) {
    last(argument);
    return Keep(this);
  }
  if (way % 11 == 0) Allocate(21);
  const unsigned next = way * 1103515245 + 12345;
  switch ((way >> 16) % 5) {
    case 0:
      return Plain(next, depth - 1), Keep(this);
    case 1:
      return Variable(next, depth - 1), Keep(this);
    case 2:
      return Realigned(next, depth - 1), Keep(this);
    case 3:
      return Both(next, depth - 1), Keep(this);
    case 4:
      return Cleaning(next, depth - 1), Keep(this);
  }
}

static void Call(unsigned way, int depth, void (*last)(void*), void* argument = nullptr) {
  Chain chain = {last, argument};
  chain.Go(way, depth);
}

// ---------------------------------------------------------------- ways to leave a stack

static void Throw(unsigned way) {
  try {
    Call(way, static_cast<int>(way % 20), [](void*) {
      Allocate(41);
      throw 1;
    });
  } catch (int) {
    Allocate(42);
  }
}

static void Jump(unsigned way) {
  jmp_buf target;
  if (setjmp(target) == 0) {
    // Not over destructors.
    Chain chain = {[](void* to) {
                     Allocate(51);
                     longjmp(*static_cast<jmp_buf*>(to), 1);
                   },
                   &target};
    way % 2 == 0 ? chain.Variable(0, 0) : chain.Realigned(0, 0);
  }
  Allocate(52);
}

struct Fiber {
  ucontext_t self, outside;
  unsigned way;
};

static void FiberBody(unsigned low, unsigned high) {
  auto* fiber = reinterpret_cast<Fiber*>(uintptr_t{low} | uintptr_t{high} << 32);
  for (unsigned i = 0; i < 3; ++i) {
    Call(
        fiber->way + i, static_cast<int>(fiber->way % 8),
        [](void* argument) {
          auto* it = static_cast<Fiber*>(argument);
          Allocate(61);
          swapcontext(&it->self, &it->outside);
          Allocate(62);
        },
        fiber);
  }
}

static void RunFibers(unsigned way) {
  constexpr size_t kBytes = 128 << 10;
  Fiber fibers[2];
  void* stacks[2];
  for (unsigned i = 0; i < 2; ++i) {
    stacks[i] = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(stacks[i] != MAP_FAILED);
    fibers[i].way = way + i;
    getcontext(&fibers[i].self);
    fibers[i].self.uc_stack.ss_sp = stacks[i];
    fibers[i].self.uc_stack.ss_size = kBytes;
    fibers[i].self.uc_link = &fibers[i].outside;
    const auto address = reinterpret_cast<uintptr_t>(&fibers[i]);
    makecontext(&fibers[i].self, reinterpret_cast<void (*)()>(FiberBody), 2, static_cast<unsigned>(address),
                static_cast<unsigned>(address >> 32));
  }
  for (unsigned step = 0; step < 4; ++step) {
    for (Fiber& fiber : fibers) {
      Call(
          way + step, static_cast<int>(step),
          [](void* argument) {
            auto* it = static_cast<Fiber*>(argument);
            swapcontext(&it->outside, &it->self);
            Allocate(63);
          },
          &fiber);
    }
  }
  for (void* stack : stacks) munmap(stack, kBytes);
}

struct Task {
  struct promise_type {
    Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

static NEVER_INLINE Task Work() {
  for (int i = 0; i < 2; ++i) {
    Allocate(71);
    co_await std::suspend_always{};
    Allocate(72);
  }
}

static void Resume(unsigned way) {
  Task task = Work();
  for (unsigned i = 0; i < 3; ++i) {
    Call(
        way + i, static_cast<int>((way + i) % 7), [](void* it) { std::coroutine_handle<>::from_address(it).resume(); },
        task.handle.address());
  }
  task.handle.destroy();
}

static void LoadPlugin(unsigned way) {
  const Path path = Beside(way % 2 == 0 ? "lib_plugin_one.so" : "lib_plugin_two.so");
  void* library = dlopen(path.text, RTLD_NOW);
  REQUIRE(library != nullptr);
  Call(
      way, 2, [](void* run) { reinterpret_cast<void (*)(int)>(run)(1); }, dlsym(library, "Run"));
  dlclose(library);
}

static void Round(unsigned way);

static void Fork(unsigned way) {
  const pid_t child = fork();
  if (child == 0) {
    for (unsigned i = 0; i < 40; ++i) Round((way + i) * 6 + i % 5);  // no plugins: the loader's lock may be held
    _exit(0);
  }
  int status = 0;
  REQUIRE(child > 0 && TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) == child);
  REQUIRE(status == 0);
}

static void Round(unsigned way) {
  switch (way % 6) {
    case 0:
      return Throw(way / 6);
    case 1:
      return Jump(way / 6);
    case 2:
      return RunFibers(way / 6);
    case 3:
      return Resume(way / 6);
    case 4:
      return Call(way / 6, static_cast<int>(way % 60), [](void*) { Allocate(11); });
    case 5:
      return way % 5 == 0 ? LoadPlugin(way / 6) : Call(way, 3, [](void*) { Allocate(12); });
  }
}

// ---------------------------------------------------------------- interruptions

static thread_local timer_t timer;
static thread_local unsigned interruptions;

// Once; the handler asks for the next, so that the program gets on between two.
static void SetTimer(long microseconds) {
  itimerspec once = {{0, 0}, {0, microseconds * 1000}};
  timer_settime(timer, 0, &once, nullptr);
}

static void OnTimer(int) {
  const int saved = errno;
  Call(interruptions, static_cast<int>(interruptions % 4), [](void*) { Allocate(81); });
  if (interruptions % 3 == 0) Throw(interruptions);
  ++interruptions;
  SetTimer(50 + interruptions * 7919 % 400);
  errno = saved;
}

static void* Run(void* argument) {
  constexpr size_t kBytes = 128 << 10;
  stack_t alternate = {};
  alternate.ss_sp = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  alternate.ss_size = kBytes;
  REQUIRE(sigaltstack(&alternate, nullptr) == 0);
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGPROF;
  event.sigev_notify_thread_id = static_cast<pid_t>(syscall(SYS_gettid));
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  SetTimer(100);
  auto random = static_cast<unsigned>(reinterpret_cast<uintptr_t>(argument));
  for (int i = 0; i < kRounds; ++i) {
    random = random * 1103515245 + 12345;
    Round(random >> 8);
    if (i % 500 == 250) Fork(random >> 8);
  }
  timer_delete(timer);
  REQUIRE(interruptions > 10);
  return nullptr;
}

int main(int argc, char** argv) {
  REQUIRE(argc == 2);
  struct sigaction action = {};
  action.sa_handler = OnTimer;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigaction(SIGPROF, &action, nullptr);
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) {
    const uintptr_t seed = static_cast<uintptr_t>(atoi(argv[1])) * kThreads + i;
    REQUIRE(pthread_create(&threads[i], nullptr, Run, reinterpret_cast<void*>(seed)) == 0);
  }
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
}
