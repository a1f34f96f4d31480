// The layout of a recording: the one thing the tracer and the offline half share.
//
// A recording is the tracer's own tables in a MAP_SHARED file. Nothing is logged and nothing is flushed: whatever
// instant a reader (or a SIGKILL) picks, the file holds the state of that instant. It is a header page, a page of
// extents, and then the extents. Each extent belongs to one *table*; the extents of a table, in the order of the
// directory, joined end to end, are that table's bytes. A table grows only at its end.
//
//   offset 0        FileHeader    (kHeaderBytes)
//   offset 4096     Extent[kMaxExtents]
//   offset 8192...  extents: page aligned, each allocated on disk before it is mapped
//
// Integers are little endian. A field marked `atomic` is written while others read: access it only through
// base/atomic.h or std::atomic_ref, with the order its comment names.
//
// What a reader may rely on, at any instant:
//   (1) header.extent_count extents are complete in the directory (release store; read it with acquire).
//   (2) TableHead.used bytes of a table are reserved, and lie in its extents: read `used` first, then the directory. A
//       fixed-size record in it whose *tag field* is 0 is not written yet (its writer is between reserving and
//       publishing) and is to be ignored; in a table of variable-size records it ends the table. Tags are named below.
//   (3) Counters only grow. live = allocated - freed is never negative if every `freed` of every chunk is read first,
//       then an acquire fence, then every `allocated` (of the chunks there are by then).
//   (4) A thread is published before a chunk it owns, a chunk's owner and a site before a counter of theirs is
//       non-zero; a node before its site; a module before the first node with an address in it. A snapshot counts
//       nothing that the counters do not. So: read snapshots, then counters, then owners, threads, sites, nodes and
//       modules.
//
// Version rule: a change an old reader would misread raises kMajorVersion, and readers refuse other majors. A new
// table, a new header field in reserved space, a new flag or record kind that can be skipped raises kMinorVersion.
// docs/recording-format.md walks through a real file byte by byte.
#ifndef ALLOCLINE_RECORDING_FORMAT_H_
#define ALLOCLINE_RECORDING_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace allocline::format {

inline constexpr char kMagic[8] = {'A', 'L', 'L', 'O', 'C', 'L', 'N', '\n'};
inline constexpr uint16_t kMajorVersion = 1;
inline constexpr uint16_t kMinorVersion = 4;
inline constexpr uint32_t kByteOrderMark = 0x01020304;
inline constexpr uint32_t kPageBytes = 4096;
inline constexpr uint32_t kHeaderBytes = 4096;
inline constexpr uint32_t kMaxExtents = 128;

// ---------------------------------------------------------------- tables

enum class TableKind : uint32_t {
  kNone = 0,
  kModules = 1,       // ModuleRecord, variable size
  kNodes = 2,         // NodeRecord: the calling-context tree
  kSites = 3,         // SiteRecord: SiteId -> the node of its innermost frame
  kThreads = 4,       // ThreadRecord
  kChunkOwners = 5,   // ChunkOwner: whose counters chunk i holds
  kCounters = 6,      // CounterChunk i
  kSnapshots = 7,     // SnapshotRecord, variable size
  kCodes = 8,         // 1.2: CodeRecord, variable size: code of an interpreter
  kTimeline = 9,      // 1.3: TimelineRecord: memory over time
  kSymbols = 10,      // SymbolRecord, variable size: only in a snapshot that stands alone
  kDifferences = 11,  // DifferenceRecord: stacks on which our unwinder and libunwind disagree (ALLOCLINE_VERIFY=1)
  kPeakFirst = 12,    // PeakSite i: what was live of site i at the peak, in FileHeader.peak_copies[0]
  kPeakSecond = 13,   // the same, in [1]
  kLedger = 14,       // 1.4: LedgerRecord: what the process's memory consists of, two slots
};
inline constexpr uint32_t kTableCount = 16;  // room for kinds 1..15

struct Extent {
  uint32_t kind;  // TableKind
  uint32_t reserved;
  uint64_t table_offset;  // where in its table these bytes begin
  uint64_t file_offset;   // multiple of kPageBytes
  uint64_t bytes;         // multiple of kPageBytes
};
static_assert(sizeof(Extent) == 32 && sizeof(Extent) * kMaxExtents == kPageBytes);

// ---------------------------------------------------------------- header

