// What sampling leaves of the cost: pairs, and the JSON parse.
#include <fmt/core.h>
#include <stdlib.h>

#include "bench/end_to_end/goals.h"
#include "bench/end_to_end/measurements.h"
#include "bench/end_to_end/pair_shape.h"
#include "bench/end_to_end/workload.h"

namespace allocline::bench {
namespace {

bool CanSample(const Tools& tools) {
  return !tools.command.empty() && system(("'" + tools.command + "' run --help | grep -q -e --sample").c_str()) == 0;
}

}  // namespace

void MeasureSampled(const Tools& tools, const Extent& extent, Scores* scores) {
  const std::vector<Variant> variants = {Variant::kUntraced, Variant::kPassThrough, Variant::kSampled};
  if (!CanSample(tools)) {
    scores->NotMeasured("sampled at 512 KiB", "bin/allocline was not built, or has no --sample");
    return;
  }
  fmt::print(
      "Sampled at 512 KiB, beside a preload that only passes calls on: nanoseconds of CPU per pair as above, and CPU "
      "of\n"
      "a whole program; variants by turns, median of {} rounds.\n\n",
      extent.rounds);
  fmt::print("{:<48}{:>10}{:>14}{:>10}{:>9}\n", "", "untraced", "pass-through", "sampled", "added");
  for (const PairShape& shape : {PairShape{16, 1, 1}, PairShape{64, 1, 1}, PairShape{16, 1, 256}}) {
    const Rounds rounds =
        Alternate(variants, extent.rounds, [&](Variant variant) { return RunPairs(shape, variant, tools); });
    const double added = MedianAdded(rounds.at(Variant::kSampled), rounds.at(Variant::kPassThrough));
    fmt::print("{:<48}{:>10.1f}{:>14.1f}{:>10.1f}{:>9.1f}\n", What(shape),
               MedianOf(rounds.at(Variant::kUntraced), Nanoseconds),
               MedianOf(rounds.at(Variant::kPassThrough), Nanoseconds),
               MedianOf(rounds.at(Variant::kSampled), Nanoseconds), added);
    if (shape.tops == 1)
      scores->AtMost("sampled, added to a pair passed through: " + What(shape), goals::kSampledPairNs, added, " ns");
  }
  const Workload json = ParseJson(tools, extent.scale);
  const Rounds rounds =
      Alternate(variants, extent.rounds, [&](Variant variant) { return RunAs(variant, json.command, tools); });
  const auto cpu = [](const Run& run) { return run.usage.cpu_s; };
  const double ratio = MedianRatio(rounds.at(Variant::kSampled), rounds.at(Variant::kUntraced), cpu);
  fmt::print("{:<48}{:>8.2f} s{:>13.2f}x{:>9.2f}x\n\n", json.name, MedianOf(rounds.at(Variant::kUntraced), cpu),
             MedianRatio(rounds.at(Variant::kPassThrough), rounds.at(Variant::kUntraced), cpu), ratio);
  scores->AtMost("sampled, CPU to untraced: " + json.name, goals::kSampledJson, ratio, "x");
}

}  // namespace allocline::bench
