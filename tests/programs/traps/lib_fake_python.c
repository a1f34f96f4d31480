// What looks like CPython from outside and is not: FAKE_VERSION is what it calls itself, FAKE_FRAMES what its thread
// state points to. Loaded and run by runs_fake_python.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "python_allocators.h"

typedef struct {
  void* context;
  void* (*alloc)(void*, size_t);
  void (*free)(void*, void*, size_t);
} Arenas;

static void* Malloc(void* context, size_t bytes) { return (void)context, malloc(bytes); }
static void* Calloc(void* context, size_t count, size_t bytes) { return (void)context, calloc(count, bytes); }
static void* Realloc(void* context, void* block, size_t bytes) { return (void)context, realloc(block, bytes); }
static void Free(void* context, void* block) { (void)context, free(block); }
static void FreeArena(void* context, void* block, size_t bytes) { (void)context, (void)bytes, free(block); }

static Allocator allocators[3] = {{NULL, Malloc, Calloc, Realloc, Free},
                                  {NULL, Malloc, Calloc, Realloc, Free},
                                  {NULL, Malloc, Calloc, Realloc, Free}};
static Arenas arenas = {NULL, Malloc, FreeArena};

void PyMem_GetAllocator(int domain, Allocator* out) { *out = allocators[domain]; }
void PyMem_SetAllocator(int domain, const Allocator* allocator) { allocators[domain] = *allocator; }
void PyObject_GetArenaAllocator(Arenas* out) { *out = arenas; }
void PyObject_SetArenaAllocator(const Arenas* wanted) { arenas = *wanted; }

char _PyRuntime[8192];
char PyCode_Type[512], PyUnicode_Type[512], PyBytes_Type[512];
static uintptr_t frame[64];
static uintptr_t thread_state[64];

static const char* Variable(const char* name) {
  const char* value = getenv(name);
  return value == NULL ? "" : value;
}
const char* Py_GetVersion(void) {
  const char* version = getenv("FAKE_VERSION");
  return version != NULL && strcmp(version, "null") == 0 ? NULL : version;
}
void* PyThreadState_GetUnchecked(void) { return thread_state; }
void* _PyThreadState_UncheckedGet(void) { return thread_state; }
void* PyGILState_GetThisThreadState(void) { return thread_state; }
int Py_IsInitialized(void) { return 1; }
int _PyEval_EvalFrameDefault(int x) { return x + 1; }
static int (*pending)(void*);
int Py_AddPendingCall(int (*call)(void*), void* argument) {
  (void)argument;
  pending = call;
  return 0;
}
void* PyMem_RawMalloc(size_t bytes) { return allocators[0].malloc(allocators[0].context, bytes); }
void* PyMem_Malloc(size_t bytes) { return allocators[1].malloc(allocators[1].context, bytes); }
void* PyObject_Malloc(size_t bytes) { return allocators[2].malloc(allocators[2].context, bytes); }
void PyMem_RawFree(void* block) { allocators[0].free(allocators[0].context, block); }
void PyMem_Free(void* block) { allocators[1].free(allocators[1].context, block); }
void PyObject_Free(void* block) { allocators[2].free(allocators[2].context, block); }

static void SetWord(size_t offset, uint64_t value) { memcpy(_PyRuntime + offset, &value, sizeof value); }

__attribute__((constructor)) static void Prepare(void) {
  // As 3.13 begins: "xdebugpy", version, whether it is free-threaded, and offsets.
  memcpy(_PyRuntime, "xdebugpy", 8);
  SetWord(8, 0x030d00f0);
  SetWord(16, strstr(Variable("FAKE_VERSION"), "free-threading") != NULL);
  SetWord(184, 56);
  SetWord(344, 192);  // where a code has its instructions
  const uintptr_t wild = 0x7ffe00000000;
  const char* kind = Variable("FAKE_FRAMES");
  uintptr_t top = (uintptr_t)frame;
  if (strcmp(kind, "small") == 0) top = 5;
  if (strcmp(kind, "wild") == 0) top = wild;
  if (strcmp(kind, "text") == 0) top = (uintptr_t) "no frame at all, but some text that is longer than one would be";
  // A list that has no end, and whose objects are of no type; or wild ones.
  for (int i = 0; i < 64; ++i) frame[i] = strcmp(kind, "objects") == 0 ? wild : (uintptr_t)frame;
  thread_state[7] = top;
  thread_state[3] = top;
  thread_state[9] = top;
}

// Gives how many blocks it could use.
int Run(void) {
  int used = 0;
  for (int i = 0; i < 300; ++i) {
    char* blocks[] = {PyMem_RawMalloc(40), PyMem_Malloc(50), PyObject_Malloc(600)};
    for (int j = 0; j < 3; ++j) used += blocks[j] != NULL && memset(blocks[j], 1, 40) != NULL;
    PyMem_RawFree(blocks[0]);
    PyMem_Free(blocks[1]);
    PyObject_Free(blocks[2]);
    if (pending != NULL) {
      int (*call)(void*) = pending;
      pending = NULL;
      call(NULL);
    }
  }
  return used;
}
