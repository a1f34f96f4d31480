// Programs that hold CPython as a library: embeds_python HOW LIBRARY..., HOW being
//   local, global    loaded that way, and run once
//   again            initialised and finalised again and again
//   two              each of the libraries, at once
//   own_allocators   with allocators of the program's own from before the beginning
//   wrapped          with layers that are put between, and taken away again, while it runs
//   replaced         with allocators of its own that it puts in place while it runs, and leaves there
//   pooled           the same, which pass what is larger than 128 bytes on
//   pool             the same for all domains, over memory of its own: nothing of Python comes by malloc any more, but
//                    native code goes on to
//   maps             the same, without native code: all that is to be seen is that it maps its pool
//   debug_hooks      with CPython's debug hooks from before the beginning, which put a header before each block
//   headed           with an allocator of its own there that does so, of 48 bytes
// The last two run, as the interpreter's own program does, codes that die at once, each of which keeps bytes at a line
// of its own. PYTHONHOME is where the library lies. Prints what the Python code prints, which is the same for all of
// them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "python_allocators.h"

static struct Python {
  void* library;
  void (*initialize)(int);
  int (*finalize)(void);
  int (*run)(const char*);
  void* (*save_thread)(void);
  void (*restore_thread)(void*);
  int (*ensure)(void);
  void (*release)(int);
  void (*get_allocator)(int, Allocator*);
  void (*set_allocator)(int, const Allocator*);
} pythons[2];

static const char kCode[] =
    "import sys\n"
    "def keep(n):\n"
    "    return [('row %d' % i, bytearray(200)) for i in range(n)]\n"
    "kept = keep(2000)\n"
    "print('kept', len(kept))\n"
    "sys.stdout.flush()\n";

static const char kDyingCodes[] =
    "held = []\n"
    "for i in range(280):\n"
    "    text = '\\n' * (i % 7) + 'held.append(bytearray(1000 + %d))\\n' % (1000 * (i % 7))\n"
    "    exec(compile(text, '<generated %d>' % (i % 7), 'exec'), {'held': held})\n"
    "print('held', sum(map(len, held)))\n";

