// unw_backtrace, whose per-thread cache of frame layouts makes a known frame cost a few nanoseconds, and unw_step,
// slow, for when that cache cannot be trusted.
//
// libunwind is opened by dlopen(RTLD_LOCAL), never a needed library: its _Unwind_* symbols must not stand in front of
// libgcc's, which C++ exceptions of the program use. It takes no malloc on these paths.
//
// Before it reads a word, libunwind asks whether it is readable by writing a byte from there into a pipe of its own.
// The pipe takes the two lowest descriptors, which the program may count on; and a program that closes all descriptors
// and opens files (sshd, daemons) finds bytes of its stack in them. So memory is accessed by AccessWord() instead, and
// the pipe is closed before the program's first instruction.
//
// What an expression of DWARF loads it reads without asking. So where wrong information may have led (`careful`), it
// goes step by step, and before each what the frame's expressions will load is asked about (CheckExpressions()).
//
// It finds the object around an address without the loader's lock (object_lookup.h): a thread that holds that one and
// allocates would wait for libunwind's, and the holder of libunwind's for the loader's.
//
// unw_backtrace never forgets: after a dlclose, its cache may describe a function that is gone. As long as no code was
// loaded over such a range that is harmless (nothing there runs). LibunwindForgetCode() is called at the first that is,
// and from then on stacks are taken with unw_step, which asks the loader about each frame.
#define UNW_LOCAL_ONLY
#include "tracer/unwind_libunwind.h"

#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <signal.h>
#include <string.h>

#include <atomic>

#include "base/atomic.h"
#include "base/pages.h"
#include "tracer/cfi_row.h"
#include "tracer/loaded_object.h"
#include "tracer/object_lookup.h"

