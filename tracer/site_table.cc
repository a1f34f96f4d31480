#include "tracer/site_table.h"

#include "base/atomic.h"
#include "base/pages.h"
#include "tracer/pointer_map.h"

namespace allocline {
namespace {

using format::Frame;
using format::NodeRecord;
using format::SiteRecord;
using format::TableKind;

constexpr uint64_t kFirstCapacity = 2048;
constexpr uint64_t kLargestInCache = 32 << 10;  // slots, of 8 bytes: a quarter of a usual second-level cache

}  // namespace

bool SiteTable::Init(RecordingWriter* recording) {
  recording_ = recording;
  nodes_ = reinterpret_cast<NodeRecord*>(recording->base(TableKind::kNodes));
  sites_ = reinterpret_cast<SiteRecord*>(recording->base(TableKind::kSites));
  Index* index = MakeIndex(kFirstCapacity);
  if (index == nullptr) return false;
  index_.store(index, std::memory_order_release);
  // Node 0, the root, and site 0, which is none, are records of zeros; the next two are the overflow's.
  if (recording->Reserve(TableKind::kNodes, sizeof(NodeRecord)) == nullptr) return false;
  if (recording->Reserve(TableKind::kSites, sizeof(SiteRecord)) == nullptr) return false;
  const NodeId overflow = Child(kRootNode, MakeVirtualFrame(format::VirtualKind::kOverflow, 0));
  return overflow != kNoNode && SiteOf(overflow) == format::kOverflowSite;
}

bool SiteTable::InitAfterFork() {
  grow_lock_.Reset();
  // A migration may have been under way on a thread that is not here: finish it. All steps can be repeated.
  for (Index* index = index_.load(std::memory_order_acquire); Index* next = index->next.load(std::memory_order_acquire);
       index = next) {
    if (!Migrate(index, next)) return false;
    index_.store(next, std::memory_order_release);
  }
  // The parent went on while the tables were copied. A site and its node that do not both name each other are of that
  // time: no block of ours is charged to such a site, and its node may lie beyond what was copied.
  const uint64_t node_count = recording_->used(TableKind::kNodes) / sizeof(NodeRecord);
  const uint32_t sites = site_count();
  for (uint64_t i = 1; i < node_count; ++i) {
    const SiteId site = nodes_[i].site;
    if (site != 0 && (site >= sites || NodeOf(site) != i)) StoreRelaxed(nodes_[i].site, 0u);
  }
  for (SiteId site = 1; site < sites; ++site) {
    const NodeId node = NodeOf(site);
    if (node != 0 && (node >= node_count || nodes_[node].site != site)) StoreRelaxed(sites_[site].node, 0u);
  }
  return true;
}

uint32_t SiteTable::site_count() const {
  return static_cast<uint32_t>(recording_->used(TableKind::kSites) / sizeof(SiteRecord));
}

SiteTable::Index* SiteTable::MakeIndex(uint64_t capacity) {
  const size_t bytes = RoundUpToPage(sizeof(Index) + capacity * sizeof(Slot));
  auto* index = static_cast<Index*>(MapPages(bytes));
  if (index == nullptr) return nullptr;
  private_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  index->capacity = capacity;
  index->shift = 64 - __builtin_ctzll(capacity);
  const bool local = capacity > kLargestInCache;
  index->near_shift = local ? 64 - kNeighbourhoodBits : index->shift;
  index->parent_mask = local ? ~uint64_t{0} : 0;
  return index;
}

NodeId SiteTable::FindSlow(NodeId parent, Frame frame, uint64_t hash) {
  if (parent == kNoNode) return kNoNode;
  return FindOrInsert(index_.load(std::memory_order_acquire), parent, frame, hash, kNoNode);
}

NodeId SiteTable::MakeChild(NodeId parent, Frame frame) {
  if (parent == kNoNode || !HasRoom()) return kNoNode;
  const NodeId fresh = MakeNode(parent, frame);
  if (fresh == kNoNode) return kNoNode;
  return FindOrInsert(index_.load(std::memory_order_acquire), parent, frame, Hash(parent, frame), fresh);
}

// Whether a node can be put into the index. False where that should have grown long ago, and could not for want of
// memory: a fuller one would make every search for what is not in it a long one.
bool SiteTable::HasRoom() {
  Index* newest = index_.load(std::memory_order_acquire);
  while (Index* next = newest->next.load(std::memory_order_acquire)) newest = next;
  if (__builtin_expect(newest->filled.load(std::memory_order_relaxed) < newest->capacity / 8 * 7, 1)) return true;
  Grow(newest);  // there may be memory now
  return newest->next.load(std::memory_order_acquire) != nullptr;
}

// The node of (parent, frame) in `index` or in the tables that follow it. If there is none, `fresh` becomes it
// (kNoNode: only look). A `fresh` that lost the race stays behind as a record nobody refers to.
NodeId SiteTable::FindOrInsert(Index* index, NodeId parent, Frame frame, uint64_t hash, NodeId fresh) {
  const uint64_t desired = uint64_t{Tag(hash)} << 32 | fresh;
  for (uint64_t probe = 0;;) {
    if (probe == kNearProbes + index->capacity) {
      // Full, for there was no memory when it should have grown; there may be now. What must not be missed is a node
      // made meanwhile: in a table that is replaced it is copied, so the search begins anew there.
      if (fresh != kNoNode) Grow(index);
      index = index->next.load(std::memory_order_acquire);
      if (index == nullptr) return kNoNode;
      probe = 0;
    }
    Slot& place = SlotAt(*index, parent, hash, probe);
    // Acquire: whoever sees a node's id sees its record. Pairs with the CAS below.
    uint64_t slot = place.load(std::memory_order_acquire);
    if (slot == 0) {
      if (fresh == kNoNode) return kNoNode;
      if (place.compare_exchange_strong(slot, desired, std::memory_order_acq_rel)) {
        const uint64_t filled = index->filled.fetch_add(1, std::memory_order_relaxed) + 1;
        if (filled * 2 > index->capacity && index->next.load(std::memory_order_acquire) == nullptr) Grow(index);
        return fresh;
      }
    }
    if (slot == kFrozen) {
      // Not in this table, and it can no longer be put here. The next one exists: freezing began after announcing it.
      index = index->next.load(std::memory_order_acquire);
      probe = 0;
      continue;
    }
    if (static_cast<uint32_t>(slot >> 32) == Tag(hash) && Matches(static_cast<NodeId>(slot), parent, frame)) {
      return static_cast<NodeId>(slot);
    }
    ++probe;
  }
}

NodeId SiteTable::MakeNode(NodeId parent, Frame frame) {
  auto* node = static_cast<NodeRecord*>(recording_->Reserve(TableKind::kNodes, sizeof(NodeRecord)));
  if (node == nullptr) return kNoNode;
  node->parent = parent;
  StoreRelease(node->frame, frame);  // the tag: pairs with the reader
  return static_cast<NodeId>(node - nodes_);
}

SiteId SiteTable::MakeSite(NodeId node) {
  SiteRecord* record = nullptr;
  SiteId fresh = 0;
  do {  // ids that the pointer map cannot hold are left out: records that stay 0
    if (site_count() >= kMaxSites) return format::kOverflowSite;
    record = static_cast<SiteRecord*>(recording_->Reserve(TableKind::kSites, sizeof(SiteRecord)));
    if (record == nullptr) return format::kOverflowSite;
    fresh = static_cast<SiteId>(record - sites_);
  } while (!PointerMap::IsUsableSite(fresh));
  if (fresh >= kMaxSites) return format::kOverflowSite;
  StoreRelease(record->node, node);
  SiteId present = 0;
  // One site a node: the loser's record stays behind, and no counter ever names it.
  return CompareExchange(nodes_[node].site, present, fresh) ? fresh : present;
}

void SiteTable::Grow(Index* full) {
  SpinLockHolder lock(grow_lock_);
  // Not held: we are a signal handler in the middle of a migration on this very thread. It will be finished.
  if (!lock.held() || full->next.load(std::memory_order_acquire) != nullptr) return;
  if (index_.load(std::memory_order_acquire) != full) return;
  Index* larger = MakeIndex(full->capacity * 2);
  if (larger == nullptr) return;  // slower, and full in the end; tried again at the next insert
  full->next.store(larger, std::memory_order_release);
  if (Migrate(full, larger)) index_.store(larger, std::memory_order_release);
}

// Freezes every empty slot of `from` and copies every filled one. Repeatable.
bool SiteTable::Migrate(Index* from, Index* to) {
  for (uint64_t i = 0; i < from->capacity; ++i) {
    uint64_t slot = 0;
    from->slots[i].compare_exchange_strong(slot, kFrozen, std::memory_order_acq_rel);
    if (slot == 0 || slot == kFrozen) continue;
    const NodeId node = static_cast<NodeId>(slot);
    const NodeId parent = nodes_[node].parent;
    const Frame frame = LoadRelaxed(nodes_[node].frame);
    if (FindOrInsert(to, parent, frame, Hash(parent, frame), node) == kNoNode) return false;
  }
  return true;
}

}  // namespace allocline
