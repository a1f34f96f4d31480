/* allocline: snapshots, figures and pool tracking from inside a traced program. C, and C++ (see allocline.hpp).
 *
 * Header only. A program that includes this needs no library of ours: the functions look for the tracer once, by dlsym,
 * and do nothing when it is not there. Run the program under `allocline run` (or with liballocline.so preloaded or
 * linked in), and they work.
 *
 * Threads:  every function may be called from any thread at any time; none may be called from a signal handler.
 * Sizes:    bytes, as requested from the allocator.
 * Errors:   functions that return int give 0 or an errno value; ENODATA means that nothing is being traced (now).
 */
#ifndef ALLOCLINE_ALLOCLINE_H_
#define ALLOCLINE_ALLOCLINE_H_

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `rows` of a snapshot when the program does not count its work. */
#define ALLOCLINE_ROWS_NOT_GIVEN UINT64_MAX
/* The smallest domain number for allocline_track(); smaller ones are allocline's own. */
#define ALLOCLINE_FIRST_DOMAIN 16u
#define ALLOCLINE_BLOCK_FRAMES 64

/* A live block, as allocline_lookup() tells it. */
struct allocline_block {
  uint64_t bytes;                           /* as requested */
  uint32_t depth;                           /* of the stack; may be more than ALLOCLINE_BLOCK_FRAMES */
  uintptr_t frames[ALLOCLINE_BLOCK_FRAMES]; /* return addresses, most recent first */
};

/* A line of Python. The texts are UTF-8, without a NUL at their end, and stay where they are. */
struct allocline_python_line {
  const char* file;
  const char* function;
  uint32_t file_bytes;
  uint32_t function_bytes;
  int32_t line; /* -1: the instruction is on none */
  uint32_t reserved;
};

/* The live block of a Python object, as the tracer's lookup_python() tells it. */
struct allocline_python_block {
  uint64_t bytes;  /* as requested */
  uint32_t domain; /* 0: malloc, 2: Python's own allocators, ... */
  uint32_t depth;  /* in lines of Python; may be more than ALLOCLINE_BLOCK_FRAMES */
  struct allocline_python_line lines[ALLOCLINE_BLOCK_FRAMES]; /* most recent first */
};

/* What the tracer offers. Grows at its end only; `size` tells how far it goes. */
struct allocline_api {
  size_t size;
  int (*is_tracing)(void);
  int (*start)(void);
  void (*stop)(void);
  void (*clear)(void);
  int (*take_snapshot)(const char* label, uint64_t rows);
  void (*traced_memory)(uint64_t* current, uint64_t* peak);
  void (*reset_peak)(void);
  uint64_t (*tracer_memory)(void);
  void (*ignore_this_thread)(int ignore);
  int (*lookup)(const void* block, struct allocline_block* out);
  int (*track)(uint32_t domain, uintptr_t block, size_t bytes);
  int (*untrack)(uint32_t domain, uintptr_t block);
  int (*log_memory_usage)(const char* label);
  int (*log_top)(const char* label, unsigned lines);
  const char* (*recording_path)(void);
  /* 1 where the lines of Python are recorded. */
  int (*traces_python)(void);
  /* The live block that holds the object at this address. ENOENT if it is not one we know. Of Python it touches
   * nothing, so it may be called with the GIL or without. */
  int (*lookup_python)(const void* object, struct allocline_python_block* out);
  /* The same, but for the `skip` most recent lines: lines[0] is the one they lead on to. For blocks deeper than
   * ALLOCLINE_BLOCK_FRAMES. */
  int (*lookup_python_further)(const void* object, uint32_t skip, struct allocline_python_block* out);
  int (*checkpoint)(const char* label, uint64_t rows);
};

/* The tracer in this process, or NULL. Looked for once: a tracer cannot come later. */
static inline const struct allocline_api* allocline_find(void) {
  static const struct allocline_api* found = NULL;
  static int looked = 0;
  if (!__atomic_load_n(&looked, __ATOMIC_ACQUIRE)) {
    const struct allocline_api* (*get)(void) = NULL;
    void* symbol = dlsym(RTLD_DEFAULT, "allocline_api_v1");
    __builtin_memcpy(&get, &symbol, sizeof get); /* POSIX's way from an object pointer to a function */
    __atomic_store_n(&found, get != NULL ? get() : NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&looked, 1, __ATOMIC_RELEASE);
  }
  return __atomic_load_n(&found, __ATOMIC_RELAXED);
}

