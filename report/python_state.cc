#include "report/python_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "recording/format.h"
#include "report/escape.h"
#include "report/size_text.h"

namespace allocline {
namespace {

struct BitText {
  format::PythonBit bit;
  std::string_view name;
  std::string_view why_not;  // after "of Python 3.16.0 only native lines are recorded: "; empty if it is not the reason
};
constexpr BitText kBits[] = {
    {format::kPythonTraced, "traced", ""},
    {format::kPythonUnknownVersion, "unknown_version", "this version of allocline does not know how it keeps frames"},
    {format::kPythonFreeThreaded, "free_threaded", "it is built without the GIL"},
    {format::kPythonBadLayout, "bad_layout", "its frames are not where this version of Python has them"},
    {format::kPythonSecondRuntime, "second_runtime", ""},
    {format::kPythonHooksReplaced, "hooks_replaced", ""},
    {format::kPythonIsPyPy, "pypy", "of interpreters only CPython's frames are known"},
};

bool HasPython(const ProfileSummary& summary) { return summary.python_version != 0 || summary.python_state != 0; }

// "12.0 MiB", or "12.0 MiB (+2048 KiB)".
std::string Bytes(int64_t bytes, const int64_t* old) {
  std::string text = SizeText(static_cast<double>(bytes));
  if (old != nullptr) text += fmt::format(" ({})", SignedSizeText(static_cast<double>(bytes - *old)));
  return text;
}

bool IsPyPy(const ProfileSummary& summary) {
  return summary.python_version == 0 && (summary.python_state & format::kPythonIsPyPy) != 0;
}

struct Arenas {
  explicit Arenas(const ProfileSummary& summary)
      : bytes(static_cast<int64_t>(summary.python_arena_bytes)),
        live(summary.python_small_bytes),
        slack(std::max<int64_t>(bytes - live, 0)) {}
  int64_t bytes, live, slack;
};

}  // namespace

std::string PythonVersionText(uint32_t version) {
  if (version == 0) return "of unknown version";
  std::string text = fmt::format("{}.{}.{}", version >> 24, (version >> 16) & 0xff, (version >> 8) & 0xff);
  const uint32_t serial = version & 15;
  switch ((version >> 4) & 15) {
    case 0xa:
      return text + fmt::format("a{}", serial);
    case 0xb:
      return text + fmt::format("b{}", serial);
    case 0xc:
      return text + fmt::format("rc{}", serial);
    default:
      return text;
  }
}

std::string PythonText(const ProfileSummary& summary, const ProfileSummary* old) {
  if (!HasPython(summary)) return "";
  std::string text = IsPyPy(summary) ? "PyPy" : PythonVersionText(summary.python_version);
  if (summary.python_arena_bytes == 0) return text;
  const Arenas now(summary);
  if (old == nullptr || old->python_arena_bytes == 0) {
    return text + fmt::format(", pymalloc: {} in arenas, {} live in them, {} slack", Bytes(now.bytes, nullptr),
                              Bytes(now.live, nullptr), Bytes(now.slack, nullptr));
  }
  const Arenas before(*old);
  return text + fmt::format(", pymalloc: {} in arenas, {} live in them, {} slack", Bytes(now.bytes, &before.bytes),
                            Bytes(now.live, &before.live), Bytes(now.slack, &before.slack));
}

std::vector<std::string> PythonNotes(const ProfileSummary& summary) {
  std::vector<std::string> notes;
  if (!HasPython(summary)) return notes;
  const uint32_t state = summary.python_state;
  const std::string name = IsPyPy(summary) ? "PyPy" : "Python " + PythonVersionText(summary.python_version);
  if ((state & format::kPythonTraced) == 0 || (state & format::kPythonBadLayout) != 0) {
    std::string_view why = "its allocators could not be hooked";
    for (const BitText& text : kBits) {
      if ((state & text.bit) != 0 && !text.why_not.empty()) why = text.why_not;
    }
    notes.push_back(fmt::format("of {} only native lines are recorded: {}", name, why));
  }
  if ((state & format::kPythonSecondRuntime) != 0) {
    notes.push_back(fmt::format("a second Python was loaded: only of the first ({}) are the lines recorded",
                                Printable(summary.python_runtime)));
  }
  if ((state & format::kPythonHooksReplaced) != 0) {
    notes.push_back(
        "Python's allocators were replaced (PYTHONMALLOC, -X dev or the program itself): what was allocated before "
        "they were traced again is missing, or is native");
  }
  return notes;
}

std::vector<std::string_view> PythonStateNames(uint32_t state) {
  std::vector<std::string_view> names;
  for (const BitText& text : kBits) {
    if ((state & text.bit) != 0) names.push_back(text.name);
  }
  return names;
}

}  // namespace allocline