// What the tracer could not record, and why. Index into FileHeader.drops.
enum class DropReason : uint32_t {
  kBeforeStart = 0,     // served before the tracer's constructor had run
  kNoThreadState = 1,   // no memory for a thread's state
  kPointerMapFull = 2,  // no address space for the pointer map's next leaf
  kTooLarge = 3,        // a single block of 1 TiB or more, or an address above 2^47
  kRecordingFull = 4,   // counted, but charged to kOverflowSite: the disk or a table is full
  kDomainFull = 5,      // track(): more than kMaxCustomDomains domains
};
inline constexpr uint32_t kDropReasons = 8;

struct Drop {
  uint64_t events;  // atomic, relaxed
  uint64_t bytes;   // atomic, relaxed
};

enum HeaderFlag : uint32_t {
  kFlagMmapDomain = 1u << 0,      // anonymous mappings were recorded too
  kFlagForked = 1u << 1,          // this process began as a fork of `parent_pid`, with its live blocks
  kFlagSnapshot = 1u << 2,        // not a process but a snapshot of one, made to stand alone
  kFlagStoppedAtStart = 1u << 3,  // tracing waits for allocline_start()
  kFlagVerify = 1u << 4,          // every stack was also taken by libunwind, and compared
};

// Bits of FileHeader.state, only ever set. atomic, relaxed.
enum StateBit : uint32_t {
  kStateActive = 1u << 0,        // at least one event of this process itself was recorded
  kStateExited = 1u << 1,        // the process ran its exit handlers
  kStateDiskFull = 1u << 2,      // an extent could not be allocated (error in `first_errno`)
  kStateNoUnwinder = 1u << 3,    // libunwind was not found: stacks have one frame
  kStateInMemory = 1u << 4,      // the output directory refused the file: this lived in a memfd
  kStateTableFull = 1u << 5,     // a table reached its address space limit or the extent directory is full
  kStateNotGlibc = 1u << 6,      // the allocator behind us is not glibc's; `allocator` names it
  kStateSampled = 1u << 7,       // 1.1: since `sampled_ns` blocks are sampled, one in sample_interval_bytes
  kStateTotalsOnly = 1u << 8,    // 1.1: since `totals_ns` no stacks are taken at all; the totals go on
  kStateAtLimit = 1u << 9,       // 1.3: the usage came to `emulated_limit_bytes`
  kStateEndedItself = 1u << 10,  // 1.3: and there the process ended itself by SIGKILL (ALLOCLINE_LIMIT_ACTION=kill)
  kStateLeft = 1u << 11,         // 1.4: the process left by _exit(): without its exit handlers, and not killed
};
// Either: nobody killed it.
inline constexpr uint32_t kStateEndedByItself = kStateExited | kStateLeft;

// Bits of FileHeader.python_state, only ever set. atomic, relaxed. Without kPythonTraced only native frames are
// recorded.
enum PythonBit : uint32_t {
  kPythonTraced = 1u << 0,          // its allocators are hooked, its frames are read
  kPythonUnknownVersion = 1u << 1,  // a minor version whose structures we do not know
  kPythonFreeThreaded = 1u << 2,    // a build without the GIL
  kPythonBadLayout = 1u << 3,       // a known version, but its frames are not where they should be
  kPythonSecondRuntime = 1u << 4,   // another interpreter was loaded beside the one that is traced
  kPythonHooksReplaced = 1u << 5,   // the program replaced its allocators; what came before we were back is missing
  kPythonIsPyPy = 1u << 6,          // there is an interpreter that is not CPython
};

// Used bytes of a table. atomic: release store by the writer, acquire load by readers.
struct TableHead {
  uint64_t used;
  uint64_t capacity;  // atomic, relaxed: bytes in extents so far
};

// A copy of what was live at every site when the process came to a new peak. There are two, written in turn, so that
// one is whole at any instant: the one of the highest `sequence` whose `epoch` is the header's peak_epoch. A reader
// looks at `sequence` again after it has read the sites: if it has changed, the copy was overwritten meanwhile.
struct PeakCopy {
  uint64_t sequence;      // atomic: 1, 2, 3, ...; 0 = none, or being written. Release: what it numbers is whole
  uint64_t live_bytes;    // total of the process then, without what threads had not published yet
  uint64_t monotonic_ns;  // when it was taken
  uint32_t site_count;    // sites [0, site_count) of its table are of this copy
  uint32_t epoch;         // peak_epoch at that time
};
static_assert(sizeof(PeakCopy) == 32);