/* 1 while allocations are being recorded. */
static inline int allocline_is_tracing(void) {
  const struct allocline_api* api = allocline_find();
  return api != NULL && api->is_tracing();
}

/* Begins recording (after `--start-stopped` or allocline_stop()); nothing if it is on. */
static inline int allocline_start(void) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->start() : ENODATA;
}

/* Ends recording and forgets all blocks. Snapshots taken stay. */
static inline void allocline_stop(void) {
  const struct allocline_api* api = allocline_find();
  if (api != NULL) api->stop();
}

/* Forgets all blocks and sets the peak to 0, and goes on recording. */
static inline void allocline_clear(void) {
  const struct allocline_api* api = allocline_find();
  if (api != NULL) api->clear();
}

/* Keeps what is live now under `label` (cut after 1024 bytes): `allocline top RECORDING@label`. */
static inline int allocline_take_snapshot(const char* label) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->take_snapshot(label, ALLOCLINE_ROWS_NOT_GIVEN) : ENODATA;
}

/* Keeps what is live now and how far the program has come: `rows` units of work done since it began
 * (ALLOCLINE_ROWS_NOT_GIVEN if it does not count), under `label` (as above; NULL or "" for none). For calls in a loop:
 * with ten thousand places that hold memory it takes less than 2 ms, and when checkpoints have taken much room in the
 * recording, only each second is kept, then each fourth, and so on; one that is left out is no error. ENOSPC, ENOMEM:
 * no room for it. `allocline growth RECORDING` reads them. */
static inline int allocline_checkpoint(const char* label, uint64_t rows) {
  const struct allocline_api* api = allocline_find();
  if (api == NULL) return ENODATA;
  if (api->size > offsetof(struct allocline_api, checkpoint)) return api->checkpoint(label, rows);
  return api->take_snapshot(label, rows); /* a tracer from before there were checkpoints */
}

/* Live bytes now, and the highest they were since start, clear or reset_peak. Both 0 when not tracing. With several
 * threads the peak may be low by up to 64 KiB a thread. */
static inline void allocline_traced_memory(uint64_t* current, uint64_t* peak) {
  const struct allocline_api* api = allocline_find();
  *current = 0;
  *peak = 0;
  if (api != NULL) api->traced_memory(current, peak);
}

/* Sets the peak to what is live now. */
static inline void allocline_reset_peak(void) {
  const struct allocline_api* api = allocline_find();
  if (api != NULL) api->reset_peak();
}

/* Bytes the tracer itself uses in this process, the map of live blocks and the recording's file apart. */
static inline uint64_t allocline_tracer_memory(void) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->tracer_memory() : 0;
}

/* With 1, what this thread allocates from here on is not recorded; with 0 it is again. */
static inline void allocline_ignore_this_thread(int ignore) {
  const struct allocline_api* api = allocline_find();
  if (api != NULL) api->ignore_this_thread(ignore);
}

/* The live block that starts at `block`. ENOENT if it is not one we know. */
static inline int allocline_lookup(const void* block, struct allocline_block* out) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->lookup(block, out) : ENODATA;
}

/* Records a block of a pool of the program's own. `domain` is the program's number for the pool, from
 * ALLOCLINE_FIRST_DOMAIN, at most 15 of them; blocks of one domain start at least 8 bytes apart. Tracking an address
 * again replaces its record. ENOSPC: too many domains; EINVAL: a number too small, an address above 2^47. */
static inline int allocline_track(uint32_t domain, const void* block, size_t bytes) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->track(domain, (uintptr_t)block, bytes) : ENODATA;
}

/* The block is given back to its pool. Not an error if it is unknown. */
static inline int allocline_untrack(uint32_t domain, const void* block) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->untrack(domain, (uintptr_t)block) : ENODATA;
}

/* Writes one line to stderr: `label`, RSS, the container's figure and limit, live and peak bytes. */
static inline int allocline_log_memory_usage(const char* label) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->log_memory_usage(label) : ENODATA;
}

/* Takes a snapshot and writes its top `lines` (0: ten) to stderr, by running the `allocline` program. ENOENT if that is
 * not found. */
static inline int allocline_log_top(const char* label, unsigned lines) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->log_top(label, lines) : ENODATA;
}

/* The recording's file, "" if there is none. */
static inline const char* allocline_recording_path(void) {
  const struct allocline_api* api = allocline_find();
  return api != NULL ? api->recording_path() : "";
}

#ifdef __cplusplus
}
#endif

#endif /* ALLOCLINE_ALLOCLINE_H_ */