static void Load(struct Python* python, const char* path, int mode) {
  python->library = dlopen(path, mode);
  if (python->library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  *(void**)&python->initialize = dlsym(python->library, "Py_InitializeEx");
  *(void**)&python->finalize = dlsym(python->library, "Py_FinalizeEx");
  *(void**)&python->run = dlsym(python->library, "PyRun_SimpleString");
  *(void**)&python->save_thread = dlsym(python->library, "PyEval_SaveThread");
  *(void**)&python->restore_thread = dlsym(python->library, "PyEval_RestoreThread");
  *(void**)&python->ensure = dlsym(python->library, "PyGILState_Ensure");
  *(void**)&python->release = dlsym(python->library, "PyGILState_Release");
  *(void**)&python->get_allocator = dlsym(python->library, "PyMem_GetAllocator");
  *(void**)&python->set_allocator = dlsym(python->library, "PyMem_SetAllocator");
  char* home = strdup(path);
  for (int i = 0; i < 2; ++i) *strrchr(home, '/') = '\0';
  setenv("PYTHONHOME", home, 1);
  free(home);
}

static void Run(struct Python* python) {
  if (python->run(kCode) != 0) exit(3);
}

static void* RunInThread(void* argument) {
  struct Python* python = argument;
  const int state = python->ensure();
  Run(python);
  python->release(state);
  return NULL;
}

// Runs the code on this thread and on one that Python has not made.
static void RunOnTwoThreads(struct Python* python) {
  Run(python);
  void* saved = python->save_thread();
  pthread_t thread;
  pthread_create(&thread, NULL, RunInThread, python);
  pthread_join(thread, NULL);
  python->restore_thread(saved);
}

static void* Malloc(void* context, size_t bytes) { return (void)context, malloc(bytes == 0 ? 1 : bytes); }
static void* Calloc(void* context, size_t count, size_t bytes) {
  return (void)context, count == 0 || bytes == 0 ? calloc(1, 1) : calloc(count, bytes);
}
static void* Realloc(void* context, void* block, size_t bytes) {
  return (void)context, realloc(block, bytes == 0 ? 1 : bytes);
}
static void Free(void* context, void* block) { (void)context, free(block); }

static Allocator next[3];
static void* PassMalloc(void* c, size_t bytes) { return ((Allocator*)c)->malloc(((Allocator*)c)->context, bytes); }
static void* PassCalloc(void* c, size_t count, size_t bytes) {
  return ((Allocator*)c)->calloc(((Allocator*)c)->context, count, bytes);
}
static void* PassRealloc(void* c, void* block, size_t bytes) {
  return ((Allocator*)c)->realloc(((Allocator*)c)->context, block, bytes);
}
static void PassFree(void* c, void* block) { ((Allocator*)c)->free(((Allocator*)c)->context, block); }

// A pool that takes nothing from below, and forgets what is freed. Under the GIL, but for RAW.
static char* pool;
static atomic_size_t pool_used;
enum { kPoolBytes = 256 << 20 };
static void MapPool(void) {
  pool = mmap(NULL, kPoolBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pool == MAP_FAILED) exit(4);
}
static size_t* SizeInPool(void* block) { return (size_t*)block - 2; }
static int IsInPool(const void* block) { return (uintptr_t)block - (uintptr_t)pool < kPoolBytes; }
static void* PoolMalloc(void* c, size_t bytes) {
  (void)c;
  const size_t needed = (bytes + 31) & ~(size_t)15;
  char* block = pool + atomic_fetch_add(&pool_used, needed) + 16;
  if (block + bytes > pool + kPoolBytes) return NULL;
  *SizeInPool(block) = bytes;
  return block;
}
static void* PoolCalloc(void* c, size_t count, size_t bytes) { return PoolMalloc(c, count * bytes); }
static void PoolFree(void* c, void* block) {
  if (block != NULL && !IsInPool(block)) PassFree(c, block);
}
static void* PoolRealloc(void* c, void* block, size_t bytes) {
  if (block != NULL && !IsInPool(block)) return PassRealloc(c, block, bytes);
  void* moved = PoolMalloc(c, bytes);
  if (block == NULL || moved == NULL) return moved;
  return memcpy(moved, block, bytes < *SizeInPool(block) ? bytes : *SizeInPool(block));
}
static void PutInPool(struct Python* python) {
  for (int domain = 0; domain < 3; ++domain) {
    python->get_allocator(domain, &next[domain]);
    const Allocator layer = {&next[domain], PoolMalloc, PoolCalloc, PoolRealloc, PoolFree};
    python->set_allocator(domain, &layer);
  }
}
// On one line, from where it is called: it is no new stack when it is called again.
static void __attribute__((noinline)) UseNativeMemory(void) {
  for (int i = 0; i < 20; ++i) {
    void* volatile block = malloc(300000);
    free(block);
  }
}

// Puts a header before each block of the one below, as an allocator does that counts.
enum { kHeader = 48 };
static void* Headed(char* block) { return block == NULL ? NULL : block + kHeader; }
static void* HeadedMalloc(void* c, size_t bytes) { return Headed(PassMalloc(c, bytes + kHeader)); }
static void* HeadedCalloc(void* c, size_t count, size_t bytes) {
  return Headed(PassCalloc(c, 1, count * bytes + kHeader));
}
static void* HeadedRealloc(void* c, void* block, size_t bytes) {
  return Headed(PassRealloc(c, block == NULL ? NULL : (char*)block - kHeader, bytes + kHeader));
}
static void HeadedFree(void* c, void* block) {
  if (block != NULL) PassFree(c, (char*)block - kHeader);
}

// Allocators that are put in place while there are blocks of those below, and know their own ones. Under the GIL.
static struct {
  size_t largest;  // larger blocks come from below
  void* blocks[1 << 20];
} own = {0, {NULL}};
static void** FindOwn(const void* block) {
  size_t i = (uintptr_t)block / 16 * 0x9E3779B97F4A7C15u >> 44;
  while (own.blocks[i] != block && own.blocks[i] != NULL) i = (i + 1) % (1 << 20);
  return &own.blocks[i];
}
static void* Own(void* block) { return block == NULL ? NULL : (*FindOwn(block) = block); }
static void* OwnMalloc(void* c, size_t bytes) {
  return bytes <= own.largest ? Own(Malloc(NULL, bytes)) : PassMalloc(c, bytes);
}
static void* OwnCalloc(void* c, size_t count, size_t bytes) {
  return count * bytes <= own.largest ? Own(Calloc(NULL, count, bytes)) : PassCalloc(c, count, bytes);
}
static void OwnFree(void* c, void* block) {
  if (block == NULL || *FindOwn(block) != block) return PassFree(c, block);
  free(block);  // it stays in the table: who gets this address next has it from malloc, too
}
static void* OwnRealloc(void* c, void* block, size_t bytes) {
  if (block == NULL) return OwnMalloc(c, bytes);
  if (*FindOwn(block) != block) return PassRealloc(c, block, bytes);
  void* moved = OwnMalloc(c, bytes);
  const size_t there = malloc_usable_size(block);
  if (moved == NULL) return NULL;
  memcpy(moved, block, bytes < there ? bytes : there);
  free(block);
  return moved;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const char* how = argv[1];
  struct Python* python = &pythons[0];
  Load(python, argv[2], RTLD_NOW | (strcmp(how, "local") == 0 || strcmp(how, "two") == 0 ? RTLD_LOCAL : RTLD_GLOBAL));
  if (strcmp(how, "own_allocators") == 0) {
    const Allocator own = {NULL, Malloc, Calloc, Realloc, Free};
    for (int domain = 0; domain < 3; ++domain) python->set_allocator(domain, &own);
  }
  const int has_headers = strcmp(how, "headed") == 0, has_debug_hooks = strcmp(how, "debug_hooks") == 0;
  for (int domain = 0; has_headers && domain < 3; ++domain) {
    python->get_allocator(domain, &next[domain]);
    const Allocator layer = {&next[domain], HeadedMalloc, HeadedCalloc, HeadedRealloc, HeadedFree};
    python->set_allocator(domain, &layer);
  }
  if (has_debug_hooks) {
    void (*set_up)(void) = NULL;
    *(void**)&set_up = dlsym(python->library, "PyMem_SetupDebugHooks");
    set_up();
  }
  if (has_headers || has_debug_hooks) {
    int (*run_main)(int, char**) = NULL;
    *(void**)&run_main = dlsym(python->library, "Py_BytesMain");
    char* arguments[] = {"python", "-c", (char*)kDyingCodes, NULL};
    return run_main(3, arguments);
  }
  const int rounds = strcmp(how, "again") == 0 ? 5 : 1;
  for (int i = 0; i < rounds; ++i) {
    python->initialize(0);
    if (strcmp(how, "wrapped") == 0) {
      for (int turn = 0; turn < 4; ++turn) {
        for (int domain = 0; domain < 3; ++domain) {
          python->get_allocator(domain, &next[domain]);
          const Allocator between = {&next[domain], PassMalloc, PassCalloc, PassRealloc, PassFree};
          python->set_allocator(domain, &between);
        }
        Run(python);
        for (int domain = 0; domain < 3; ++domain) python->set_allocator(domain, &next[domain]);
      }
    }
    if (strcmp(how, "replaced") == 0 || strcmp(how, "pooled") == 0) {
      own.largest = strcmp(how, "pooled") == 0 ? 128 : SIZE_MAX;
      for (int domain = 1; domain < 3; ++domain) {
        python->get_allocator(domain, &next[domain]);
        const Allocator layer = {&next[domain], OwnMalloc, OwnCalloc, OwnRealloc, OwnFree};
        python->set_allocator(domain, &layer);
      }
      for (int turn = 0; turn < 4; ++turn) Run(python);
    }
    const int has_pool = strcmp(how, "pool") == 0, maps = strcmp(how, "maps") == 0;
    if (has_pool) MapPool();
    for (int turn = 0; (has_pool || maps) && turn < 6; ++turn) {
      if (turn == 2 && maps) MapPool();
      if (turn == 2) PutInPool(python);
      if (has_pool) UseNativeMemory();
      Run(python);
    }
    RunOnTwoThreads(python);
    if (strcmp(how, "two") == 0 && argc > 3) {
      void* saved = python->save_thread();
      Load(&pythons[1], argv[3], RTLD_NOW | RTLD_LOCAL);
      pythons[1].initialize(0);
      RunOnTwoThreads(&pythons[1]);
      pythons[1].finalize();
      python->restore_thread(saved);
      Run(python);
    }
    python->finalize();
  }
  // What a native caller holds is on its own line, whatever became of Python.
  static void* volatile held;
  held = malloc(1234567);
  puts("done");
  return held == NULL;
}