inline constexpr uint32_t kMaxRungs = 16;
inline constexpr uint64_t kNotCounted = ~uint64_t{0};

struct FileHeader {
  char magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t byte_order;    // kByteOrderMark
  uint32_t header_bytes;  // kHeaderBytes
  uint32_t machine;       // ELF e_machine of the process (62 = x86-64)
  uint32_t flags;         // HeaderFlag
  uint32_t state;         // atomic: StateBit
  // --- 32: the process
  uint32_t pid;
  uint32_t parent_pid;
  uint64_t process_start_ticks;  // field 22 of /proc/PID/stat: tells a reused pid apart; 0 if unknown
  uint64_t start_realtime_ns;    // CLOCK_REALTIME and
  uint64_t start_monotonic_ns;   // CLOCK_MONOTONIC when the recording was opened
  uint64_t end_monotonic_ns;     // atomic: when the exit handlers ran, 0 before
  uint64_t run_id;      // ALLOCLINE_RUN, in hex: the same in all processes of one `allocline run`; 0 = not given
  uint8_t boot_id[16];  // /proc/sys/kernel/random/boot_id: another value = another machine or boot
  char program[256];    // path of the executable, NUL-terminated, cut if longer
  char host[64];        // uname nodename, NUL-terminated
  char allocator[128];  // file that holds the next malloc, NUL-terminated
  // --- totals
  uint64_t live_bytes;         // atomic: flushed from the threads; add every ThreadRecord.pending_bytes
  uint64_t peak_bytes;         // atomic: highest live_bytes seen since start, clear or reset_peak
  uint64_t peak_monotonic_ns;  // atomic
  uint64_t peak_slack_bytes;   // K: with more than one thread the peak may be low by up to threads x K
  uint32_t peak_epoch;         // atomic: raised by reset_peak; a thread's pending_peak counts only in its epoch
  uint32_t first_errno;        // atomic: why kStateDiskFull or kStateInMemory was set
  // --- the process as the kernel sees it, sampled by the process itself as it grows
  uint64_t sample_monotonic_ns;    // atomic
  uint64_t rss_bytes;              // atomic
  uint64_t container_usage_bytes;  // atomic: the cgroup's usage without inactive file pages; 0 = no cgroup
  uint64_t container_limit_bytes;  // atomic: 0 = no limit found
  // --- the tracer itself
  uint64_t tracer_private_bytes;  // atomic: memory of ours outside the file, pointer map apart
  uint64_t pointer_map_bytes;     // atomic: address space of the pointer map's leaves
  uint64_t nested_events;         // atomic: allocations made inside the tracer (by a signal): stack of one frame
  uint64_t truncated_stacks;      // atomic: walks that ended before the outermost frame
  Drop drops[kDropReasons];
  // --- tables
  uint32_t extent_count;  // atomic: release store
  uint32_t reserved0;
  uint64_t file_bytes;            // atomic: end of the last extent
  TableHead tables[kTableCount];  // index: TableKind
  // --- checks (kFlagVerify)
  uint64_t verified_stacks;   // atomic: stacks compared with libunwind's
  uint64_t different_stacks;  // atomic: how many of them differed
  // --- sampling (1.1). The times are CLOCK_MONOTONIC; 0: not, or from the start on (kStateSampled tells)
  uint64_t sample_interval_bytes;  // atomic: R of recording/sampling.h. 0: all blocks are recorded
  uint64_t sampled_ns;             // atomic: when recording every block ended, for tracer_budget_bytes were used up
  uint64_t sampled_live_bytes;     // atomic: what was live then
  uint64_t totals_ns;              // atomic: when sampling ended, for the same reason
  uint64_t totals_live_bytes;      // atomic
  uint64_t tracer_budget_bytes;    // what the tracer may hold, pointer map apart; 0: no limit
  // --- what was live at the peak
  PeakCopy peak_copies[2];  // of kPeakFirst and kPeakSecond
  uint64_t peak_copy_ns;    // atomic: processor time spent on taking them
  // --- Python (1.2)
  uint32_t python_version;      // atomic: PY_VERSION_HEX of the interpreter in the process; 0 = none seen
  uint32_t python_state;        // atomic: PythonBit
  uint64_t python_arena_bytes;  // atomic: what pymalloc holds in arenas; of it are live ThreadRecord.python_small_bytes
  char python_runtime[256];     // file that holds the interpreter, NUL-terminated
  char directory[256];          // the working directory at the start, NUL-terminated: relative file names are from here
  // --- the container and its limit (1.3)
  uint64_t emulated_limit_bytes;  // ALLOCLINE_LIMIT: stands for the limit of a container; 0: none
  uint64_t oom_kills_at_start;    // how often the kernel had killed in the cgroup when the process came to be in it;
                                  // kNotCounted: it does not say
  uint64_t failed_allocations;    // atomic: calls that asked for memory and were given none
  uint64_t failed_bytes;          // atomic: what the last of them asked for
  uint64_t too_large_requests;    // atomic: calls that asked for more than was left of the limit
  uint64_t too_large_bytes;       // atomic: what the largest of them asked for
  uint64_t timeline_points;       // atomic: points taken; kTimeline keeps those that show the most
  uint64_t watch_ns;              // atomic: time spent on reading the container's figures
  uint64_t checkpoints;           // atomic: asked for by the program
  uint64_t checkpoints_left_out;  // atomic: of these, how many were not kept, for those before take much room
  uint64_t rungs_left_out;        // atomic: snapshots of the ladder not taken, for want of memory
  uint32_t container_version;     // of the cgroup that charges the process: 1, 2; 0 = none found
  uint32_t reserved1;
  uint8_t ladder[kMaxRungs];  // percents of the limit at which snapshots are taken, rising; ended by 0 unless full
  char container_path[256];  // the cgroup's directory, NUL-terminated; "" if unknown, or longer. Changes if the process
                             // is moved
};
static_assert(sizeof(FileHeader) <= kHeaderBytes);
static_assert(offsetof(FileHeader, pid) == 32);

