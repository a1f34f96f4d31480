// Gives every distinct call stack a small dense SiteId, the same id from any thread for the life of the process.
//
// Stacks are kept as a calling-context tree: a node is one frame with all its callers. Both the nodes and the sites are
// tables of the recording; what is private is the index (parent, frame) -> node, an open-addressing hash table of
// 8-byte slots {node id, 32 bits of the key's hash}. Only the slots are read until a hash agrees; then the node itself
// decides.
//
// A stack is looked up frame by frame, and a program with a million contexts would miss the cache at every frame if
// slots lay at random. So in a large table a node is looked for in the neighbourhood of its parent, first: a callee met
// soon after its caller has the next node id, hence a slot close by, and a chain of frames is found in a few lines of
// cache, in the index as in the table of nodes. Where a neighbourhood is crowded, and in tables that fit the cache
// anyway, slots are chosen by the hash alone, which spreads them more evenly.
//
// The index grows by migration, without stopping anybody. One thread makes a table twice the size, announces it, and
// goes through the old one: an empty slot is frozen by CAS, a filled one is copied. Others look in the old table first;
// a probe that ends at a frozen slot proves the key is not there, and goes on in the new one. A key is therefore in
// exactly one table's "last empty slot" race, and two nodes for one (parent, frame) cannot come to be.
//
// Threads:    Child() and SiteOf() may run at once on any thread and in signal handlers. Nothing is ever removed.
// Context:    inside malloc: takes no lock that a signal handler waits for, calls no allocator.
// Invariants: (1) a published node never changes but for its site, which is set once; (2) ids are never reused, and
//             0 is never a site; (3) an insert becomes visible by one CAS: a fork or a signal in the middle of it
//             leaves at most an unreferenced record.
// When full:  SiteOf() gives kOverflowSite: totals stay exact while attribution coarsens.
#ifndef ALLOCLINE_TRACER_SITE_TABLE_H_
#define ALLOCLINE_TRACER_SITE_TABLE_H_

#include <atomic>
#include <cstdint>

#include "base/spin_lock.h"
#include "recording/format.h"
#include "recording/writer.h"

namespace allocline {

using NodeId = uint32_t;
using SiteId = uint32_t;
inline constexpr NodeId kRootNode = 0;
inline constexpr NodeId kNoNode = ~NodeId{0};    // could not be made; its children and its site cannot either
inline constexpr uint32_t kMaxSites = 1u << 24;  // what a word of the pointer map can name

class SiteTable {
 public:
  // Makes the root, and kOverflowSite. False if there is no memory for it.
  bool Init(RecordingWriter* recording);
  // In a forked child, after its tables were populated and before any other use.
  bool InitAfterFork();

  // The node for `frame` called from `parent`, made if need be.
  NodeId Child(NodeId parent, format::Frame frame) {
    const NodeId found = Find(parent, frame);
    return __builtin_expect(found != kNoNode, 1) ? found : MakeChild(parent, frame);
  }
  // kNoNode if there is none.
  NodeId Find(NodeId parent, format::Frame frame) {
    const uint64_t hash = Hash(parent, frame);
    const Index& index = *index_.load(std::memory_order_acquire);
    const uint64_t first = NearSlot(index, parent, hash);
    for (uint64_t probe = 0; probe < kNearProbes; ++probe) {
      const uint64_t slot = index.slots[(first + probe) & (index.capacity - 1)].load(std::memory_order_acquire);
      if (static_cast<uint32_t>(slot >> 32) == Tag(hash) && slot != kFrozen) {
        const NodeId node = static_cast<NodeId>(slot);
        if (__builtin_expect(Matches(node, parent, frame), 1)) return node;
      }
      if (slot == 0) break;
    }
    return FindSlow(parent, frame, hash);
  }

  // The site of the stack that ends at `node`.
  SiteId SiteOf(NodeId node) {
    if (__builtin_expect(node == kNoNode, 0)) return format::kOverflowSite;
    const SiteId site = LoadAcquire(nodes()[node].site);
    return __builtin_expect(site != 0, 1) ? site : MakeSite(node);
  }

