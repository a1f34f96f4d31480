// The API of include/allocline/allocline.h: the table that programs find by dlsym.
#include <errno.h>

#include "allocline/allocline.h"
#include "recording/python_lines.h"
#include "tracer/snapshot.h"
#include "tracer/tracer.h"
#include "tracer/usage_log.h"

#define HOOK_FRAME static_cast<const allocline::HookFrame*>(__builtin_frame_address(0))

namespace allocline {
namespace {

int IsTracing() { return g_tracer.ready() && g_tracer.active(); }

int Start() {
  if (!g_tracer.EnsureOwnRecording()) return ENODATA;
  g_tracer.SetActive(true);
  return 0;
}

void Stop() {
  if (!IsTracing()) return;
  g_tracer.SetActive(false);
  g_tracer.Clear();
}

void Clear() {
  if (IsTracing()) g_tracer.Clear();
}

void TracedMemory(uint64_t* current, uint64_t* peak) {
  *current = 0;
  *peak = 0;
  if (!IsTracing()) return;
  int64_t live = 0;
  g_tracer.TracedMemory(&live, peak);
  *current = static_cast<uint64_t>(live > 0 ? live : 0);
}

void ResetPeak() {
  if (IsTracing()) g_tracer.ResetPeak();
}

uint64_t TracerMemory() { return g_tracer.ready() ? g_tracer.TracerMemory() : 0; }

void IgnoreThisThread(int ignore) {
  if (g_tracer.ready()) g_tracer.IgnoreThisThread(ignore != 0);
}

int Lookup(const void* block, allocline_block* out) {
  if (out == nullptr) return EINVAL;
  *out = {};
  const Block found = g_tracer.Find(format::kDomainMalloc, reinterpret_cast<uintptr_t>(block));
  if (found.site == 0) return ENOENT;
  out->bytes = found.bytes;
  const SiteTable& sites = g_tracer.sites();
  for (NodeId node = sites.NodeOf(found.site); node != kRootNode; node = sites.nodes()[node].parent) {
    const format::Frame frame = LoadAcquire(sites.nodes()[node].frame);
    if (format::IsVirtual(frame)) continue;
    if (out->depth < ALLOCLINE_BLOCK_FRAMES) out->frames[out->depth] = format::AddressOf(frame);
    ++out->depth;
  }
  return 0;
}

int TracesPython() {
  if (!g_tracer.ready()) return 0;
  return (LoadRelaxed(g_tracer.recording().header().python_state) & format::kPythonTraced) != 0;
}

void DescribeLine(format::Frame frame, allocline_python_line* out) {
  const auto* record = reinterpret_cast<const format::CodeRecord*>(
      g_tracer.recording().base(format::TableKind::kCodes) + format::CodeOf(frame) * 8);
  const char* texts = reinterpret_cast<const char*>(record + 1);
  out->file = texts;
  out->file_bytes = record->file_bytes;
  out->function = texts + record->file_bytes;
  out->function_bytes = record->name_bytes;
  const std::string_view table(out->function + record->name_bytes, record->line_table_bytes);
  out->line = PythonLine(static_cast<format::LineTableKind>(record->line_table_kind), record->first_line, table,
                         format::CodeOffsetOf(frame));
  out->reserved = 0;
}

int LookupPythonFurther(const void* object, uint32_t skip, allocline_python_block* out) {
  if (out == nullptr) return EINVAL;
  *out = {};
  const Block found = g_tracer.FindPythonObject(reinterpret_cast<uintptr_t>(object));
  if (found.site == 0) return ENOENT;
  out->bytes = found.bytes;
  const SiteTable& sites = g_tracer.sites();
  for (NodeId node = sites.NodeOf(found.site); node != kRootNode; node = sites.nodes()[node].parent) {
    const format::Frame frame = LoadAcquire(sites.nodes()[node].frame);
    if (!format::IsVirtual(frame)) continue;
    if (format::KindOf(frame) == format::VirtualKind::kDomain) {
      out->domain = static_cast<uint32_t>(format::PayloadOf(frame));
    } else if (format::KindOf(frame) == format::VirtualKind::kPython) {
      const uint32_t line = out->depth++;
      if (line >= skip && line - skip < ALLOCLINE_BLOCK_FRAMES) DescribeLine(frame, &out->lines[line - skip]);
    }
  }
  return 0;
}

int LookupPython(const void* object, allocline_python_block* out) { return LookupPythonFurther(object, 0, out); }

int Checkpoint(const char* label, uint64_t rows) {
  return TakeSnapshot(label, rows, format::SnapshotKind::kCheckpoint);
}
int TakeLabelled(const char* label, uint64_t rows) { return TakeSnapshot(label, rows); }

int Track(uint32_t domain, uintptr_t block, size_t bytes) { return g_tracer.Track(domain, block, bytes, HOOK_FRAME); }
int Untrack(uint32_t domain, uintptr_t block) { return g_tracer.Untrack(domain, block); }
const char* RecordingPath() { return g_tracer.ready() ? g_tracer.recording().path() : ""; }

constexpr allocline_api kApi = {
    sizeof(allocline_api),
    IsTracing,
    Start,
    Stop,
    Clear,
    TakeLabelled,
    TracedMemory,
    ResetPeak,
    TracerMemory,
    IgnoreThisThread,
    Lookup,
    Track,
    Untrack,
    LogMemoryUsage,
    LogTop,
    RecordingPath,
    TracesPython,
    LookupPython,
    LookupPythonFurther,
    Checkpoint,
};

}  // namespace
}  // namespace allocline

extern "C" __attribute__((visibility("default"))) const allocline_api* allocline_api_v1() { return &allocline::kApi; }