// ---------------------------------------------------------------- frames and stacks

// One frame of a stack. 0 is no frame.
//   native:  bits 0..46 return address (the call is at address - 1), bits 48..59 generation of the module mapped there
//            (0, unless an address range was reused after dlclose), bit 63 clear
//   virtual: bit 63 set, bits 56..62 VirtualKind, bits 0..55 payload
using Frame = uint64_t;
inline constexpr Frame kVirtualBit = uint64_t{1} << 63;
inline constexpr uint64_t kAddressMask = (uint64_t{1} << 47) - 1;
inline constexpr int kGenerationShift = 48;
inline constexpr uint64_t kGenerationMask = 0xfff;
inline constexpr uint32_t kNoGeneration = 0xfff;  // of code where a module was, that is of no module that was recorded

enum class VirtualKind : uint32_t {
  kDomain = 1,     // payload: domain id. Always the outermost frame; absent for domain 0 (malloc)
  kTruncated = 2,  // payload: TruncationReason. Outermost frame of a stack that is cut short there
  kOverflow = 3,   // the only frame of kOverflowSite
  kInherited = 4,  // reserved
  kPython = 5,     // 1.2, payload: PythonPayload()
  kSampled = 6,    // 1.1, payload: R. Outermost frame of a stack whose counters are estimates (sampling.h)
};
enum class TruncationReason : uint32_t {
  kTooDeep = 1,        // more than kMaxDepth frames: the innermost are kept, at least kFewestOfTooDeep
  kNested = 2,         // allocated inside the tracer (a signal handler): only the caller is known
  kNoUnwinder = 3,     // no unwinder: only the caller is known
  kNoUnwindInfo = 4,   // further out is code without unwind information (a JIT's, hand-written)
  kBadUnwindInfo = 5,  // further out is code whose unwind information leads out of the stack
};
constexpr Frame MakeVirtualFrame(VirtualKind kind, uint64_t payload) {
  return kVirtualBit | (uint64_t{static_cast<uint32_t>(kind)} << 56) | payload;
}
constexpr bool IsVirtual(Frame frame) { return (frame & kVirtualBit) != 0; }
constexpr VirtualKind KindOf(Frame frame) { return static_cast<VirtualKind>((frame >> 56) & 0x7f); }
constexpr uint64_t PayloadOf(Frame frame) { return frame & ((uint64_t{1} << 56) - 1); }
constexpr uint64_t AddressOf(Frame frame) { return frame & kAddressMask; }
constexpr uint32_t GenerationOf(Frame frame) { return (frame >> kGenerationShift) & kGenerationMask; }

