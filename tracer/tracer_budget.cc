// What the tracer may hold, and what it gives up when it holds that: first recording every block (then they are
// sampled), then stacks at all (then blocks are only counted). It never goes back: a program that has shown so many
// stacks would soon be here again.
//
// What counts is what the container is charged for on our account: private memory and the recording's pages, which are
// page cache or tmpfs. The pointer map is apart; it grows with the program's heap, and `allocline info` tells it.
//
// Tables grow by doubling, so the budget cannot be met to the byte: the first step is taken when three quarters of it
// are used, or will be when the index of sites has grown as it is about to, and extents become smaller as it comes near
// (RecordingWriter::LimitExtents). What a sampled program still adds, the rest has room for: its stacks are one for
// each 512 KiB.
#include <sys/sysinfo.h>

#include "base/clock.h"
#include "recording/sampling.h"
#include "tracer/snapshot.h"
#include "tracer/tracer.h"

namespace allocline {
namespace {

constexpr uint64_t kLeastDefaultBudget = 32 << 20;
constexpr uint64_t kShareOfLimit = 50;  // a fiftieth, 2 %

uint64_t MachineMemory() {
  struct sysinfo info {};
  if (sys::IsError(sys::Call(SYS_sysinfo, reinterpret_cast<long>(&info)))) return 0;
  return info.totalram * info.mem_unit;
}

}  // namespace

// The container's limit must be known (Sample()).
void Tracer::InitBudget(uint64_t wanted) {
  format::FileHeader& header = recording_.header();
  uint64_t budget = wanted;
  if (budget == 0) {
    uint64_t limit = LoadRelaxed(header.container_limit_bytes);
    const uint64_t machine = MachineMemory();
    if (limit == 0 || (machine != 0 && machine < limit)) limit = machine;
    budget = limit / kShareOfLimit > kLeastDefaultBudget ? limit / kShareOfLimit : kLeastDefaultBudget;
  }
  header.tracer_budget_bytes = budget;
  recording_.LimitExtents(budget);
}

uint64_t Tracer::TracerMemory() const {
  return sites_.private_bytes() + PathTable::private_bytes() + threads_.private_bytes() + modules_.private_bytes() +
         codes_.private_bytes() + python_threads_.load(std::memory_order_relaxed) * PythonThread::kUsualBytes +
         Timeline::private_bytes() + ledger_.private_bytes() + SnapshotPrivateBytes() + OwnStack::private_bytes();
}

// Called where tables may have grown: when a node was made, when a share is published. Cheap while they have not.
void Tracer::CheckBudget() {
  format::FileHeader& header = recording_.header();
  const uint64_t tables = LoadRelaxed(header.file_bytes) + sites_.private_bytes() + sites_.bytes_to_come();
  if (__builtin_expect(budget_checked_at_.load(std::memory_order_relaxed) == tables, 1)) return;
  budget_checked_at_.store(tables, std::memory_order_relaxed);
  const uint64_t budget = LoadRelaxed(header.tracer_budget_bytes);
  const uint64_t used = LoadRelaxed(header.file_bytes) + TracerMemory();
  const bool samples = sampling();
  if (budget == 0) return;
  if (samples ? used < budget : used + sites_.bytes_to_come() < budget / 4 * 3) return;
  const uint32_t step = samples ? kTotalsOnly : kSamples;
  if ((stepping_.fetch_or(step, std::memory_order_relaxed) & step) != 0) return;  // another thread took it
  const uint64_t now = MonotonicNow();
  int64_t live = 0;
  uint64_t peak = 0;
  TracedMemory(&live, &peak);
  if (samples) {
    StoreRelaxed(header.totals_ns, now);
    StoreRelaxed(header.totals_live_bytes, static_cast<uint64_t>(live > 0 ? live : 0));
    OrRelaxed(header.state, static_cast<uint32_t>(format::kStateTotalsOnly));
    mode_.fetch_or(kTotalsOnly, std::memory_order_relaxed);
  } else {
    StoreRelaxed(header.sampled_ns, now);
    StoreRelaxed(header.sampled_live_bytes, static_cast<uint64_t>(live > 0 ? live : 0));
    BeginSampling(kDefaultSampleInterval, kHasExactBlocks);
  }
}

}  // namespace allocline
