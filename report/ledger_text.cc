// The ledger as a line and as a table.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "report/escape.h"
#include "report/ledger.h"
#include "report/path_text.h"
#include "report/size_text.h"

namespace allocline {
namespace {

using format::LedgerItemKind;
using format::LedgerRecord;

std::string ShortName(const LedgerRow& row) {
  switch (row.part) {
    case LedgerPart::kTraced:
      return "traced";
    case LedgerPart::kSlack:
      return "allocator slack";
    case LedgerPart::kStacks:
      return "stacks";
    case LedgerPart::kMappedByCode:
      return row.object.empty() ? "mapped by other code" : "mapped by " + Printable(Basename(row.object));
    case LedgerPart::kUnknown:
      return "of unknown origin";
    case LedgerPart::kModuleData:
      return "data of modules";
    case LedgerPart::kTracer:
      return "allocline";
    case LedgerPart::kFiles:
      return "mapped files";
    case LedgerPart::kPageCache:
      return "page cache";
    case LedgerPart::kSharedMemory:
      return "shared memory";
    case LedgerPart::kKernel:
      return "kernel";
    case LedgerPart::kOtherProcesses:
      return "other processes";
    case LedgerPart::kChargedElsewhere:
      return "charged to another container";
    case LedgerPart::kChargedAhead:
      return "charged ahead";
    case LedgerPart::kUnexplained:
      return "unexplained";
  }
  return "of a part unknown to this version";
}

// A number of bytes in the unit that suits the sum it is a part of, in whole or tenth steps, so that parts add up.
class Scale {
 public:
  explicit Scale(uint64_t total) : text_(SizeText(total)) {
    constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    const size_t blank = text_.find(' ');
    double unit = 1;
    for (const std::string_view name : kUnits) {
      if (text_.substr(blank + 1) == name) break;
      unit *= 1024;
    }
    decimals_ = text_.find('.') != text_.npos ? 1 : 0;
    step_ = unit / (decimals_ == 1 ? 10 : 1);
  }
  int64_t Steps(int64_t bytes) const { return std::llround(static_cast<double>(bytes) / step_); }
  std::string Text(int64_t steps) const {
    return decimals_ == 0 ? fmt::format("{}", steps) : fmt::format("{:.1f}", static_cast<double>(steps) / 10);
  }
  const std::string& total() const { return text_; }

