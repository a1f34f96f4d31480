// The whole programs that are run under each variant.
#ifndef ALLOCLINE_BENCH_END_TO_END_WORKLOAD_H_
#define ALLOCLINE_BENCH_END_TO_END_WORKLOAD_H_

#include <functional>
#include <string>
#include <vector>

#include "bench/end_to_end/goals.h"
#include "bench/end_to_end/process.h"
#include "bench/end_to_end/variant.h"

namespace allocline::bench {

struct Workload {
  std::string name;
  Command command;
  // What happens while the program runs: a client that keeps a server busy and then ends it. Then "wall" is the
  // client's time.
  std::function<void()> during;
  std::string missing;  // why it cannot be run here; "" if it can

  // What is asked (goals.h); 0: nothing.
  double cpu_goal = 0;         // of the untraced CPU, at most
  double throughput_goal = 0;  // of the untraced throughput, at least, for programs that print the time per block
  double map_share_goal = 0;
  double tracer_mib_goal = goals::kTracerMiB;
  double recording_mib_goal = goals::kRecordingMiB;
};

// Makes the inputs they need in `tools.scratch`. `scale`: how much work, 1 in full.
std::vector<Workload> MakeWorkloads(const Tools& tools, double scale);
Workload ParseJson(const Tools& tools, double scale);

}  // namespace allocline::bench

#endif  // ALLOCLINE_BENCH_END_TO_END_WORKLOAD_H_
