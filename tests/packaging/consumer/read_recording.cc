// A stranger's program that reads a recording with the offline library: read_recording RECORDING[@LABEL]
#include <cstdio>

#include "report/open_report.h"
#include "report/statistics.h"

int main(int, char** argv) {
  const auto report = allocline::OpenReport(argv[1], {});
  if (!report.ok()) {
    std::fprintf(stderr, "%s\n", report.status().ToString().c_str());
    return 1;
  }
  const auto lines = allocline::ComputeStatistics(report->profile, {.by = allocline::GroupBy::kLine});
  if (!lines.ok() || lines->empty()) return 2;
  std::puts(Str(lines->front()).c_str());
}