 private:
  std::string text_;
  double step_ = 1;
  int decimals_ = 0;
};

std::string ItemsText(const RecordedLedger& ledger, LedgerItemKind kind) {
  std::string text;
  for (const RecordedLedger::Item& item : ledger.items) {
    if (item.kind != kind) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", Printable(Basename(item.path)), SizeText(item.bytes));
  }
  return text;
}

std::string TracedDetail(const LedgerRecord& figures) {
  if (figures.untouched_bytes == 0) return "";
  return fmt::format("of {} live; {} of them not touched yet", SizeText(figures.traced_bytes),
                     SizeText(figures.untouched_bytes));
}

std::string SlackDetail(const LedgerRecord& figures) {
  std::string text;
  const auto add = [&text](std::string clause) { text += (text.empty() ? "" : "; ") + std::move(clause); };
  if (figures.free_page_bytes != format::kNotCounted) {
    add(fmt::format("{} in whole free pages, which malloc_trim(0) gives back", SizeText(figures.free_page_bytes)));
  }
  if (figures.python_arena_bytes > figures.python_live_bytes) {
    add(fmt::format("{} in arenas of pymalloc", SizeText(figures.python_arena_bytes - figures.python_live_bytes)));
  }
  if (figures.arenas != 0) {
    add(fmt::format("the heap is {} in [heap], {} in {}", SizeText(figures.brk_bytes), SizeText(figures.arena_bytes),
                    CountText(figures.arenas, "arena")));
  }
  if ((figures.flags & format::kLedgerWholeHeap) != 0) {
    add("with all anonymous memory that nobody was seen to map");
  }
  return text;
}

std::string DetailText(const RecordedLedger& ledger, const LedgerRow& row) {
  const LedgerRecord& figures = ledger.figures;
  switch (row.part) {
    case LedgerPart::kTraced:
      return TracedDetail(figures);
    case LedgerPart::kSlack:
      return SlackDetail(figures);
    case LedgerPart::kStacks:
      return CountText(figures.stacks, "stack");
    case LedgerPart::kMappedByCode:
      return "taken by mmap, not by malloc: an allocator of its own, or buffers";
    case LedgerPart::kUnknown:
      return "anonymous, taken by no call of malloc or mmap that was seen";
    case LedgerPart::kModuleData:
      return ItemsText(ledger, LedgerItemKind::kModuleData);
    case LedgerPart::kTracer:
      return fmt::format("recording {}, pointer map {}, tables {}, code {}", SizeText(figures.own_recording_bytes),
                         SizeText(figures.own_map_bytes), SizeText(figures.own_private_bytes),
                         SizeText(figures.own_code_bytes));
    case LedgerPart::kFiles:
      return ItemsText(ledger, LedgerItemKind::kFile);
    case LedgerPart::kPageCache:
      return "files that the container reads and writes, also by mapping them";
    case LedgerPart::kSharedMemory:
      return ItemsText(ledger, LedgerItemKind::kShared);
    case LedgerPart::kKernel:
      return "page tables, its stacks, slab";
    case LedgerPart::kOtherProcesses:
      return "their anonymous memory";
    case LedgerPart::kChargedElsewhere:
      return "shared with a process there, or taken before this one was moved here";
    case LedgerPart::kChargedAhead:
      return "the kernel's stock for each processor";
    case LedgerPart::kUnexplained:
      break;
  }
  return "";
}

}  // namespace

std::string LedgerLine(const RecordedLedger& ledger) {
  const LedgerView view = MakeLedgerView(ledger);
  const bool of_container = view.container_bytes.has_value();
  const uint64_t total = of_container ? *view.container_bytes : view.rss_bytes;
  const Scale scale(total);
  std::string text = fmt::format("{} {}", of_container ? "container" : "RSS", scale.total());
  int64_t rest = scale.Steps(static_cast<int64_t>(total));
  bool any = false;
  const auto add = [&](int64_t steps, std::string_view name) {
    text += fmt::format(" {} {} {}", steps < 0 ? "-" : any ? "+" : "=", scale.Text(std::abs(steps)), name);
    any = true;
  };
  for (const LedgerRow& row : view.rows) {
    const int64_t bytes = of_container ? row.container_bytes : row.rss_bytes;
    const int64_t steps = scale.Steps(bytes);
    if (steps == 0 || static_cast<uint64_t>(std::abs(bytes)) < total / 100) continue;
    add(steps, ShortName(row));
    rest -= steps;
  }
  if (rest != 0) add(rest, "other");
  return text;
}

std::string LedgerChangeLine(const RecordedLedger& ledger, const RecordedLedger& old) {
  const LedgerView views[] = {MakeLedgerView(ledger), MakeLedgerView(old)};
  const bool of_container = views[0].container_bytes && views[1].container_bytes;
  std::map<std::pair<LedgerPart, std::string>, std::pair<std::string, int64_t>> changes;  // name, bytes
  int64_t total = 0, largest = 0;
  for (const LedgerView& view : views) {
    const int sign = &view == views ? 1 : -1;
    for (const LedgerRow& row : view.rows) {
      auto& [name, change] = changes[{row.part, row.object}];
      name = ShortName(row);
      change += sign * (of_container ? row.container_bytes : row.rss_bytes);
    }
  }
  for (const auto& [part, change] : changes) {
    total += change.second;
    largest = std::max(largest, std::abs(change.second));
  }
  std::string text =
      fmt::format("{} {}", of_container ? "container" : "RSS", SignedSizeText(static_cast<double>(total)));
  int64_t other = 0;
  std::string_view before = ": ";
  const auto add = [&](std::string_view name, int64_t bytes) {
    text += fmt::format("{}{} {}", before, name, SignedSizeText(static_cast<double>(bytes)));
    before = ", ";
  };
  for (const auto& [part, change] : changes) {
    const auto& [name, bytes] = change;
    if (bytes != 0 && std::abs(bytes) >= largest / 100) {
      add(name, bytes);
    } else {
      other += bytes;
    }
  }
  if (other != 0) add("other", other);
  return text;
}

std::string LedgerTable(const RecordedLedger& ledger, std::string_view indent) {
  const LedgerView view = MakeLedgerView(ledger);
  const bool of_container = view.container_bytes.has_value();
  std::string text;
  // `known` of both sums; a part that cannot be of one has no figure there.
  const auto add = [&](std::string_view name, std::string rss, std::string container, std::string_view detail) {
    if (!of_container) container.clear();
    std::string line = fmt::format("{}{:<30} {:>9}{}{:>9}", indent, name, rss, of_container ? "  " : "", container);
    if (!detail.empty()) line += fmt::format("   {}", detail);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  const auto size_or_dash = [](int64_t bytes) {
    if (bytes == 0) return std::string("-");
    return (bytes < 0 ? "-" : "") + SizeText(static_cast<double>(std::abs(bytes)));
  };
  if (of_container) add("", "RSS", "container", "");
  for (const LedgerRow& row : view.rows) {
    add(ShortName(row), size_or_dash(row.rss_bytes), size_or_dash(row.container_bytes), DetailText(ledger, row));
  }
  add("in all", SizeText(view.rss_bytes), of_container ? SizeText(*view.container_bytes) : "", "");
  if (ledger.figures.swapped_bytes != 0)
    add("swapped out", size_or_dash(static_cast<int64_t>(ledger.figures.swapped_bytes)), "", "");
  return text;
}

}  // namespace allocline
