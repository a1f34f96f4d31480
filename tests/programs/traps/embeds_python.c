// Programs that hold CPython as a library: embeds_python HOW LIBRARY..., HOW being
//   local, global    loaded that way, and run once
//   again            initialised and finalised again and again
//   two              each of the libraries, at once
//   own_allocators   with allocators of the program's own from before the beginning
//   wrapped          with layers that are put between, and taken away again, while it runs
//   replaced         with allocators of its own that it puts in place while it runs, and leaves there
//   pooled           the same, which pass what is larger than 128 bytes on
// PYTHONHOME is where the library lies. Prints what the Python code prints, which is the same for all of them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
