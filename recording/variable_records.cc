#include "recording/variable_records.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "base/varint.h"

namespace allocline {

using format::CodeRecord;
using format::DifferenceRecord;
using format::Frame;
using format::LedgerItem;
using format::LedgerItemKind;
using format::LedgerRecord;
using format::ModuleRecord;
using format::Segment;
using format::SnapshotKind;
using format::SnapshotRecord;
using format::SnapshotTail;
using format::SymbolLocation;
using format::SymbolRecord;

namespace {

// Site, and four counters.
constexpr uint32_t kNumbersPerEntry = 5;

template <typename Fixed>
Fixed Load(std::string_view bytes) {
  Fixed fixed;
  memcpy(&fixed, bytes.data(), sizeof(fixed));
  return fixed;
}

template <typename Fixed>
std::string_view BytesOf(const Fixed& fixed) {
  return std::string_view(reinterpret_cast<const char*>(&fixed), sizeof(fixed));
}

// Whether a record holds its fixed part and `more` bytes.
absl::Status CheckRoom(std::string_view record, size_t fixed_bytes, uint64_t more) {
  if (fixed_bytes + more <= record.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a record of {} bytes claims to hold {}", record.size(), fixed_bytes + more));
}

// Pads `record`, which begins with a Fixed, to 8 bytes and enters its size.
std::string Finish(std::string record) {
  record.resize((record.size() + 7) & ~size_t{7});
  const auto record_bytes = static_cast<uint32_t>(record.size());
  memcpy(record.data(), &record_bytes, sizeof(record_bytes));
  return record;
}

}  // namespace

// ---------------------------------------------------------------- modules

absl::StatusOr<RecordedModule> ParseModule(std::string_view record) {
  RETURN_IF_ERROR(CheckRoom(record, sizeof(ModuleRecord), 0));
  const auto fixed = Load<ModuleRecord>(record);
  std::string_view rest = record.substr(sizeof(fixed));
  const size_t segment_bytes = size_t{fixed.segment_count} * sizeof(Segment);
  RETURN_IF_ERROR(CheckRoom(record, sizeof(fixed), uint64_t{segment_bytes} + fixed.build_id_bytes + fixed.path_bytes));
  if (fixed.start >= fixed.end) {
    return absl::InvalidArgumentError(fmt::format("a module from {:#x} to {:#x}", fixed.start, fixed.end));
  }
  RecordedModule module{.start = fixed.start,
                        .end = fixed.end,
                        .load_bias = fixed.load_bias,
                        .generation = fixed.generation,
                        .loaded_ns = fixed.loaded_ns,
                        .unloaded_ns = fixed.unloaded_ns,
                        .build_id = std::string(rest.substr(segment_bytes, fixed.build_id_bytes)),
                        .path = std::string(rest.substr(segment_bytes + fixed.build_id_bytes, fixed.path_bytes)),
                        .segments = std::vector<Segment>(fixed.segment_count)};
  if (segment_bytes > 0) memcpy(module.segments.data(), rest.data(), segment_bytes);
  return module;
}

std::string EncodeModule(const RecordedModule& module) {
  const std::string_view build_id = std::string_view(module.build_id).substr(0, UINT16_MAX);
  const size_t segments = std::min<size_t>(module.segments.size(), UINT16_MAX);
  const ModuleRecord fixed{.record_bytes = 0,
                           .generation = module.generation,
                           .start = module.start,
                           .end = module.end,
                           .load_bias = module.load_bias,
                           .loaded_ns = module.loaded_ns,
                           .unloaded_ns = module.unloaded_ns,
                           .segment_count = static_cast<uint16_t>(segments),
                           .build_id_bytes = static_cast<uint16_t>(build_id.size()),
                           .path_bytes = static_cast<uint32_t>(module.path.size())};
  std::string record(BytesOf(fixed));
  for (size_t i = 0; i < segments; ++i) record += BytesOf(module.segments[i]);
  record += build_id;
  record += module.path;
  return Finish(std::move(record));
}

// ---------------------------------------------------------------- snapshots

absl::StatusOr<RecordedSnapshot> ParseSnapshot(std::string_view record) {
  RETURN_IF_ERROR(CheckRoom(record, sizeof(SnapshotRecord), 0));
  const auto fixed = Load<SnapshotRecord>(record);
  const std::string_view rest = record.substr(sizeof(fixed));
  const uint64_t label_and_payload = uint64_t{fixed.label_bytes} + fixed.payload_bytes;
  RETURN_IF_ERROR(CheckRoom(record, sizeof(fixed), label_and_payload));
  const size_t padded = (sizeof(fixed) + label_and_payload + 7) & ~size_t{7};
  SnapshotTail tail{};
  if (record.size() >= padded + sizeof(tail)) tail = Load<SnapshotTail>(record.substr(padded));
  if (fixed.entry_count > fixed.payload_bytes / kNumbersPerEntry) {  // a number has at least one byte
    return absl::InvalidArgumentError(
        fmt::format("a snapshot of {} entries in {} bytes", fixed.entry_count, fixed.payload_bytes));
  }
  RecordedSnapshot snapshot{.label = std::string(rest.substr(0, fixed.label_bytes)),
                            .monotonic_ns = fixed.monotonic_ns,
                            .live_bytes = fixed.live_bytes,
                            .peak_bytes = fixed.peak_bytes,
                            .rss_bytes = fixed.rss_bytes,
                            .container_usage_bytes = fixed.container_usage_bytes,
                            .container_limit_bytes = fixed.container_limit_bytes,
                            .rows = fixed.rows,
                            .kind = SnapshotKind{tail.kind},
                            .growth = {},
                            .ledger = {}};
  if (tail.ledger_bytes != 0) {
    RETURN_IF_ERROR(CheckRoom(record, padded + sizeof(tail), tail.ledger_bytes));
    ASSIGN_OR_RETURN(snapshot.ledger, ParseLedger(record.substr(padded + sizeof(tail), tail.ledger_bytes)));
  }
  snapshot.growth.reserve(fixed.entry_count);
  const auto* in = reinterpret_cast<const unsigned char*>(rest.data()) + fixed.label_bytes;
  const auto* const end = in + fixed.payload_bytes;
  uint64_t site = 0;
  for (uint32_t i = 0; i < fixed.entry_count; ++i) {
    uint64_t numbers[kNumbersPerEntry];
    for (uint64_t& number : numbers) {
      in = DecodeVarint(in, end, &number);
      if (in == nullptr)
        return absl::InvalidArgumentError(fmt::format("entry {} of a snapshot ends within a number", i));
    }
    if ((numbers[0] == 0 && i > 0) || numbers[0] > UINT32_MAX - site) {
      return absl::InvalidArgumentError(
          fmt::format("entry {} of a snapshot goes from site {} on by {}", i, site, numbers[0]));
    }
    site += numbers[0];
    snapshot.growth.emplace_back(static_cast<SiteId>(site),
                                 SiteCounters{numbers[1], numbers[2], numbers[3], numbers[4]});
  }
  if (in != end) {
    return absl::InvalidArgumentError(fmt::format("{} bytes are left behind the last entry of a snapshot", end - in));
  }
  return snapshot;
}

std::string EncodeSnapshot(const RecordedSnapshot& snapshot) {
  const std::string_view label = std::string_view(snapshot.label).substr(0, format::kMaxLabelBytes);
  std::string payload;
  SiteId previous = 0;
  for (const auto& [site, growth] : snapshot.growth) {
    for (uint64_t number : {uint64_t{site - previous}, growth.allocated_bytes, growth.allocated_blocks,
                            growth.freed_bytes, growth.freed_blocks}) {
      unsigned char bytes[kMaxVarintBytes];
      payload.append(reinterpret_cast<const char*>(bytes), EncodeVarint(number, bytes) - bytes);
    }
    previous = site;
  }
  const SnapshotRecord fixed{.record_bytes = 0,
                             .label_bytes = static_cast<uint32_t>(label.size()),
                             .entry_count = static_cast<uint32_t>(snapshot.growth.size()),
                             .payload_bytes = static_cast<uint32_t>(payload.size()),
                             .monotonic_ns = snapshot.monotonic_ns,
                             .live_bytes = snapshot.live_bytes,
                             .peak_bytes = snapshot.peak_bytes,
                             .rss_bytes = snapshot.rss_bytes,
                             .container_usage_bytes = snapshot.container_usage_bytes,
                             .container_limit_bytes = snapshot.container_limit_bytes,
                             .rows = snapshot.rows};
  std::string record(BytesOf(fixed));
  record += label;
  record += payload;
  record.resize((record.size() + 7) & ~size_t{7});
  const std::string ledger = snapshot.ledger ? EncodeLedger(*snapshot.ledger) : "";
  record += BytesOf(
      SnapshotTail{.kind = static_cast<uint32_t>(snapshot.kind), .ledger_bytes = static_cast<uint32_t>(ledger.size())});
  record += ledger;
  return Finish(std::move(record));
}

// ---------------------------------------------------------------- ledgers

absl::StatusOr<RecordedLedger> ParseLedger(std::string_view record) {
  RETURN_IF_ERROR(CheckRoom(record, sizeof(LedgerRecord), 0));
  RecordedLedger ledger{.figures = Load<LedgerRecord>(record), .items = {}};
  RETURN_IF_ERROR(CheckRoom(record, 0, ledger.figures.record_bytes));
  std::string_view rest = record.substr(0, ledger.figures.record_bytes);
  if (rest.size() < sizeof(LedgerRecord)) {
    return absl::InvalidArgumentError(fmt::format("a ledger of {} bytes", rest.size()));
  }
  rest.remove_prefix(sizeof(LedgerRecord));
  for (uint32_t i = 0; i < ledger.figures.item_count; ++i) {
    if (rest.size() < sizeof(LedgerItem)) {
      return absl::InvalidArgumentError(
          fmt::format("a ledger of {} items ends behind {}", ledger.figures.item_count, i));
    }
    const auto item = Load<LedgerItem>(rest);
    rest.remove_prefix(sizeof(item));
    if (rest.size() < item.path_bytes) {
      return absl::InvalidArgumentError(fmt::format("item {} of a ledger ends within its path", i));
    }
    if (ledger.items.size() < format::kMaxLedgerItems) {
      std::string_view path = rest.substr(0, item.path_bytes);
      path.remove_prefix(path.size() - std::min<size_t>(path.size(), format::kMaxLedgerPathBytes));
      ledger.items.push_back({.kind = LedgerItemKind{item.kind}, .bytes = item.bytes, .path = std::string(path)});
    }
    rest.remove_prefix(std::min<size_t>((size_t{item.path_bytes} + 7) & ~size_t{7}, rest.size()));
  }
  ledger.figures.sequence = 0;
  ledger.figures.record_bytes = ledger.figures.item_count = 0;
  return ledger;
}

std::string EncodeLedger(const RecordedLedger& ledger) {
  std::string items;
  const size_t count = std::min<size_t>(ledger.items.size(), format::kMaxLedgerItems);
  for (size_t i = 0; i < count; ++i) {
    std::string_view path = ledger.items[i].path;
    path.remove_prefix(path.size() - std::min<size_t>(path.size(), format::kMaxLedgerPathBytes));
    items += BytesOf(LedgerItem{.kind = static_cast<uint32_t>(ledger.items[i].kind),
                                .path_bytes = static_cast<uint32_t>(path.size()),
                                .bytes = ledger.items[i].bytes});
    items += path;
    items.resize((items.size() + 7) & ~size_t{7});
  }
  LedgerRecord fixed = ledger.figures;
  fixed.record_bytes = static_cast<uint32_t>(sizeof(fixed) + items.size());
  fixed.item_count = static_cast<uint32_t>(count);
  return std::string(BytesOf(fixed)) + items;
}

// ---------------------------------------------------------------- code

absl::StatusOr<RecordedCode> ParseCode(uint64_t offset, std::string_view record) {
  RETURN_IF_ERROR(CheckRoom(record, sizeof(CodeRecord), 0));
  const auto fixed = Load<CodeRecord>(record);
  const std::string_view rest = record.substr(sizeof(fixed));
  const uint64_t names = uint64_t{fixed.file_bytes} + fixed.name_bytes;
  RETURN_IF_ERROR(CheckRoom(record, sizeof(fixed), names + fixed.line_table_bytes));
  return RecordedCode{.id = offset / format::kCodeIdBytes,
                      .first_line = fixed.first_line,
                      .line_table_kind = format::LineTableKind{fixed.line_table_kind},
                      .file = std::string(rest.substr(0, fixed.file_bytes)),
                      .name = std::string(rest.substr(fixed.file_bytes, fixed.name_bytes)),
                      .line_table = std::string(rest.substr(names, fixed.line_table_bytes))};
}

std::string EncodeCode(const RecordedCode& code) {
  const CodeRecord fixed{.record_bytes = 0,
                         .first_line = code.first_line,
                         .line_table_kind = static_cast<uint32_t>(code.line_table_kind),
                         .file_bytes = static_cast<uint32_t>(code.file.size()),
                         .name_bytes = static_cast<uint32_t>(code.name.size()),
                         .line_table_bytes = static_cast<uint32_t>(code.line_table.size())};
  std::string record(BytesOf(fixed));
  record += code.file;
  record += code.name;
  record += code.line_table;
  return Finish(std::move(record));
}

// ---------------------------------------------------------------- symbols

absl::StatusOr<RecordedSymbol> ParseSymbol(std::string_view record) {
  RETURN_IF_ERROR(CheckRoom(record, sizeof(SymbolRecord), 0));
  const auto fixed = Load<SymbolRecord>(record);
  const uint64_t location_bytes = uint64_t{fixed.location_count} * sizeof(SymbolLocation);
  RETURN_IF_ERROR(CheckRoom(record, sizeof(fixed), location_bytes + fixed.string_bytes));
  const std::string_view locations = record.substr(sizeof(fixed), location_bytes);
  const std::string_view strings = record.substr(sizeof(fixed) + location_bytes, fixed.string_bytes);
  uint64_t left = strings.size();  // names share no bytes, so that a small file cannot unpack to a huge value
  auto take = [&](uint32_t offset, uint32_t bytes, std::string* into) {
    if (offset > strings.size() || bytes > strings.size() - offset || bytes > left) return false;
    left -= bytes;
    *into = std::string(strings.substr(offset, bytes));
    return true;
  };
  RecordedSymbol symbol{.frame = fixed.frame, .level = fixed.level, .locations = {}};
  symbol.locations.resize(fixed.location_count);
  for (uint32_t i = 0; i < fixed.location_count; ++i) {
    const auto location = Load<SymbolLocation>(locations.substr(i * sizeof(SymbolLocation)));
    RecordedSymbol::Location& out = symbol.locations[i];
    if (!take(location.function_offset, location.function_bytes, &out.function) ||
        !take(location.file_offset, location.file_bytes, &out.file)) {
      return absl::InvalidArgumentError(
          fmt::format("the names of location {} are not in the {} bytes of names of a symbol", i, strings.size()));
    }
    out.line = location.line;
    out.inlined = (location.flags & 1) != 0;
  }
  return symbol;
}

std::string EncodeSymbol(const RecordedSymbol& symbol) {
  std::string locations, strings;
  auto put = [&strings](const std::string& name, uint32_t* offset, uint32_t* bytes) {
    *offset = static_cast<uint32_t>(strings.size());
    *bytes = static_cast<uint32_t>(name.size());
    strings += name;
  };
  for (const RecordedSymbol::Location& from : symbol.locations) {
    SymbolLocation location{};
    put(from.function, &location.function_offset, &location.function_bytes);
    put(from.file, &location.file_offset, &location.file_bytes);
    location.line = from.line;
    location.flags = from.inlined ? 1 : 0;
    locations += BytesOf(location);
  }
  const SymbolRecord fixed{.record_bytes = 0,
                           .location_count = static_cast<uint32_t>(symbol.locations.size()),
                           .frame = symbol.frame,
                           .level = symbol.level,
                           .string_bytes = static_cast<uint32_t>(strings.size())};
  return Finish(std::string(BytesOf(fixed)) + locations + strings);
}

// ---------------------------------------------------------------- differences

absl::StatusOr<RecordedDifference> ParseDifference(std::string_view record) {
  RETURN_IF_ERROR(CheckRoom(record, sizeof(DifferenceRecord), 0));
  const auto fixed = Load<DifferenceRecord>(record);
  const uint64_t our_bytes = uint64_t{fixed.our_frames} * sizeof(Frame);
  const uint64_t their_bytes = uint64_t{fixed.their_frames} * sizeof(Frame);
  RETURN_IF_ERROR(CheckRoom(record, sizeof(fixed), our_bytes + their_bytes));
  const std::string_view frames = record.substr(sizeof(fixed));
  RecordedDifference difference{.ours = std::vector<Frame>(fixed.our_frames),
                                .theirs = std::vector<Frame>(fixed.their_frames)};
  std::copy_n(frames.data(), our_bytes, reinterpret_cast<char*>(difference.ours.data()));
  std::copy_n(frames.data() + our_bytes, their_bytes, reinterpret_cast<char*>(difference.theirs.data()));
  return difference;
}

std::string EncodeDifference(const RecordedDifference& difference) {
  const DifferenceRecord fixed{.record_bytes = 0,
                               .our_frames = static_cast<uint32_t>(difference.ours.size()),
                               .their_frames = static_cast<uint32_t>(difference.theirs.size()),
                               .reserved = 0};
  std::string record(BytesOf(fixed));
  for (Frame frame : difference.ours) record += BytesOf(frame);
  for (Frame frame : difference.theirs) record += BytesOf(frame);
  return Finish(std::move(record));
}

}  // namespace allocline