// Of a frame of Python: its code, and the instruction it stands at, as an offset into the code's bytes. Unlike a return
// address this is the instruction of the call itself.
inline constexpr int kCodeShift = 28;
inline constexpr uint64_t kNoCodeOffset = (uint64_t{1} << kCodeShift) - 1;  // of a frame that has not begun
inline constexpr uint64_t kMaxCodeOffset = kNoCodeOffset - 1;               // larger ones are cut to this
// `code`: where its record begins in kCodes, in units of kCodeIdBytes.
inline constexpr uint64_t kCodeIdBytes = 8;
constexpr uint64_t PythonPayload(uint64_t code, uint64_t offset) { return (code << kCodeShift) | offset; }
constexpr uint64_t CodeOf(Frame frame) { return PayloadOf(frame) >> kCodeShift; }
constexpr uint64_t CodeOffsetOf(Frame frame) { return PayloadOf(frame) & kNoCodeOffset; }

inline constexpr uint32_t kDomainMalloc = 0;
inline constexpr uint32_t kDomainMmap = 1;
inline constexpr uint32_t kDomainPython = 2;        // 1.2: blocks of Python's own allocators
inline constexpr uint32_t kFirstCustomDomain = 16;  // track(): smaller ids are ours
inline constexpr uint32_t kMaxCustomDomains = 15;

inline constexpr uint32_t kMaxDepth = 1000;        // native frames kept of one stack
inline constexpr uint32_t kFewestOfTooDeep = 500;  // of one that has more

// A node is one frame with all its callers: parent 0 = outermost. Node i is record i; record 0 is the root.
struct NodeRecord {
  uint32_t parent;
  uint32_t site;  // atomic, release: SiteId of the stack that ends here, 0 = none yet. Only a hint: kSites decides
  Frame frame;    // tag, atomic: written last, release
};
static_assert(sizeof(NodeRecord) == 16);

// Site i is record i. Site 0 is no site; site 1 takes what could not be attributed.
//
// 1.1: the counters of site 0 count blocks without a stack, in bytes as the allocator rounds them: while sampling,
// every block but those that are recorded exactly, samples included. So live = all sites that are not sampled + site 0,
// and is exact; sampled sites say whose site 0's part is. A free counts there also for a block whose allocation was not
// seen (before the start, or clear()).
struct SiteRecord {
  uint32_t node;  // tag, atomic, release
};
static_assert(sizeof(SiteRecord) == 4);
inline constexpr uint32_t kOverflowSite = 1;

// ---------------------------------------------------------------- counters

struct Counter {
  uint64_t allocated_bytes;  // atomic, relaxed: written by the owning thread only
  uint64_t allocated_blocks;
  uint64_t freed_bytes;  // read before `allocated_*`: invariant (3)
  uint64_t freed_blocks;
};
static_assert(sizeof(Counter) == 32);

inline constexpr uint32_t kSitesPerChunk = 32;
struct CounterChunk {
  Counter counters[kSitesPerChunk];
};
static_assert(sizeof(CounterChunk) == 1024);

// Chunk i of kCounters holds, for thread record `thread - 1`, the sites [group * 32, group * 32 + 32).
// A thread may own two chunks of one group: they add up.
struct ChunkOwner {
  uint32_t thread_plus_one;  // tag, atomic, release
  uint32_t group;
};
static_assert(sizeof(ChunkOwner) == 8);

// What was live of a site at the peak. Record i is of site i; how many are valid, and when, says a PeakCopy.
struct PeakSite {
  uint64_t bytes;  // atomic, relaxed
  uint64_t blocks;
};
static_assert(sizeof(PeakSite) == 16);

// ---------------------------------------------------------------- threads

