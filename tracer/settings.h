// What the environment asks of the tracer, read and copied once in the constructor: programs wipe environ later.
#ifndef ALLOCLINE_TRACER_SETTINGS_H_
#define ALLOCLINE_TRACER_SETTINGS_H_

#include <cstdint>

#include "recording/format.h"

namespace allocline {

struct Settings {
  char directory[512] = {};      // ALLOCLINE_OUTPUT, made absolute; default: the current directory
  char name[256] = {};           // what it was called as: a link's or a script's name, not the interpreter's
  char executable[512] = {};     // the program we are in: /proc/self/exe
  char reporter[512] = {};       // ALLOCLINE_PROGRAM: the `allocline` program, for log_top(); may be empty
  uint64_t run_id = 0;           // ALLOCLINE_RUN, hexadecimal: the same in all processes of one `allocline run`
  bool record_mmap = false;      // ALLOCLINE_MMAP=1
  bool start_stopped = false;    // ALLOCLINE_START=0
  bool verify = false;           // ALLOCLINE_VERIFY=1
  uint64_t sample_interval = 0;  // ALLOCLINE_SAMPLE=BYTES, K, M and G understood: 0 records every block

  uint8_t ladder[format::kMaxRungs] = {};  // ALLOCLINE_LADDER=50,70,80,90,95, or off
  uint64_t limit = 0;                      // ALLOCLINE_LIMIT=BYTES: stands for the limit of a container; 0: none
  bool kill_at_limit = false;              // ALLOCLINE_LIMIT_ACTION=kill; or report

  uint64_t tracer_memory = 0;        // ALLOCLINE_TRACER_MEMORY=BYTES; 0: the default
  const char* bad_memory = nullptr;  // what it was, where that is no size
  const char* bad_sample = nullptr;  // what ALLOCLINE_SAMPLE was, where that is no interval
  const char* bad_ladder = nullptr;
  const char* bad_limit = nullptr;
  const char* bad_limit_action = nullptr;

  void Read(char** environment, const char* argv0);
};

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_SETTINGS_H_