namespace allocline {
namespace {

#define ALLOCLINE_STRING2(x) #x
#define ALLOCLINE_STRING(x) ALLOCLINE_STRING2(x)

struct Libunwind {
  int (*backtrace)(void** buffer, int size);
  int (*get_context)(unw_context_t*);
  int (*init_local)(unw_cursor_t*, unw_context_t*);
  int (*step)(unw_cursor_t*);
  int (*get_register)(unw_cursor_t*, int, unw_word_t*);
  int (*set_caching_policy)(unw_addr_space_t, unw_caching_policy_t);
  void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
  unw_accessors_t* (*get_accessors)(unw_addr_space_t);
  unw_addr_space_t* local_addresses;
};

Libunwind g_unwind;
std::atomic<bool> g_available{false};
void* g_library = nullptr;
std::atomic<bool> g_step_only{false};
std::atomic<int> g_threads_inside{0};

// Pages found readable during this use, a slot each by the low bits of their number, with bit 0 set: an empty slot is
// no page, page 0 neither. They are not known of the next use: what wrong information led to may be gone by then.
constexpr uintptr_t kPageMask = ~uintptr_t{4095};
constinit thread_local uintptr_t g_readable_pages[8];

// Around a use of libunwind, on a stack of our own: signals wait, so whatever allocates now is not a handler.
class Use {
 public:
  Use() {
    StoreRelaxed(this_thread_is_inside_, true);
    g_threads_inside.fetch_add(1, std::memory_order_relaxed);
    memset(g_readable_pages, 0, sizeof g_readable_pages);
  }
  ~Use() {
    g_threads_inside.fetch_sub(1, std::memory_order_relaxed);
    StoreRelaxed(this_thread_is_inside_, false);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  static bool this_thread_is_inside() { return LoadRelaxed(this_thread_is_inside_); }

 private:
  static constinit thread_local bool this_thread_is_inside_;
};
constinit thread_local bool Use::this_thread_is_inside_ = false;

// Stands in for libunwind's access_mem. Called for most frames, so a page is asked for once in a use.
int AccessWord(unw_addr_space_t, unw_word_t address, unw_word_t* value, int write, void*) {
  if (write != 0) {  // only to registers, which lie in its own cursor
    memcpy(reinterpret_cast<void*>(address), value, sizeof *value);
    return 0;
  }
  const uintptr_t page = address & kPageMask;
  uintptr_t& slot = g_readable_pages[(page >> 12) % 8];
  if (__builtin_expect(slot != (page | 1) || ((address + 7) & kPageMask) != page, 0)) {
    if (!IsReadable(address)) return -UNW_EINVAL;
    slot = page | 1;
  }
  memcpy(value, reinterpret_cast<const void*>(address), sizeof *value);
  return 0;
}

// The two descriptors that an open() would give next.
struct NextDescriptors {
  NextDescriptors() {
    first = sys::Open("/", O_PATH | O_CLOEXEC);
    second = sys::Open("/", O_PATH | O_CLOEXEC);
    if (!sys::IsError(first)) sys::Close(static_cast<int>(first));
    if (!sys::IsError(second)) sys::Close(static_cast<int>(second));
  }
  // Closes them if they became the two ends of a pipe since.
  void CloseIfPipe() const {
    struct stat one;
    struct stat other;
    if (sys::IsError(first) || sys::IsError(second)) return;
    if (sys::IsError(sys::Fstat(static_cast<int>(first), &one))) return;
    if (sys::IsError(sys::Fstat(static_cast<int>(second), &other))) return;
    if (!S_ISFIFO(one.st_mode) || !S_ISFIFO(other.st_mode) || one.st_ino != other.st_ino) return;
    sys::Close(static_cast<int>(first));
    sys::Close(static_cast<int>(second));
  }
  long first, second;
};

template <typename Function>
bool Bind(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(dlsym(library, name));
  return out != nullptr;
}

// A walk outward from the caller of Begin() by unw_step.
class Steps {
 public:
  // Always inline: the frame it begins with has to be there as long as the walk goes on.
  __attribute__((always_inline)) bool Begin() {
    g_unwind.get_context(&context_);
    return g_unwind.init_local(&cursor_, &context_) >= 0;
  }
  // 0 if that is not known.
  uintptr_t Register(int which) {
    unw_word_t value = 0;
    return g_unwind.get_register(&cursor_, which, &value) < 0 ? 0 : value;
  }
  // To the caller of the frame with this pc. False: there is none, or wrong information has led astray.
  bool Step(uintptr_t pc) {
    const auto register_of = [](void* self, unsigned number) {  // libunwind's numbers are DWARF's
      return static_cast<Steps*>(self)->Register(static_cast<int>(number));
    };
    const FrameExpressions expressions = CheckExpressions(is_interrupted_ ? pc : pc - 1, register_of, this);
    is_interrupted_ = expressions.is_signal_frame;
    astray_ = !expressions.load_what_is_there;
    return !astray_ && g_unwind.step(&cursor_) > 0;
  }
  bool astray() const { return astray_; }

