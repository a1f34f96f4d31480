// Writes a recording in place: the tables of the traced process, laid over a MAP_SHARED file.
//
// Each table has a range of addresses of its own, reserved once; its extents are mapped into it one after the other,
// so a table is one flat array however often it has grown, and a pointer into it stays good for the life of the
// process (also in a forked child, which maps its own file over the same ranges).
//
// Threads:    everything but Open/OpenForChild/PopulateChild may run at once on any thread and in a signal handler.
// Context:    runs inside malloc: raw system calls, no allocation, no errno.
// Invariants: (1) space on disk is allocated before it is mapped: a full disk is a null from Reserve(), never SIGBUS;
//             (2) the descriptor is checked to be still our file before each use: programs close what they do not know.
// When full:  Reserve() returns null, once and for all for that table (`full`), and the header says why.
#ifndef ALLOCLINE_RECORDING_WRITER_H_
#define ALLOCLINE_RECORDING_WRITER_H_

#include <atomic>

#include "base/atomic.h"
#include "base/spin_lock.h"
#include "recording/format.h"

namespace allocline {

class RecordingWriter {
 public:
  struct Identity {
    const char* directory;  // where the file goes
    const char* name;       // what the program was called as: its last part names the file
    const char* program;    // path of the executable
    uint64_t run_id;
    uint32_t flags;  // format::HeaderFlag
  };

  // Opens a new recording with all its tables empty. False if not even memory could be had: then there is nothing to
  // write to. If the directory refuses the file, the recording lives in a memfd and the header says so.
  bool Open(const Identity& identity);
  // Of a tracer that cannot start: gives the file up, and every address. The writer is not used any more.
  void Abandon();

  // In a forked child: (1) opens a file of its own, cheaply, while the child still has the rights to; the tables are
  // still the parent's and must not be written. (2) maps the child's tables over them: modules, codes, nodes and sites
  // as copies, all others empty; a code that a node names is always among those copied. Only one thread may be here. A
  // child that forks between the two has children of its own that begin with (1) again, and take over what it would
  // have taken over.
  bool OpenForChild();
  bool PopulateChild();
  // After PopulateChild(), before anything else is reserved: forgets what lies beyond `bytes` of a table. What the
  // parent's other threads were at, or went on with, is no business of the child.
  void Truncate(format::TableKind kind, uint64_t bytes);

  // `bytes` at the end of a table, zeroed, or null. The caller fills the record in and stores its tag last (release).
  void* Reserve(format::TableKind kind, uint64_t bytes);

  std::byte* base(format::TableKind kind) const { return tables_[Index(kind)].base; }
  // Acquire: what was reserved below this may be looked at. Pairs with the release in Reserve().
  uint64_t used(format::TableKind kind) const { return LoadAcquire(header_->tables[Index(kind)].used); }
  format::FileHeader& header() { return *header_; }
  const format::FileHeader& header() const { return *header_; }
  // Whether that is an address of the recording's, or reserved for it.
  bool IsOurs(uintptr_t address) const;
  const char* path() const { return path_; }  // "" when it lives in a memfd
  const char* directory() const { return identity_.directory; }
  bool open() const { return header_ != nullptr; }
  // After Open() gave false: an errno, why the directory refused the file; 0 if it was not that.
  int open_error() const { return open_error_; }

  // Has tables grow by less at a time as the file comes near `bytes`; it may become larger than that.
  void LimitExtents(uint64_t bytes) { extent_limit_ = bytes; }

  void CountDrop(format::DropReason reason, uint64_t bytes) {
    format::Drop& drop = header_->drops[static_cast<uint32_t>(reason)];
    AddRelaxed(drop.events, 1u);
    AddRelaxed(drop.bytes, bytes);
  }

 private:
  struct Table {
    std::byte* base = nullptr;
    uint64_t reserved = 0;              // bytes of addresses
    std::atomic<uint64_t> capacity{0};  // bytes mapped. Release by Grow, acquire by Reserve: the mapping is there
    std::atomic<bool> full{false};
  };
  static constexpr uint32_t Index(format::TableKind kind) { return static_cast<uint32_t>(kind); }

  bool ReserveRanges();
  bool CreateFile();
  bool CreateInMemory(long error);
  bool MapHeader();
  void FillHeader(const Identity& identity);
  void FillHeaderOfChild(const format::FileHeader& parent);
  uint64_t PublishedPrefix(format::TableKind kind) const;
  uint64_t NodesWithCodes() const;
  bool GrowFirstExtents();
  void Discard();
  static void Empty(Table& table);
  bool CopyTables();
  bool CopyTable(format::TableKind kind);
  bool Grow(format::TableKind kind, uint64_t needed_capacity);
  bool AddExtent(format::TableKind kind, uint64_t bytes);
  bool DescriptorIsOurs();
  void UnlinkOurs();
  long AllocateOnDisk(uint64_t offset, uint64_t bytes);
  void MarkFull(format::TableKind kind, uint32_t state_bit, long error);

  format::FileHeader* header_ = nullptr;  // followed by the page of extents
  format::Extent* extents_ = nullptr;
  Table tables_[format::kTableCount];
  SpinLock grow_lock_;
  Identity identity_{};
  int fd_ = -1;
  int open_error_ = 0;
  uint64_t extent_limit_ = 0;  // 0: none
  uint64_t device_ = 0, inode_ = 0;
  bool tables_are_parents_ = false;  // between OpenForChild() and PopulateChild()
  uint64_t used_at_fork_[format::kTableCount] = {};
  char path_[1024] = {};
};

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_WRITER_H_