enum class ThreadKind : uint32_t {
  kThread = 1,
  kOrphans = 2,    // record 0: events of threads without a state of their own; its counters are added to by anyone
  kInherited = 3,  // in a forked process: what was live in the parent at the fork
};
struct ThreadRecord {
  uint32_t kind;            // tag, atomic, release: ThreadKind
  uint32_t tid;             // atomic: the thread served now or last
  uint32_t threads_served;  // atomic: a record is handed on when its thread has ended
  uint32_t peak_epoch;      // atomic: epoch of pending_peak
  char name[16];            // atomic bytes: as in /proc/PID/task/TID/comm, refreshed now and then
  int64_t pending_bytes;    // atomic: not yet in FileHeader.live_bytes
  int64_t pending_peak;     // atomic: highest pending_bytes since the last flush
  // 1.1, atomic: of what the thread's counter of site 0 has live, how much is in pending_bytes or
  // FileHeader.live_bytes.
  int64_t counted_bytes;
  // 1.2, atomic: live bytes in pymalloc's arenas, as requested: allocated minus freed on this thread (may be negative)
  int64_t python_small_bytes;
  // 1.2, atomic: what the tracer's part of an event costs. A few events were timed (tracer/event_timer.h): how many
  // allocations, and what all of those took, without the allocator behind us; and frees.
  uint64_t timed_allocations;
  int64_t timed_allocation_ns;
  uint64_t timed_frees;
  int64_t timed_free_ns;
  uint64_t reserved[4];
};
static_assert(sizeof(ThreadRecord) == 128);

// ---------------------------------------------------------------- modules

// A loaded object, at most one per (range, generation). Recorded when the first frame inside it is.
// Followed by: Segment[segment_count], build id (build_id_bytes), path (path_bytes, no NUL), padding to 8.
struct ModuleRecord {
  uint32_t record_bytes;  // tag, atomic, release: whole record with padding, multiple of 8
  uint32_t generation;    // what GenerationOf() a frame inside it gives
  uint64_t start;         // [start, end): the mapped range
  uint64_t end;
  uint64_t load_bias;    // address in memory - address in the file's program headers
  uint64_t loaded_ns;    // CLOCK_MONOTONIC when first seen
  uint64_t unloaded_ns;  // atomic: when found gone, 0 while mapped
  uint16_t segment_count;
  uint16_t build_id_bytes;
  uint32_t path_bytes;
};
static_assert(sizeof(ModuleRecord) == 56);

// An executable program header of the module.
struct Segment {
  uint64_t vaddr;
  uint64_t memory_bytes;
  uint64_t file_offset;
  bool operator==(const Segment&) const = default;
};
static_assert(sizeof(Segment) == 24);

// ---------------------------------------------------------------- code of interpreters (1.2)

// How CodeRecord's table gives the line of an offset.
enum class LineTableKind : uint32_t {
  kNone = 0,
  kLnotab = 1,     // Python up to 3.9: co_lnotab
  kLineTable = 2,  // 3.10: co_linetable, pairs
  kLocations = 3,  // 3.11 and later: co_linetable, location entries
};

// A Python code object, as it was when it was first seen on a stack.
// Followed by: file name (file_bytes), qualified name (name_bytes; the plain one up to 3.10), both UTF-8, without NUL,
// line table (line_table_bytes), padding to 8.
struct CodeRecord {
  uint32_t record_bytes;     // tag, atomic, release: whole record with padding, multiple of 8
  int32_t first_line;        // co_firstlineno
  uint32_t line_table_kind;  // LineTableKind
  uint32_t file_bytes;
  uint32_t name_bytes;
  uint32_t line_table_bytes;
};
static_assert(sizeof(CodeRecord) == 24);

// ---------------------------------------------------------------- snapshots

// A labelled copy of all counters, summed over threads, written as the difference from the snapshot before it.
// Followed by: label (label_bytes, UTF-8 by custom, any bytes in truth), then payload_bytes of varints, padding to 8.
//
// The payload holds `entry_count` entries by rising site, 0 among them: LEB128 of
//   site - previous site (first: site), then the growth since the snapshot before (record order; first: since zero) of
//   allocated_bytes, allocated_blocks, freed_bytes, freed_blocks.
// So the value at snapshot k is the sum of the entries of snapshots 0..k.
struct SnapshotRecord {
  uint32_t record_bytes;  // tag, atomic, release: whole record with padding, multiple of 8
  uint32_t label_bytes;
  uint32_t entry_count;
  uint32_t payload_bytes;
  uint64_t monotonic_ns;
  uint64_t live_bytes;
  uint64_t peak_bytes;  // since start, clear or reset_peak
  uint64_t rss_bytes;
  uint64_t container_usage_bytes;
  uint64_t container_limit_bytes;
  uint64_t rows;  // units of work the program reported, ~0 = not given
};
static_assert(sizeof(SnapshotRecord) == 72);

