// The documented causes of a connector that runs out of memory, and how well the facts of a line support each of them.
//
// A cause is a row of a table: which facts it cannot do without, what each further fact adds, and what speaks against
// it. Facts are weighed and not proved: where two causes are nearly as well supported, both are told.
#ifndef ALLOCLINE_REPORT_CAUSES_H_
#define ALLOCLINE_REPORT_CAUSES_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "report/evidence.h"

namespace allocline {

enum class Cause : uint8_t {
  kCollectsAll,
  kWholeFile,
  kWholeResult,
  kJoinInMemory,
  kCache,
  kParallelFetch,
  kLargeObjects,
};
inline constexpr Cause kCauses[] = {Cause::kCollectsAll,  Cause::kWholeFile, Cause::kWholeResult,
                                    Cause::kJoinInMemory, Cause::kCache,     Cause::kParallelFetch,
                                    Cause::kLargeObjects};

struct CauseText {
  std::string_view name;   // "collects_all": for machines
  std::string_view title;  // "all data is collected before it is sent"
  std::string_view fix;    // two sentences
};
const CauseText& TextOf(Cause cause);

// Below, a cause is not told; from the best one, another that is this close is told too.
inline constexpr double kLeastScore = 0.5;
inline constexpr double kCloseScore = 0.15;

struct Judgement {
  Cause cause;
  double score = 0;  // from 0; 1 is as good as certain
};
// Those causes whose facts are there, best first; none if no cause has them.
std::vector<Judgement> JudgeCauses(const LineEvidence& line);

// Whether the fact is one that `cause` rests on: those are what a report gives as its reasons.
bool Supports(Cause cause, FactKind fact);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_CAUSES_H_