  const format::NodeRecord* nodes() const { return nodes_; }
  NodeId NodeOf(SiteId site) const { return LoadAcquire(sites_[site].node); }
  uint32_t site_count() const;
  uint64_t private_bytes() const { return private_bytes_.load(std::memory_order_relaxed); }
  // What the index will take more, soon: 0 while it has room.
  uint64_t bytes_to_come() const {
    const Index& index = *index_.load(std::memory_order_acquire);
    const bool is_near = index.filled.load(std::memory_order_relaxed) > index.capacity / 16 * 7;  // grows at 8
    return is_near ? sizeof(Index) + 2 * index.capacity * sizeof(Slot) : 0;
  }

 private:
  // 0: empty. kFrozen: was empty when the table was replaced, and stays so. Else tag << 32 | node.
  using Slot = std::atomic<uint64_t>;
  static constexpr uint64_t kFrozen = ~uint64_t{0};
  static constexpr uint64_t kNearProbes = 8;
  static constexpr int kNeighbourhoodBits = 4;  // log2 of the slots, two lines of cache
  struct Index {
    uint64_t capacity;     // power of two
    int shift;             // hash >> shift is a slot
    int near_shift;        // hash >> near_shift is how far from the beginning of the neighbourhood to look first
    uint64_t parent_mask;  // the beginning of the neighbourhood, from the parent's id; 0: there is but one, the table
    std::atomic<uint64_t> filled;
    std::atomic<Index*> next;  // the table that replaces this one, once there is one
    alignas(64) Slot slots[];
  };

  static uint64_t Hash(NodeId parent, format::Frame frame) {
    // Multiplicative (Fibonacci) hashing, twice, because frames of one function differ in few low bits.
    const uint64_t mixed = (frame ^ (uint64_t{parent} * 0x9E3779B97F4A7C15u)) * 0xD6E8FEB86659FD93u;
    return mixed ^ (mixed >> 32);
  }
  static uint32_t Tag(uint64_t hash) { return static_cast<uint32_t>(hash) | 1u; }
  // Where to look: kNearProbes slots from NearSlot() on, then all slots from FarSlot() on. No slot becomes empty again,
  // so all who look for a key take the same way and stop at the same slot. A node has one parent and at most half the
  // slots are filled, so neighbourhoods begin two slots apart.
  static uint64_t NearSlot(const Index& index, NodeId parent, uint64_t hash) {
    return (uint64_t{parent} * 2 & index.parent_mask) + (hash >> index.near_shift);
  }
  static uint64_t FarSlot(const Index& index, uint64_t hash) { return hash * 0x9E3779B97F4A7C15u >> index.shift; }
  static Slot& SlotAt(Index& index, NodeId parent, uint64_t hash, uint64_t probe) {
    const uint64_t slot =
        probe < kNearProbes ? NearSlot(index, parent, hash) + probe : FarSlot(index, hash) + probe - kNearProbes;
    return index.slots[slot & (index.capacity - 1)];
  }
  bool Matches(NodeId node, NodeId parent, format::Frame frame) const {
    return nodes_[node].parent == parent && LoadRelaxed(nodes_[node].frame) == frame;
  }

  NodeId FindSlow(NodeId parent, format::Frame frame, uint64_t hash);
  NodeId MakeChild(NodeId parent, format::Frame frame);
  bool HasRoom();
  NodeId FindOrInsert(Index* index, NodeId parent, format::Frame frame, uint64_t hash, NodeId fresh);
  NodeId MakeNode(NodeId parent, format::Frame frame);
  SiteId MakeSite(NodeId node);
  Index* MakeIndex(uint64_t capacity);
  void Grow(Index* full);
  bool Migrate(Index* from, Index* to);

  RecordingWriter* recording_ = nullptr;
  format::NodeRecord* nodes_ = nullptr;
  format::SiteRecord* sites_ = nullptr;
  std::atomic<Index*> index_{nullptr};
  std::atomic<uint64_t> private_bytes_{0};
  SpinLock grow_lock_;
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SITE_TABLE_H_
