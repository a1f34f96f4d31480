#include "report/causes.h"

#include <algorithm>
#include <initializer_list>

namespace allocline {
namespace {

// What a cause without any sign of its own has, if all it cannot do without is there.
constexpr double kStart = 0.2;

// Memory that stays: the line holds most of what it ever allocated, or goes on growing.
constexpr FactSet kStays = FactKind::kKept | FactKind::kAccumulates | FactKind::kLevelsOff;

struct Weighed {
  FactKind fact;
  double weight;
};
struct CauseRule {
  Cause cause;
  CauseText text;
  std::vector<FactSet> needs;  // a fact of each
  std::vector<Weighed> weights;
};

// That it stays, and that it is much, speaks for any of them.
constexpr Weighed kForAll[] = {
    {FactKind::kDominates, 0.1}, {FactKind::kAccumulates, 0.15}, {FactKind::kGrewBetween, 0.1}};

// Weights: 0.6 and more is a sign that hardly means anything else; 0.3 one that is usual for this cause and possible
// for others; 0.1 and less tips the scales. Negative ones belong to another cause.
const std::vector<CauseRule>& Rules() {
  using enum FactKind;
  static const std::vector<CauseRule> rules = {
      {Cause::kWholeResult,
       {"whole_result", "a query's whole result is fetched at once",
        "Fetch in batches and send each before the next: fetchmany(), a server-side cursor, PQsetSingleRowMode, or "
        "sqlite3_step row by row. A query can also be cut by key: WHERE id > last ORDER BY id LIMIT n."},
       {kWholeResult | kDatabase, kStays | kOneBuffer | kWholeResult},
       {{kWholeResult, 0.7},
        {kDatabase, 0.3},
        {kSequence, 0.05},
        {kNamedQuery, 0.05},
        {kPaged, -0.3},
        {kNamedPage, -0.3},
        {kKeyed, -0.25},
        {kMemoized, -0.3},
        {kNamedCache, -0.2},
        {kAcrossWork, -0.3}}},
      {Cause::kWholeFile,
       {"whole_file", "a large file is loaded whole",
        "Read the file as a stream: line by line, record by record, or with a parser that gives events, and send as "
        "you go. A format that must be read whole is better split, or converted, before the sync."},
       {kWholeFile | kFile | kCsv | kDocumentOfFile, kStays | kOneBuffer | kWholeFile | kDocumentOfFile},
       {{kWholeFile, 0.6},
        {kDocumentOfFile, 0.6},
        {kFile, 0.3},
        {kCsv, 0.2},
        {kOneBuffer, 0.1},
        {kSequence, 0.05},
        {kNamedFile, 0.1},
        {kKeyed, -0.25},
        {kMemoized, -0.3},
        {kNamedCache, -0.2},
        {kDatabase, -0.1},
        {kNamedPage, -0.1},
        {kBinary, -0.4},
        {kSeveralLarge, -0.2}}},
      {Cause::kLargeObjects,
       {"large_objects", "large binary or nested objects are held whole",
        "Send a reference, or decode and send in pieces; keep one such object at a time, and let its encoded form go "
        "before the next is made. Of nested documents take out the columns that are needed and drop the rest."},
       {kBinary | kNamedBinary | kDocument, kLargeBlocks | kOneBuffer | kDocument},
       {{kBinary, 0.55},
        {kNamedBinary, 0.25},
        {kLargeBlocks, 0.15},
        {kDocument, 0.3},
        {kSequence, -0.15},
        {kDocumentOfFile, -0.4},
        {kWholeFile, -0.15},
        {kWholeResult, -0.3},
        {kSeveralLarge, 0.2},
        {kFile, -0.1}}},
      {Cause::kParallelFetch,
       {"parallel_fetch", "parallel work fills memory without a limit",
        "Bound what is under way: a queue of fixed size that makes its producers wait, and fewer workers. Let each "
        "worker send what it fetched before it fetches more."},
       {kManyThreads | kQueue | kHandedOver, kStays},
       {{kManyThreads, 0.7}, {kHandedOver, 0.2}, {kQueue, 0.3}, {kNamedQueue, 0.1}, {kMemoized, -0.2}}},
      {Cause::kCache,
       {"cache", "a cache lives as long as the sync and is never emptied",
        "Give it a limit: an LRU of so many entries or bytes, or clear it after each batch. If most keys are asked for "
        "once, it saves nothing and can go."},
       {kKeyed | kMemoized | kNamedCache, kStays},
       {{kKeyed, 0.3},
        {kMemoized, 0.6},
        {kLookedUp, 0.25},
        {kNamedCache, 0.35},
        {kAcrossWork, 0.15},
        {kLevelsOff, 0.1},
        {kNamedJoin, -0.2},
        {kSequence, -0.1},
        {kGoneLater, -0.4},
        {kBuiltEarly, -0.15},
        {kNamedRow, -0.1}}},
      {Cause::kJoinInMemory,
       {"join_in_memory", "data is joined or aggregated in memory",
        "Let the database join and aggregate, or sort both sides by the key and go through them side by side. Where it "
        "must be done here, do it by ranges of the key, or keep only the sums and not the rows."},
       {kKeyed | kNamedJoin, kStays},
       {{kKeyed, 0.35},
        {kNamedJoin, 0.3},
        {kDatabase, 0.05},
        {kFile, 0.05},
        {kBuiltEarly, 0.15},
        {kGoneLater, 0.1},
        {kNamedCache, -0.35},
        {kMemoized, -0.4},
        {kLookedUp, -0.1},
        {kAcrossWork, -0.1},
        {kSequence, -0.15},
        {kNamedRow, -0.1}}},
      {Cause::kCollectsAll,
       {"collects_all", "all data is collected before it is sent",
        "Send each page or batch before the next is fetched, and write a checkpoint after it. Memory is then that of "
        "one batch, whatever the size of the source."},
       {kStays, kSequence | kPaged | kNamedPage | kProgramDatabase | kProgramNetwork | kDatabase | kFile | kCsv},
       {{kSequence, 0.35},
        {kAcrossWork, 0.1},
        {kProgramDatabase, 0.1},
        {kProgramNetwork, 0.1},
        {kNamedPage, 0.1},
        {kPaged, 0.1},
        {kNamedRow, 0.05},
        {kDatabase, -0.15},
        {kFile, -0.15},
        {kCsv, -0.15},
        {kWholeResult, -0.4},
        {kWholeFile, -0.4},
        {kDocumentOfFile, -0.4},
        {kOneBuffer, -0.2},
        {kKeyed, -0.3},
        {kMemoized, -0.3},
        {kNamedCache, -0.15},
        {kNamedJoin, -0.05}}},
  };
  return rules;
}

const CauseRule& RuleOf(Cause cause) { return *std::ranges::find(Rules(), cause, &CauseRule::cause); }

}  // namespace

const CauseText& TextOf(Cause cause) { return RuleOf(cause).text; }

std::vector<Judgement> JudgeCauses(const LineEvidence& line) {
  std::vector<Judgement> judgements;
  for (const CauseRule& rule : Rules()) {
    if (!std::ranges::all_of(rule.needs, [&](FactSet any) { return line.present.Any(any); })) continue;
    double score = kStart;
    for (const Weighed& weighed : kForAll) score += line.present.Any(weighed.fact) ? weighed.weight : 0;
    for (const Weighed& weighed : rule.weights) score += line.present.Any(weighed.fact) ? weighed.weight : 0;
    judgements.push_back({.cause = rule.cause, .score = std::max(score, 0.0)});
  }
  // Of equals, the more particular comes first, which is the order of the rules.
  std::ranges::stable_sort(judgements, [](const Judgement& a, const Judgement& b) { return a.score > b.score; });
  return judgements;
}

bool Supports(Cause cause, FactKind fact) {
  const CauseRule& rule = RuleOf(cause);
  for (const Weighed& weighed : rule.weights) {
    if (weighed.fact == fact) return weighed.weight > 0;
  }
  return std::ranges::any_of(rule.needs, [&](FactSet any) { return any.Any(fact); });
}

}  // namespace allocline
