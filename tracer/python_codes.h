// Gives every code object of Python that was seen on a stack a number: where its record begins in the recording's table
// of codes, divided by 8. The record is a copy of what is needed to find the line of an instruction later; no reference
// is taken, and nothing of Python is called.
//
// A code object stays where it is as long as it lives, and a frame that runs it keeps it alive. So while a thread looks
// at its own stack, the number of each code on it can be asked for by address. When a code dies, whoever gives its
// memory back says so before it does (Forget()), and from then on the address is unknown. `epoch()` is raised with it:
// what was derived from addresses of code before is void. Should a death be missed (allocators that went around our
// hooks), the next code at that address has another fingerprint.
//
// Another allocator on top of us may put a header of its own before each block (PyMem_SetupDebugHooks(): two words).
// Then a code does not lie where the block begins whose end is its death. So the block has a slot, too (LiesIn()), and
// who asks for what is freed asks with one address in any case.
//
//   slots: {address, id, fingerprint}, open addressing, doubled when half full. A death empties the slot but for the
//   address, which the next code there takes over. Of a block that a code lies in: {address, kBlock, how far inside}.
//
// Programs that compile the same text over and over (exec in a loop, templates) get one record for all of those codes:
// records are found by a hash of what is in them, and compared.
//
// Threads:    IdOf() and Forget() may run at once on any thread. Reading takes no lock, writing the leaf lock `lock_`.
//             The table a reader has may be outgrown meanwhile: then it finds less than there is, and asks again under
//             the lock.
// Context:    inside malloc. Calls no allocator.
// Invariants: (1) a slot's id and fingerprint are written before its address (release; acquire in Find()). Only who
//                 keeps the code alive looks for its address, so its slot does not change under them;
//             (2) a record is whole before anything names it;
//             (3) a number that is known here is of a record in the table of codes of this process, after a fork too.
// When full:  IdOf() gives kNoCode.
#ifndef ALLOCLINE_TRACER_PYTHON_CODES_H_
#define ALLOCLINE_TRACER_PYTHON_CODES_H_

#include <atomic>
#include <cstdint>

#include "base/spin_lock.h"
#include "recording/writer.h"
#include "tracer/python_runtime.h"

namespace allocline {

class PythonCodes {
 public:
  static constexpr uint64_t kNoCode = ~uint64_t{0};

  void Init(RecordingWriter* recording) { recording_ = recording; }
  // In a forked child, after its tables were populated and before any other use.
  void InitAfterFork();

  // `*is_new` if it was seen for the first time.
  uint64_t IdOf(const PythonLayout& layout, uintptr_t code, bool* is_new);
  // `code`, which has a number, lies in the block that begins at `block`, further down: Forget(block) is its death.
  void LiesIn(uintptr_t block, uintptr_t code);
  // Whether a block that is about to be freed is a code that has a number, or has one in it.
  bool Knows(uintptr_t address) const {
    const Slot* slot = Find(address);
    return __builtin_expect(slot != nullptr, 0) && slot->id.load(std::memory_order_relaxed) != kNoId;
  }
  // True if it was one: it has none any more.
  bool Forget(uintptr_t address);

  // Acquire: who sees it raised sees the death that raised it. Pairs with the release in Forget().
  uint32_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  void VoidWhatIsKept() { epoch_.fetch_add(1, std::memory_order_release); }
  uint64_t private_bytes() const { return private_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Slot {
    std::atomic<uintptr_t> address;  // 0: empty
    std::atomic<uint32_t> id;        // kNoId: of a code that is gone. kBlock: of a block that one lies in
    std::atomic<uint32_t> fingerprint;
  };
  static constexpr uint32_t kNoId = ~uint32_t{0}, kBlock = kNoId - 1;
  struct Table {
    uint64_t capacity;  // power of two
    uint64_t filled;    // under the lock
    Slot slots[];
  };
  // What is in the records: open addressing, too. All under the lock.
  struct Content {
    uint32_t hash;
    uint32_t id_plus_one;
  };

  static uint64_t SlotOf(const Table& table, uintptr_t address) {
    return (address >> 4) * 0x9E3779B97F4A7C15u >> 20 & (table.capacity - 1);
  }
  static uint32_t Fingerprint(const PythonLayout& layout, uintptr_t code);
  Slot* Find(uintptr_t address) const;
  void Put(uintptr_t address, uint32_t id, uint32_t fingerprint);
  uint64_t Intern(const PythonLayout& layout, uintptr_t code, uint32_t fingerprint, bool* is_new);
  uint64_t RecordOf(const PythonLayout& layout, uintptr_t code);
  const format::CodeRecord* Describe(const PythonLayout& layout, uintptr_t code);
  bool MakeRoom();
  bool MakeRoomForContent();

  RecordingWriter* recording_ = nullptr;
  std::atomic<Table*> table_{nullptr};
  std::atomic<uint32_t> epoch_{0};
  std::atomic<uint64_t> private_bytes_{0};
  Content* contents_ = nullptr;
  uint64_t content_capacity_ = 0, content_count_ = 0;
  std::byte* scratch_ = nullptr;  // where a record is put together
  uint64_t scratch_bytes_ = 0;
  SpinLock lock_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_PYTHON_CODES_H_