 private:
  unw_context_t context_;
  unw_cursor_t cursor_;
  bool is_interrupted_ = false;
  bool astray_ = false;
};

int UnwindByStep(uintptr_t* out, int max, bool* astray) {
  Steps steps;
  *astray = false;
  if (!steps.Begin()) return 0;
  int n = 0;
  while (n < max) {
    const uintptr_t pc = steps.Register(UNW_REG_IP);
    if (pc == 0) break;
    out[n++] = pc;
    if (!steps.Step(pc)) break;
  }
  *astray = steps.astray();
  return n;
}

}  // namespace

bool InitLibunwind() {
  void* library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  g_library = library;
  Libunwind& u = g_unwind;
  const bool all = Bind(library, "unw_backtrace", u.backtrace) &&
                   Bind(library, ALLOCLINE_STRING(unw_tdep_getcontext), u.get_context) &&
                   Bind(library, ALLOCLINE_STRING(unw_init_local), u.init_local) &&
                   Bind(library, ALLOCLINE_STRING(unw_step), u.step) &&
                   Bind(library, ALLOCLINE_STRING(unw_get_reg), u.get_register) &&
                   Bind(library, ALLOCLINE_STRING(unw_set_caching_policy), u.set_caching_policy) &&
                   Bind(library, ALLOCLINE_STRING(unw_flush_cache), u.flush_cache) &&
                   Bind(library, ALLOCLINE_STRING(unw_get_accessors), u.get_accessors) &&
                   Bind(library, ALLOCLINE_STRING(unw_local_addr_space), u.local_addresses);
  if (!all) return false;
  const NextDescriptors next;
  u.get_accessors(*u.local_addresses)->access_mem = AccessWord;  // the first call: libunwind opens its pipe
  next.CloseIfPipe();
  LoadedObject object;
  if (FindObject(reinterpret_cast<uintptr_t>(u.backtrace), &object)) {
    BindObjectLookup(object, [] {
      uintptr_t pcs[4];
      bool astray = false;
      UnwindByStep(pcs, 4, &astray);
    });
  }
  u.set_caching_policy(*u.local_addresses, UNW_CACHE_PER_THREAD);
  g_available.store(true, std::memory_order_release);
  return true;
}

void ReleaseLibunwind() {
  g_available.store(false, std::memory_order_release);
  if (g_library != nullptr) dlclose(g_library);
  g_library = nullptr;
}

int UnwindByLibunwind(OwnStack* stack, uintptr_t caller, bool careful, uintptr_t* scratch, int max, uintptr_t** pcs,
                      format::TruncationReason* cut) {
  *cut = {};
  int n = 0;
  bool astray = false;
  const int room = max + kOwnFrames;
  if (__builtin_expect(g_available.load(std::memory_order_acquire), 1)) {
    stack->Call([&] {
      const Use use;
      n = careful || g_step_only.load(std::memory_order_relaxed)
              ? UnwindByStep(scratch, room, &astray)
              : g_unwind.backtrace(reinterpret_cast<void**>(scratch), room);
    });
  }
  // The first frames are our own; `caller` is the first that is not.
  int own = 0;
  while (own < n && own < kOwnFrames && scratch[own] != caller) ++own;
  if (own == n || own == kOwnFrames) {
    scratch[0] = caller;
    *pcs = scratch;
    *cut = format::TruncationReason::kNoUnwinder;
    return 1;
  }
  int depth = n - own;
  if (astray) *cut = format::TruncationReason::kBadUnwindInfo;
  if (n == room || depth > max) *cut = format::TruncationReason::kTooDeep;
  if (depth > max) depth = max;
  while (depth > 1 && scratch[own + depth - 1] == 0) --depth;
  *pcs = scratch + own;
  return depth;
}

bool StackPasses(OwnStack* stack, uintptr_t stack_pointer, bool* known) {
  bool passes = false;
  *known = false;
  if (!g_available.load(std::memory_order_acquire)) return false;
  stack->Call([&] {
    const Use use;
    Steps steps;
    if (!steps.Begin()) return;
    for (int i = 0; i < static_cast<int>(format::kMaxDepth) + kOwnFrames; ++i) {
      if (!steps.Step(steps.Register(UNW_REG_IP))) {
        *known = !steps.astray();
        return;
      }
      if (steps.Register(UNW_REG_SP) != stack_pointer) continue;
      passes = *known = true;
      return;
    }
  });
  return passes;
}

bool CallIsForLibunwind() { return Use::this_thread_is_inside(); }

void LibunwindAfterFork() {
  if (g_threads_inside.exchange(0, std::memory_order_relaxed) != 0) g_available.store(false, std::memory_order_release);
}

void LibunwindForgetCode() {
  if (!g_available.load(std::memory_order_acquire)) return;
  g_step_only.store(true, std::memory_order_relaxed);
  g_unwind.flush_cache(*g_unwind.local_addresses, 0, 0);
}

}  // namespace allocline
