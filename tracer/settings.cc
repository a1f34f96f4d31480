#include "tracer/settings.h"

#include <string.h>
#include <sys/auxv.h>

#include "base/ladder_text.h"
#include "base/raw_syscall.h"
#include "base/text.h"
#include "recording/sampling.h"
#include "tracer/fault_points.h"

namespace allocline {
namespace {

const char* Find(char** environment, const char* name) {
  const size_t n = strlen(name);
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=') return *environment + n + 1;
  }
  return nullptr;
}

bool Is(const char* value, const char* expected) { return value != nullptr && strcmp(value, expected) == 0; }

// "524288", "512K", "4M"; 0 if it is not that.
uint64_t ParseSize(const char* text) {
  uint64_t value = 0;
  if (text == nullptr || *text < '0' || *text > '9') return 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    if (__builtin_mul_overflow(value, uint64_t{10}, &value)) return 0;
    if (__builtin_add_overflow(value, static_cast<uint64_t>(*text - '0'), &value)) return 0;
  }
  const int shift = *text == 'K' || *text == 'k'   ? 10
                    : *text == 'M' || *text == 'm' ? 20
                    : *text == 'G' || *text == 'g' ? 30
                                                   : 0;
  if (shift != 0) ++text;
  return *text == '\0' && value << shift >> shift == value ? value << shift : 0;
}

uint64_t ParseHex(const char* text) {
  uint64_t value = 0;
  for (; text != nullptr && *text != '\0'; ++text) {
    const int digit = *text >= '0' && *text <= '9' ? *text - '0' : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10 : -1;
    if (digit < 0) return 0;
    value = value << 4 | static_cast<uint64_t>(digit);
  }
  return value;
}

}  // namespace

#ifdef ALLOCLINE_FAULT_POINTS
constinit Fault g_fault = Fault::kNone;
#endif

void Settings::Read(char** environment, const char* argv0) {
  Text output(directory);
  const char* wanted = Find(environment, "ALLOCLINE_OUTPUT");
  if (wanted == nullptr || wanted[0] == '\0') wanted = ".";
  if (wanted[0] != '/') {
    char here[512];
    const long n = sys::Call(SYS_getcwd, reinterpret_cast<long>(here), sizeof here);
    if (n > 0) output.Add(here);
    if (strcmp(wanted, ".") != 0) output.Add("/").Add(wanted);
  } else {
    output.Add(wanted);
  }
  const long n = sys::Readlink("/proc/self/exe", executable, sizeof executable - 1);
  if (n > 0) {
    executable[n] = '\0';
  } else {
    Text(executable).Add(argv0 != nullptr && argv0[0] != '\0' ? argv0 : "unknown");
  }
  const auto* called = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  Text(name).Add(Basename(called != nullptr && called[0] != '\0' ? called : executable));
  const char* program = Find(environment, "ALLOCLINE_PROGRAM");
  Text(reporter).Add(program != nullptr ? program : "");
  run_id = ParseHex(Find(environment, "ALLOCLINE_RUN"));
  record_mmap = Is(Find(environment, "ALLOCLINE_MMAP"), "1");
  start_stopped = Is(Find(environment, "ALLOCLINE_START"), "0");
  verify = Is(Find(environment, "ALLOCLINE_VERIFY"), "1");
  const char* sample = Find(environment, "ALLOCLINE_SAMPLE");
  if (sample != nullptr && sample[0] != '\0') {
    sample_interval = ParseSize(sample);
    if (sample_interval < kLeastSampleInterval || sample_interval > kMostSampleInterval) {
      sample_interval = 0;
      bad_sample = sample;
    }
  }
  const char* memory = Find(environment, "ALLOCLINE_TRACER_MEMORY");
  if (memory != nullptr && memory[0] != '\0') {
    tracer_memory = ParseSize(memory);
    if (tracer_memory < kLeastTracerMemory) {
      tracer_memory = 0;
      bad_memory = memory;
    }
  }
  const char* rungs = Find(environment, "ALLOCLINE_LADDER");
  if (rungs == nullptr || rungs[0] == '\0') rungs = kDefaultLadderText;
  if (!ParseLadder(rungs, ladder)) {
    bad_ladder = rungs;
    ParseLadder(kDefaultLadderText, ladder);
  }
  const char* wanted_limit = Find(environment, "ALLOCLINE_LIMIT");
  if (wanted_limit != nullptr && wanted_limit[0] != '\0') {
    limit = ParseSize(wanted_limit);
    if (limit < kLeastLimit) {
      limit = 0;
      bad_limit = wanted_limit;
    }
  }
  const char* action = Find(environment, "ALLOCLINE_LIMIT_ACTION");
  kill_at_limit = Is(action, "kill");
  if (action != nullptr && action[0] != '\0' && !kill_at_limit && !Is(action, "report")) bad_limit_action = action;
#ifdef ALLOCLINE_FAULT_POINTS
  const char* fault = Find(environment, "ALLOCLINE_FAULT");
  g_fault = Is(fault, "row")      ? Fault::kWrongRow
            : Is(fault, "slot")   ? Fault::kUncomparedSlot
            : Is(fault, "unload") ? Fault::kMissedUnload
                                  : Fault::kNone;
#endif
}

}  // namespace allocline