// Why a snapshot was taken.
enum class SnapshotKind : uint32_t {
  kLabelled = 0,          // the program asked for it, or `allocline snapshot`
  kCheckpoint = 1,        // the program said how far it had come
  kRung = 2,              // the usage passed a rung of the ladder: label "limit-90%"
  kFailedAllocation = 3,  // an allocation failed: label "failed-allocation"
  kTooLargeRequest = 4,   // one asked for more than was left of the limit: label "too-large-request"
};
// 1.3: stands behind the padding of a SnapshotRecord. One without it, of an earlier version, is kLabelled.
struct SnapshotTail {
  uint32_t kind;          // SnapshotKind
  uint32_t ledger_bytes;  // 1.4: of a LedgerRecord of the same moment, which follows; 0: none
};
static_assert(sizeof(SnapshotTail) == 8);
inline constexpr uint64_t kRowsNotGiven = ~uint64_t{0};
inline constexpr uint32_t kMaxLabelBytes = 1024;  // longer labels are cut

// ---------------------------------------------------------------- timeline (1.3)

// What the process and its container held at an instant. The points are in no order, and at most kMaxTimelinePoints:
// when there are so many, a new one is written over the one whose absence shows least (tracer/timeline.h). While that
// is done its sequence is 0. So a reader copies the table three times; a record whose sequence is the same, and not 0,
// in the first and the last copy is as the copy between them has it, and others are passed over. In a file that nobody
// writes all three are alike, and what a SIGKILL leaves unfinished is one point at most.
struct TimelineRecord {
  uint64_t sequence;  // tag, atomic, release: 1, 2, 3, ... in the order the points were taken; none comes twice
  uint64_t monotonic_ns;
  uint64_t live_bytes;             // of the process, as far as its threads had published it
  uint64_t rss_bytes;              // 0: unknown, as below
  uint64_t container_usage_bytes;  // without inactive file pages
  uint64_t container_limit_bytes;  // 0: none
};
static_assert(sizeof(TimelineRecord) == 48);
inline constexpr uint32_t kMaxTimelinePoints = (64 << 10) / sizeof(TimelineRecord);

// ---------------------------------------------------------------- ledger (1.4)

enum LedgerFlag : uint32_t {
  kLedgerNoRegions = 1u << 0,    // /proc/self/smaps could not be read: of the process only the sums are known
  kLedgerWholeHeap = 1u << 1,    // what lies where was not asked: blocks are sampled, or the allocator is not glibc's.
                                 // Anonymous memory that nobody was seen to map counts as the allocator's then
  kLedgerNoContainer = 1u << 2,  // no cgroup, or one that does not say what its usage consists of
};

// What the resident memory of the process consists of, and the usage of its container, as the process read it when it
// had grown, at its end, and for some snapshots. tracer/ledger.h says how. In bytes; what is resident unless it says
// otherwise. rss_bytes is the sum of all that are marked with +.
// Followed by: LedgerItem[item_count], each with its path.
//
// kLedger holds two slots of kLedgerSlotBytes, written in turn, so that one is whole at any instant: that of the
// highest `sequence`. A reader looks at `sequence` again after it has read the rest, as with PeakCopy.
struct LedgerRecord {
  uint64_t sequence;      // atomic, release: 1, 2, 3, ...; 0 = none, or being written
  uint32_t record_bytes;  // with the items, multiple of 8
  uint32_t item_count;
  uint32_t flags;       // LedgerFlag
  uint32_t stacks;      // regions that are stacks
  uint32_t arenas;      // regions that are arenas of glibc's malloc, the main one apart
  uint32_t processors;  // the kernel charges up to 256 KiB ahead for each
  uint64_t monotonic_ns;
  uint64_t rss_bytes;
  uint64_t anonymous_bytes;  // of rss_bytes: of no file. What a cgroup charges to the process that touches it
  uint64_t swapped_bytes;    // not resident
  // --- the allocators whose blocks are recorded
  uint64_t traced_bytes;        // live blocks of malloc and of Python, as requested, resident or not
  uint64_t untouched_bytes;     // of these: not resident, as far as large blocks and sums tell
  uint64_t heap_bytes;          // + what the allocators hold
  uint64_t brk_bytes;           // of heap_bytes: in [heap]
  uint64_t arena_bytes;         // of heap_bytes: in arenas of glibc's malloc
  uint64_t block_bytes;         // of heap_bytes: in blocks that glibc's malloc mapped by themselves
  uint64_t free_page_bytes;     // of heap_bytes: whole pages without a live block. kNotCounted: unknown
  uint64_t python_arena_bytes;  // held in arenas of pymalloc, resident or not
  uint64_t python_live_bytes;   // live in them
  uint64_t outside_heap_bytes;  // live of other domains (mmap, track()): no part of traced_bytes
  // --- all else in the process
  uint64_t stack_bytes;           // +
  uint64_t module_data_bytes;     // + written data of loaded files: .data, .bss, relocations
  uint64_t mapped_by_code_bytes;  // + anonymous, from a call of mmap that was seen
  uint64_t unknown_bytes;         // + anonymous, from no call that was seen
  uint64_t file_bytes;            // + pages of mapped files
  uint64_t shared_bytes;          // + memory of memfd, tmpfs in /dev/shm, System V and MAP_SHARED | MAP_ANONYMOUS
  // --- the tracer
  uint64_t own_private_bytes;    // + tables outside the recording
  uint64_t own_map_bytes;        // + the pointer map
  uint64_t own_recording_bytes;  // + the recording's pages
  uint64_t own_code_bytes;       // + liballocline.so and libunwind, code and data
  // --- the cgroup that decides (base/cgroup.h), and what its memory.stat says of all its processes together
  uint64_t container_usage_bytes;  // without inactive file pages; 0: none
  uint64_t container_limit_bytes;
  uint64_t container_anonymous_bytes;
  uint64_t container_file_bytes;    // page cache of files, without what is inactive, and without shared memory
  uint64_t container_shared_bytes;  // tmpfs and shared anonymous memory
  uint64_t container_kernel_bytes;  // page tables, stacks of the kernel, slab
  bool operator==(const LedgerRecord&) const = default;
};
static_assert(sizeof(LedgerRecord) == 272);

