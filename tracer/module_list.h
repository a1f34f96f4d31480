// The loaded objects that stacks go through: path, build id, load bias and executable segments, written to the
// recording when the first frame inside an object is seen.
//
// An object is found by asking the loader about one address (_dl_find_object: no loader lock, async-signal-safe), never
// by walking all objects (dl_iterate_phdr takes the loader's lock, and a thread that holds it may be waiting for one
// that is inside malloc). After a dlclose the range may be reused by other code. Then the frames of the new object must
// not be taken for the old one's: they carry a generation number, and FrameOf() puts it in. An object that comes back
// to where it was, the same by its build id, is what it was: a plugin loaded a thousand times is one module. When
// no more modules can be kept, frames say that theirs is none of those recorded, and drops are counted.
//
// Unloads are told by NoteUnload(). One that is not, by code with a way to the loader of its own, is found when the
// next new node lies in such a range, because Note() asks the loader whether the object there still is the one it
// knows.
//
// Threads:    all functions may run at once on any thread; FrameOf() without locks.
// Context:    inside malloc. In a signal handler that interrupted a registration, the module is not recorded then, but
//             with a later frame.
// Invariants: (1) an entry's range and generation never change once `count_` covers it (release/acquire);
//             (2) entries that overlap differ in generation, and all but one of them are unloaded.
#ifndef ALLOCLINE_TRACER_MODULE_LIST_H_
#define ALLOCLINE_TRACER_MODULE_LIST_H_

#include <dlfcn.h>
#include <link.h>

#include <atomic>
#include <cstdint>

#include "base/spin_lock.h"
#include "recording/format.h"
#include "recording/writer.h"

namespace allocline {

struct LoadedObject;

class ModuleList {
 public:
  // `executable`: path of the program, for the loader calls it "". It must outlive this.
  // `on_new_object` is called for each object that is noted for the first time, inside malloc, with no lock held.
  void Init(RecordingWriter* recording, const char* executable, void (*on_new_object)(const link_map*) = nullptr);
  // In a forked child, after its tables were populated and before any other use.
  void InitAfterFork();

  // The frame for a return address. `reused` is set if other code was found at an address range used before: what an
  // unwinder remembers of that range is then wrong.
  format::Frame FrameOf(uintptr_t pc, bool* reused) {
    // Acquire: the range reaches as far as the unload that raised the flag. Pairs with the release in MarkUnloaded().
    const uint32_t unloads = unloads_.load(std::memory_order_acquire);
    if (__builtin_expect(unloads != 0, 0) && (unloads >= kUnderWay || IsWhereCodeWasUnloaded(pc))) {
      return FrameAfterUnload(pc, reused);
    }
    return pc & format::kAddressMask;
  }

  // If not, FrameOf() a return address in code is that address.
  bool AnyUnloaded() const { return unloads_.load(std::memory_order_acquire) != 0; }

  // Makes sure that the object around `pc` is in the recording. Call before a new node with a frame there is published,
  // and ask FrameOf() again after it.
  void Note(uintptr_t pc, bool* reused);

  // Around a dlclose: in the middle of it, before NoteUnload() can know, another thread may load and run other code
  // where that was which goes. Meanwhile each address is looked up anew.
  void BeginUnload() { unloads_.fetch_add(kUnderWay, std::memory_order_seq_cst); }
  void EndUnload() {
    uint32_t unloads = unloads_.load(std::memory_order_relaxed);
    // None is under way in a child that was forked in the middle of this one. Release: as in MarkUnloaded().
    while (unloads >= kUnderWay &&
           !unloads_.compare_exchange_weak(unloads, unloads - kUnderWay, std::memory_order_release,
                                           std::memory_order_relaxed)) {
    }
  }

  // Whether the object that a reader takes `frame` to be in is the one that the loader has at `pc` now; or neither
  // knows of any; or the frame says that its module is none of those recorded. For verify mode.
  bool IsOfWhatIsLoaded(format::Frame frame, uintptr_t pc) const;

  // Call after a dlclose: finds out which objects are gone. True if any is: what was derived from code addresses before
  // is to be forgotten.
  bool NoteUnload();
  uint64_t private_bytes() const;

 private:
  struct Entry {
    uintptr_t start, end;
    uint64_t load_bias;
    uint32_t generation;
    std::atomic<bool> unloaded;
    const void* link_map;
    uint64_t headers_hash;  // stands in for a missing build id
    format::ModuleRecord* record;
    bool Overlaps(const Entry& other) const { return start < other.end && other.start < end; }
  };

  static constexpr uint32_t kMaxModules = 4096;

  Entry* FindMapped(uintptr_t pc) const;
  bool IsWhereCodeWasUnloaded(uintptr_t pc) const {
    return pc >= unloaded_start_.load(std::memory_order_relaxed) && pc < unloaded_end_.load(std::memory_order_relaxed);
  }
  format::Frame FrameAfterUnload(uintptr_t pc, bool* reused);
  void Register(uintptr_t pc, bool* reused);
  const link_map* RegisterLocked(uintptr_t pc, bool* reused);
  static bool IsOf(const LoadedObject& object, const Entry& entry);
  static bool IsSameFile(const LoadedObject& object, const Entry& entry);
  Entry* FindReturned(const LoadedObject& object);
  void MarkUnloaded(Entry& entry);
  void AskForGenerationIn(const Entry& entry);
  bool WriteRecord(Entry& entry, const char* path);

  RecordingWriter* recording_ = nullptr;
  const char* executable_ = "";
  void (*on_new_object_)(const link_map*) = nullptr;
  Entry* entries_ = nullptr;
  std::atomic<uint32_t> count_{0};
  static constexpr uint32_t kAny = 1, kUnderWay = 2;
  std::atomic<uint32_t> unloads_{0};  // kAny if there ever was one, and kUnderWay for each that is
  std::atomic<uintptr_t> unloaded_start_{~uintptr_t{0}}, unloaded_end_{0};  // around all that ever was unloaded, and
                                                                            // what lies there since
  SpinLock lock_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_MODULE_LIST_H_
