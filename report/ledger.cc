#include "report/ledger.h"

#include <algorithm>

namespace allocline {
namespace {

using format::LedgerRecord;

constexpr int64_t kChargedAheadBytes = 256 << 10;  // 64 pages: MEMCG_CHARGE_BATCH of the kernel

// No memory has more; a damaged file may say so.
int64_t Signed(uint64_t bytes) { return static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX / 64)); }

// Rows of memory that is in both sums.
class RowAdder {
 public:
  explicit RowAdder(LedgerView* view) : view_(*view) {}
  void AddBoth(LedgerPart part, int64_t bytes, std::string object = "") { Add(part, bytes, bytes, std::move(object)); }
  void Add(LedgerPart part, int64_t rss_bytes, int64_t container_bytes, std::string object = "") {
    if (!view_.container_bytes) container_bytes = 0;
    rss_ += rss_bytes;
    container_ += container_bytes;
    if (rss_bytes == 0 && container_bytes == 0) return;
    view_.rows.push_back({part, std::move(object), rss_bytes, container_bytes});
  }
  int64_t rss() const { return rss_; }
  int64_t container() const { return container_; }

 private:
  LedgerView& view_;
  int64_t rss_ = 0, container_ = 0;
};

void AddMappedByCode(const RecordedLedger& ledger, RowAdder* rows) {
  int64_t rest = Signed(ledger.figures.mapped_by_code_bytes);
  for (const RecordedLedger::Item& item : ledger.items) {
    if (item.kind != format::LedgerItemKind::kMappedByCode) continue;
    const int64_t bytes = std::min(Signed(item.bytes), rest);
    rest -= bytes;
    rows->AddBoth(LedgerPart::kMappedByCode, bytes, item.path);
  }
  rows->AddBoth(LedgerPart::kMappedByCode, rest);
}

}  // namespace

std::string_view LedgerPartName(LedgerPart part) {
  switch (part) {
    case LedgerPart::kTraced:
      return "traced";
    case LedgerPart::kSlack:
      return "allocator_slack";
    case LedgerPart::kStacks:
      return "stacks";
    case LedgerPart::kMappedByCode:
      return "mapped_by_code";
    case LedgerPart::kUnknown:
      return "unknown";
    case LedgerPart::kModuleData:
      return "module_data";
    case LedgerPart::kTracer:
      return "tracer";
    case LedgerPart::kFiles:
      return "files";
    case LedgerPart::kPageCache:
      return "page_cache";
    case LedgerPart::kSharedMemory:
      return "shared_memory";
    case LedgerPart::kKernel:
      return "kernel";
    case LedgerPart::kOtherProcesses:
      return "other_processes";
    case LedgerPart::kChargedElsewhere:
      return "charged_elsewhere";
    case LedgerPart::kChargedAhead:
      return "charged_ahead";
    case LedgerPart::kUnexplained:
      return "unexplained";
  }
  return "unknown_part";
}

std::string_view LedgerItemName(format::LedgerItemKind kind) {
  switch (kind) {
    case format::LedgerItemKind::kMappedByCode:
      return "mapped_by_code";
    case format::LedgerItemKind::kModuleData:
      return "module_data";
    case format::LedgerItemKind::kFile:
      return "file";
    case format::LedgerItemKind::kShared:
      return "shared_memory";
  }
  return "unknown";
}

LedgerView MakeLedgerView(const RecordedLedger& ledger) {
  const LedgerRecord& figures = ledger.figures;
  LedgerView view;
  view.rss_bytes = static_cast<uint64_t>(Signed(figures.rss_bytes));
  if ((figures.flags & format::kLedgerNoContainer) == 0) {
    view.container_bytes = static_cast<uint64_t>(Signed(figures.container_usage_bytes));
  }
  RowAdder rows(&view);

  const int64_t heap = Signed(figures.heap_bytes);
  const int64_t traced = std::clamp<int64_t>(Signed(figures.traced_bytes) - Signed(figures.untouched_bytes), 0, heap);
  rows.AddBoth(LedgerPart::kTraced, traced);
  rows.AddBoth(LedgerPart::kSlack, heap - traced);
  rows.AddBoth(LedgerPart::kStacks, Signed(figures.stack_bytes));
  AddMappedByCode(ledger, &rows);
  rows.AddBoth(LedgerPart::kUnknown, Signed(figures.unknown_bytes));
  rows.AddBoth(LedgerPart::kModuleData, Signed(figures.module_data_bytes));
  // Of our library's pages, as of all files', only what was written counts for the container.
  const int64_t own_tables = Signed(figures.own_private_bytes) + Signed(figures.own_map_bytes);
  const int64_t own_code = Signed(figures.own_code_bytes);
  const int64_t own_data = std::clamp<int64_t>(Signed(figures.anonymous_bytes) - rows.rss() - own_tables, 0, own_code);
  rows.Add(LedgerPart::kTracer, own_tables + own_code + Signed(figures.own_recording_bytes), own_tables + own_data);
  const int64_t anonymous = rows.container();
  rows.Add(LedgerPart::kFiles, Signed(figures.file_bytes), 0);
  rows.Add(LedgerPart::kPageCache, 0, Signed(figures.container_file_bytes));
  rows.Add(LedgerPart::kSharedMemory, Signed(figures.shared_bytes), Signed(figures.container_shared_bytes));
  rows.Add(LedgerPart::kKernel, 0, Signed(figures.container_kernel_bytes));
  const int64_t others = Signed(figures.container_anonymous_bytes) - anonymous;
  // The two sums are read one after the other, so a little below nothing is nothing.
  const bool is_elsewhere = others < -Signed(figures.anonymous_bytes / 100) - (1 << 20);
  if (others > 0) rows.Add(LedgerPart::kOtherProcesses, 0, others);
  if (is_elsewhere) rows.Add(LedgerPart::kChargedElsewhere, 0, others);
  if (view.container_bytes) {
    const int64_t left = Signed(*view.container_bytes) - rows.container();
    rows.Add(LedgerPart::kChargedAhead, 0, std::clamp<int64_t>(left, 0, kChargedAheadBytes * figures.processors));
  }
  view.rows.push_back({LedgerPart::kUnexplained, "", Signed(figures.rss_bytes) - rows.rss(),
                       view.container_bytes ? Signed(*view.container_bytes) - rows.container() : 0});
  return view;
}

}  // namespace allocline