enum class LedgerItemKind : uint32_t {
  kMappedByCode = 1,  // a part of mapped_by_code_bytes; path: the object whose code called mmap
  kModuleData = 2,    // of module_data_bytes; path: the object
  kFile = 3,          // of file_bytes; path: the file
  kShared = 4,        // of shared_bytes; path: as /proc names it
};
// One of the largest of its kind. Followed by its path (path_bytes, no NUL), padding to 8.
struct LedgerItem {
  uint32_t kind;  // LedgerItemKind
  uint32_t path_bytes;
  uint64_t bytes;
};
static_assert(sizeof(LedgerItem) == 16);
inline constexpr uint32_t kLedgerSlotBytes = 4096;
inline constexpr uint32_t kMaxLedgerItems = 16;
inline constexpr uint32_t kMaxLedgerPathBytes = 200;  // of longer ones the end
static_assert(sizeof(LedgerRecord) + kMaxLedgerItems * (sizeof(LedgerItem) + kMaxLedgerPathBytes) <= kLedgerSlotBytes);

// ---------------------------------------------------------------- differences (ALLOCLINE_VERIFY=1)

// A stack that came out differently, one of the first kMaxDifferences.
// Followed by: Frame[our_frames], Frame[their_frames], both most recent first.
struct DifferenceRecord {
  uint32_t record_bytes;  // tag, atomic, release: whole record, multiple of 8
  uint32_t our_frames;
  uint32_t their_frames;
  uint32_t reserved;
};
static_assert(sizeof(DifferenceRecord) == 16);
inline constexpr uint32_t kMaxDifferences = 16;

// ---------------------------------------------------------------- symbols (stand-alone snapshots)

// What one native frame resolved to, most recent (innermost inlined) location first.
// Followed by: SymbolLocation[location_count], then string bytes they point into, padding to 8. No two names share a
// byte, so that a small file cannot unpack to a huge value.
struct SymbolRecord {
  uint32_t record_bytes;  // tag
  uint32_t location_count;
  Frame frame;
  uint32_t level;  // symbolize: how far it resolved (ResolutionLevel)
  uint32_t string_bytes;
};
static_assert(sizeof(SymbolRecord) == 24);
struct SymbolLocation {
  uint32_t function_offset, function_bytes;  // into the record's string bytes
  uint32_t file_offset, file_bytes;
  uint32_t line;
  uint32_t flags;  // bit 0: inlined into the next location
};
static_assert(sizeof(SymbolLocation) == 24);

}  // namespace allocline::format

#endif  // ALLOCLINE_RECORDING_FORMAT_H_
