// Who may do what when: the library's constructor starts the tracer, fork gives a child its own recording, the
// destructor marks the end. Everything the environment says is copied here; nothing is read from it later.
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/text.h"
#include "tracer/next_allocator.h"
#include "tracer/notice.h"
#include "tracer/readable_stack.h"
#include "tracer/settings.h"
#include "tracer/thread_end.h"
#include "tracer/tracer.h"
#include "tracer/unwind_libunwind.h"

namespace allocline {
namespace {

Settings g_settings;

void RecordSurroundings(uint64_t early_events, uint64_t early_bytes) {
  format::FileHeader& header = g_tracer.recording().header();
  format::Drop& early = header.drops[static_cast<uint32_t>(format::DropReason::kBeforeStart)];
  StoreRelaxed(early.events, early_events);
  StoreRelaxed(early.bytes, early_bytes);
  Text(header.allocator).Add(NextAllocatorFile());
  if (!NextAllocatorIsGlibc()) OrRelaxed(header.state, static_cast<uint32_t>(format::kStateNotGlibc));
}

// The constructor's arguments are glibc's: the vector of the program, before it could change anything.
__attribute__((constructor)) void StartTracer(int, char** argv, char** environment) {
  const int saved = errno;
  InitNotice();
  FindNextAllocator();
  uint64_t early_events = 0, early_bytes = 0;
  EarlyTotals(&early_events, &early_bytes);
  g_settings.Read(environment, argv != nullptr ? argv[0] : nullptr);
  const bool have_unwinder = InitLibunwind();
  g_main_stack_top = getauxval(AT_RANDOM);
  InitThreadEnd([](ThreadState* state) { g_tracer.OnThreadEnd(state); });
  if (g_tracer.Start(g_settings)) {
    RecordSurroundings(early_events, early_bytes);
    for (const link_map* object = _r_debug.r_map; object != nullptr; object = object->l_next) {
      g_tracer.OnNewObject(object);
    }
    if (!have_unwinder) {
      OrRelaxed(g_tracer.recording().header().state, static_cast<uint32_t>(format::kStateNoUnwinder));
    }
    pthread_atfork([] { g_tracer.BeforeFork(); }, [] { g_tracer.AfterForkInParent(); }, [] { g_tracer.OnForkChild(); });
    NoteTrouble(g_tracer.recording());
    if (g_settings.bad_memory != nullptr) {
      NoteBadSetting("ALLOCLINE_TRACER_MEMORY", g_settings.bad_memory,
                     " is no number of bytes from 1M on: the default is taken.\n");
    }
    if (g_settings.bad_sample != nullptr) {
      NoteBadSetting("ALLOCLINE_SAMPLE", g_settings.bad_sample,
                     " is no number of bytes from 4K to 1024G: every block is recorded.\n");
    }
    if (g_settings.bad_ladder != nullptr) {
      NoteBadSetting("ALLOCLINE_LADDER", g_settings.bad_ladder,
                     " is neither off nor percents from 1 to 99, 16 at most: 50,70,80,90,95 are taken.\n");
    }
    if (g_settings.bad_limit != nullptr) {
      NoteBadSetting("ALLOCLINE_LIMIT", g_settings.bad_limit,
                     " is no number of bytes from 4M on: no limit is emulated.\n");
    }
    if (g_settings.bad_limit_action != nullptr) {
      NoteBadSetting("ALLOCLINE_LIMIT_ACTION", g_settings.bad_limit_action,
                     " is neither kill nor report: the limit is only reported.\n");
    }
  } else {
    NoteCannotStart(g_tracer.recording());
    ReleaseLibunwind();
  }
  errno = saved;
}

__attribute__((destructor)) void EndTracer() { g_tracer.OnExit(); }

}  // namespace
}  // namespace allocline
