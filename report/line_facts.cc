#include "report/line_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "report/escape.h"
#include "report/function_name.h"
#include "report/name_words.h"
#include "report/notes.h"
#include "report/path_text.h"
#include "report/render_growth.h"
#include "report/size_text.h"

namespace allocline {
namespace {

// docs/explain.md gives the reasons for these.
constexpr double kKeptShare = 1.0 / 3;
constexpr double kKeptShareOfBounded = 0.5;  // where checkpoints show that it comes and goes
constexpr double kKeptShareOfMuch = 0.1;     // where half of the limit is held at once
constexpr double kDominantShare = 0.5;
constexpr double kCallShare = 0.5;  // of a line's bytes that pass through a call
constexpr double kBuiltShare = 0.9;
constexpr size_t kLeastStill = 3;    // snapshots that a line stood still over
constexpr double kStillTime = 0.25;  // and their share of the time
constexpr double kGoneShare = 0.1;
constexpr double kGrowthShare = 0.25;
constexpr int64_t kFewBuffers = 4;
constexpr double kGrownBuffer =
    0.5;  // what was allocated there is smaller on average, in this ratio: it grew to its size
constexpr double kAlikeThreads = 1.8;  // effective number of threads
constexpr double kThreadsShare = 0.8;
constexpr double kHandedOverShare = 0.5;
constexpr size_t kNamingFrames = 3;   // of the user's, from the line outward, whose names and statements are read
constexpr size_t kCallingFrames = 2;  // whose other calls are looked at
constexpr size_t kLongestPath = 12;

struct FactOfCall {
  CallKind call;
  FactKind fact;
  std::string_view text;
};
constexpr FactOfCall kCallFacts[] = {
    {CallKind::kWholeResult, FactKind::kWholeResult, "the driver gives all rows of a query at once"},
    {CallKind::kWholeFile, FactKind::kWholeFile, "a file is read in one go"},
    {CallKind::kDocumentOfFile, FactKind::kDocumentOfFile, "a document is parsed from a file"},
    {CallKind::kCsv, FactKind::kCsv, "a table of text is read"},
    {CallKind::kDocument, FactKind::kDocument, "a document is parsed"},
    {CallKind::kBinary, FactKind::kBinary, "data is decoded or unpacked"},
    {CallKind::kMemoized, FactKind::kMemoized, "what the function gave is kept"},
};
constexpr FactOfCall kContainerFacts[] = {
    {CallKind::kSequence, FactKind::kSequence, "into a sequence"},
    {CallKind::kKeyed, FactKind::kKeyed, "into a map or set"},
    {CallKind::kQueue, FactKind::kQueue, "into a queue"},
};
// What the line's function calls on other lines, too, and the whole program.
constexpr FactOfCall kFunctionFacts[] = {
    {CallKind::kDatabase, FactKind::kDatabase, "asks a database"},
    {CallKind::kFile, FactKind::kFile, "reads a file"},
    {CallKind::kCsv, FactKind::kCsv, "reads a table of text"},
};
constexpr FactOfCall kProgramFacts[] = {
    {CallKind::kDatabase, FactKind::kProgramDatabase, "the program asks a database"},
    {CallKind::kNetwork, FactKind::kProgramNetwork, "the program talks to another machine"},
};

double Ratio(double part, double whole) { return whole <= 0 ? 0 : part / whole; }
template <typename Integer>
double Real(Integer value) {
  return static_cast<double>(value);
}

class FactFinder {
 public:
  FactFinder(const FactContext& context, const LineSums& sums, const Verdict& verdict, const LineSeries& series,
             LineEvidence* line)
      : context_(context), sums_(sums), verdict_(verdict), series_(series), line_(*line) {}

  void Find() {
    FindPath();
    Amounts();
    Lifetime();
    Snapshots();
    Blocks();
    Threads();
    Calls();
    Containers();
    Statements();
    Names();
    for (const Fact& fact : line_.facts) line_.present |= fact.kind;
  }

 private:
  void Add(FactKind kind, double value, std::string text) {
    if (line_.Find(kind) != nullptr) return;
    line_.facts.push_back({.kind = kind, .value = value, .text = std::move(text)});
  }

  std::string PlaceText(std::string_view file, uint32_t line) const {
    return fmt::format("{}:{}", Printable(context_.names.Short(file)), line);
  }
  std::string CallText(LocationId id) const {
    const Location& location = context_.stacks.locations()[id];
    const std::string_view module = Basename(location.module);
    if (location.python)
      return fmt::format("{} in {}", Printable(location.function), Printable(Basename(location.where)));
    if (location.function.empty()) return Printable(module.empty() ? location.where : module);
    const std::string name = Printable(ShortFunctionName(location.function));
    // The library is worth a word where the name is not that of a template.
    if (name.find("::") != name.npos || module.empty() || location.role == FrameRole::kUser) return name;
    return fmt::format("{} of {}", name, Printable(module));
  }

  // The user's frames of the stacks that hold most, from the line outward.
  void FindPath() {
    StackId node = kRootStack;
    int64_t most = -1;
    for (const auto& [id, bytes] : sums_.paths) {
      if (bytes > most || (bytes == most && id < node)) most = bytes, node = id;
    }
    for (auto frame = context_.stacks.Frames(node).begin(); frame != context_.stacks.Frames(node).end(); ++frame) {
      const Location& location = context_.stacks.locations()[*frame];
      if (location.role != FrameRole::kUser || location.file.empty() || location.line == 0) continue;
      const CodePlace place{.file = location.file, .line = location.line, .function = location.function};
      if (!line_.path.empty() && line_.path.back().file == place.file && line_.path.back().line == place.line) continue;
      line_.path.push_back(place);
      if (line_.path.size() == kLongestPath) break;
    }
  }

  void Amounts() {
    const int64_t live = context_.evidence.moment.live_bytes;
    const auto limit = static_cast<int64_t>(context_.evidence.limit_bytes);
    Add(FactKind::kShare, Ratio(Real(line_.size), Real(live)),
        fmt::format("{} of the {} that were live", PercentText(std::clamp<int64_t>(line_.size, 0, live), live),
                    SizeText(live)));
    if (limit > 0) {
      Add(FactKind::kOfLimit, Ratio(Real(line_.size), Real(limit)),
          fmt::format("{} of the limit of {}", PercentText(std::min(std::max<int64_t>(line_.size, 0), limit), limit),
                      SizeText(limit)));
    }
    const bool of_live = Real(line_.size) >= kDominantShare * Real(live);
    of_limit_ = limit > 0 && Real(line_.size) >= kDominantShare * Real(limit);
    if (of_live || of_limit_) Add(FactKind::kDominates, Ratio(Real(line_.size), Real(live)), "");
  }

  void Lifetime() {
    const double kept = std::min(1.0, Ratio(Real(line_.size), Real(sums_.total_bytes)));
    const std::string figures = fmt::format("{} of the {} that it ever allocated",
                                            SizeText(std::max<int64_t>(line_.size, 0)), SizeText(sums_.total_bytes));
    const double enough = ComesAndGoes() ? kKeptShareOfBounded : kKeptShare;
    if (kept >= enough || (of_limit_ && kept >= kKeptShareOfMuch)) {
      const bool all = line_.count >= 0 && static_cast<uint64_t>(line_.count) == sums_.total_blocks;
      Add(FactKind::kKept, kept,
          all ? fmt::format("nothing of it was freed: all {} that it allocated were live",
                            CountText(line_.count, "block"))
              : fmt::format("it kept {}", figures));
    } else {
      Add(FactKind::kGivenBack, kept, fmt::format("it held {}, and gave back the rest", figures));
    }
  }

  bool ComesAndGoes() const {
    switch (verdict_.kind) {
      case VerdictKind::kSawtooth:
      case VerdictKind::kSpike:
      case VerdictKind::kChurn:
      case VerdictKind::kShrinking:
      case VerdictKind::kStable:
        return true;
      default:
        return false;
    }
  }

  std::string PointText(size_t point) const {
    return point < context_.points.size() && context_.points[point].snapshot
               ? fmt::format("\"{}\"", Printable(context_.points[point].label))
               : "the end";
  }

  void Snapshots() {
    const std::string evidence = EvidenceText(verdict_, context_.growth.checkpoints);
    if (verdict_.kind == VerdictKind::kAccumulating) {
      Add(FactKind::kAccumulates, verdict_.bytes_per_checkpoint, "over the checkpoints it " + WithSubject(evidence));
    } else if (verdict_.kind == VerdictKind::kLevelling) {
      Add(FactKind::kLevelsOff, Real(verdict_.top), "over the checkpoints it " + WithSubject(evidence));
    }
    if (verdict_.kind == VerdictKind::kAccumulating || verdict_.kind == VerdictKind::kLevelling) {
      Add(FactKind::kAcrossWork, Real(context_.growth.checkpoints.chosen.size()), "");
    }
    const size_t before = std::min(context_.points_before, series_.live_bytes.size());
    if (before > 0) GrownSince(before);
    if (before >= kLeastStill) BuiltEarly(before);
    for (size_t later = before; later < series_.live_bytes.size(); ++later) {
      if (Real(series_.live_bytes[later]) > kGoneShare * Real(line_.size) || !context_.points[later].snapshot) continue;
      Add(FactKind::kGoneLater, Real(series_.live_bytes[later]),
          fmt::format("{} of it were left at {}", SizeText(series_.live_bytes[later]), PointText(later)));
      break;
    }
  }
  // "grew in 9 of 9 ..." goes on from "it"; "a buffer that grew ..." needs a verb.
  static std::string WithSubject(const std::string& evidence) {
    if (evidence.starts_with("its ")) return "rose: " + evidence;
    return evidence.starts_with("a buffer") ? "was " + evidence : evidence;
  }

  void GrownSince(size_t before) {
    const double live = Real(series_.live_bytes[0]);
    const double allocated = Real(sums_.total_bytes) - Real(series_.allocated_bytes[0]);
    const double grown = Real(line_.size) - live;
    if (line_.Find(FactKind::kKept) == nullptr) return;
    if (grown < kGrowthShare * Real(line_.size) || grown < kKeptShare * allocated) return;
    size_t rises = 0;
    for (size_t i = 0; i < before; ++i) {
      const int64_t next = i + 1 < before ? series_.live_bytes[i + 1] : line_.size;
      rises += next > series_.live_bytes[i];
    }
    Add(FactKind::kGrewBetween, grown,
        fmt::format("{} since {}, rising in {} of {} between snapshots", SignedSizeText(grown), PointText(0), rises,
                    CountText(before, "interval")));
  }

  void BuiltEarly(size_t before) {
    size_t full = 0;
    while (full < before && Real(series_.live_bytes[full]) < kBuiltShare * Real(line_.size)) ++full;
    if (before - full < kLeastStill || full > before / 2 || line_.Find(FactKind::kKept) == nullptr) return;
    // A few snapshots at one moment, as where memory is short, are no time.
    const uint64_t start = context_.points.front().monotonic_ns, end = context_.points[before - 1].monotonic_ns;
    if (Real(end - context_.points[full].monotonic_ns) < kStillTime * Real(end - start)) return;
    size_t rises = 0;
    for (size_t i = full; i < before; ++i) {
      rises += (i + 1 < before ? series_.live_bytes[i + 1] : line_.size) > series_.live_bytes[i];
    }
    if (rises == before - full) return;  // what comes to the limit has not far to go, and goes on
    Add(FactKind::kBuiltEarly, Real(before - full),
        fmt::format("it was built by {}, and stood still over {} since", PointText(full),
                    CountText(before - full, "snapshot")));
  }

  void Blocks() {
    const double average_ever = Ratio(Real(sums_.buffers_total_bytes), Real(sums_.buffers_total_blocks));
    const double average_now = Ratio(Real(sums_.buffer_bytes), Real(sums_.buffers));
    if (sums_.buffers > 0 && sums_.buffers <= kFewBuffers &&
        Real(sums_.buffer_bytes) >= kCallShare * Real(line_.size) && average_ever >= kGrownBuffer * average_now) {
      Add(FactKind::kOneBuffer, average_now,
          fmt::format("{} of it {} in {}", SizeText(sums_.buffer_bytes), sums_.buffers == 1 ? "is" : "are",
                      CountText(sums_.buffers, "block")));
    }
    if (Real(sums_.large_bytes) >= kCallShare * Real(line_.size) && line_.size > 0) {
      const double average = Ratio(Real(sums_.large_bytes), Real(sums_.large_blocks));
      Add(FactKind::kLargeBlocks, average, fmt::format("its blocks are large: {} on average", SizeText(average)));
      if (sums_.large_blocks > kFewBuffers) Add(FactKind::kSeveralLarge, Real(sums_.large_blocks), "");
    }
  }

  void Threads() {
    double all = 0, others = 0, squares = 0, freed = 0, of_others = 0;
    size_t count = 0;
    double most = 0;
    for (const ThreadBytes& thread : sums_.threads) {
      const double allocated = Real(thread.allocated);
      all += allocated;
      freed += Real(thread.freed);
      of_others += std::max(0.0, Real(thread.freed) - allocated);
      if (thread.is_first || allocated <= 0) continue;
      others += allocated;
      squares += allocated * allocated;
      most = std::max(most, allocated);
      ++count;
    }
    const double alike = Ratio(others * others, squares);
    if (count >= 2 && others >= kThreadsShare * all && alike >= kAlikeThreads) {
      Add(FactKind::kManyThreads, std::round(alike),
          fmt::format("{} allocated it, none more than {:.0f}% of it", CountText(count, "thread"), 100 * most / all));
    }
    if (freed > 0 && of_others >= kHandedOverShare * freed && others >= kThreadsShare * all) {
      Add(FactKind::kHandedOver, Ratio(of_others, freed),
          fmt::format("{:.0f}% of what was freed was freed by other threads than those that allocated it",
                      100 * of_others / freed));
    }
  }

  bool PassesThrough(CallKind kind) const {
    const CallBytes& call = sums_.calls[static_cast<size_t>(kind)];
    return call.bytes > 0 && Real(call.bytes) >= kCallShare * Real(line_.size);
  }

  void Calls() {
    for (const FactOfCall& known : kCallFacts) {
      if (!PassesThrough(known.call)) continue;
      const CallBytes& call = sums_.calls[static_cast<size_t>(known.call)];
      Add(known.fact, Ratio(Real(call.bytes), Real(line_.size)),
          fmt::format("{}: {}", known.text, CallText(call.example)));
    }
    // One that only makes or keeps a row is called by the one that has it from somewhere.
    for (size_t i = 0; i < std::min(line_.path.size(), kCallingFrames); ++i) {
      const auto of_function = context_.function_calls.find(FunctionKey(line_.path[i].file, line_.path[i].function));
      if (of_function == context_.function_calls.end()) continue;
      for (const FactOfCall& known : kFunctionFacts) {
        const CallBytes& call = of_function->second[static_cast<size_t>(known.call)];
        if (call.bytes < 0) continue;
        Add(known.fact, 1,
            fmt::format("{} {}: {}", i == 0 ? "the same function" : "the function that calls it", known.text,
                        CallText(call.example)));
      }
    }
    for (const FactOfCall& known : kProgramFacts) {
      const CallBytes& call = context_.program_calls[static_cast<size_t>(known.call)];
      if (call.bytes >= 0) Add(known.fact, 1, fmt::format("{}: {}", known.text, CallText(call.example)));
    }
  }

  // Whether the call gives what is under a key, and makes it if need be.
  bool FindsOrMakes(LocationId id) const {
    const std::string name = ShortFunctionName(context_.stacks.locations()[id].function);
    return name.ends_with("operator[]") || name.find("try_emplace") != name.npos;
  }

  void Containers() {
    const FactOfCall* best = nullptr;
    int64_t most = 0;
    for (const FactOfCall& known : kContainerFacts) {
      if (!PassesThrough(known.call)) continue;
      const int64_t bytes = sums_.calls[static_cast<size_t>(known.call)].bytes;
      if (bytes > most) most = bytes, best = &known;
    }
    if (best == nullptr) return;
    // tickets_of[id].push_back(ticket): the list is one of many, each under a key.
    const CallBytes& keyed = sums_.calls[static_cast<size_t>(CallKind::kKeyed)];
    if (best->call == CallKind::kSequence && keyed.bytes >= 0 && FindsOrMakes(keyed.example)) {
      best = std::ranges::find(kContainerFacts, CallKind::kKeyed, &FactOfCall::call);
    }
    const CallBytes& call = sums_.calls[static_cast<size_t>(best->call)];
    container_ = best;
    container_text_ = fmt::format("it goes {}: {}", best->text, CallText(call.example));
  }

  // The text of the line, and of those that called it until one says what becomes of the memory.
  void Statements() {
    Statement own;
    if (context_.statements != nullptr) {
      for (size_t i = 0; i < std::min(line_.path.size(), kNamingFrames); ++i) {
        const CodePlace& place = line_.path[i];
        const Statement statement = StatementAt(place);
        if (i == 0) own = statement, own_text_ = statement.text;
        if (context_.statements->IsMemoized(place.file, place.line, place.function)) {
          Add(FactKind::kMemoized, 1,
              fmt::format("a decorator keeps what {} gives ({})", Printable(ShortFunctionName(place.function)),
                          PlaceText(place.file, place.line)));
        }
        if (statement.container.empty() || IsRowName(statement.container)) continue;
        container_name_ = statement.container;
        container_kinds_ = statement.kinds & kContainers;
        const bool is_elsewhere = i > 0 || statement.container_line != place.line;
        if (is_elsewhere) {
          line_.keeper = CodePlace{.file = place.file, .line = statement.container_line, .function = place.function};
        }
        container_place_ = PlaceText(place.file, statement.container_line);
        if (context_.statements->IsLookUp(place.file, statement.container_line, container_name_)) {
          Add(FactKind::kLookedUp, 1,
              fmt::format("\"{}\" is asked first, and what is put there is given back", Printable(container_name_)));
        }
        break;
      }
      if (!line_.path.empty()) StatementCalls(own);
    }
    // A row is a container too, but not what keeps it.
    const bool is_row = !own.container.empty() && IsRowName(own.container);
    if (is_row) Add(FactKind::kNamedRow, 1, fmt::format("\"{}\" is one row", Printable(own.container)));
    // x[key].append(row), by its text.
    const bool under_key = container_ != nullptr && container_->call == CallKind::kSequence && !line_.keeper &&
                           !own.container.empty() && own.kinds.Has(CallKind::kKeyed);
    if (container_ != nullptr && !under_key && !(is_row && container_->call == CallKind::kKeyed)) {
      std::string text = container_text_;
      if (!container_name_.empty()) text += fmt::format(", \"{}\" ({})", Printable(container_name_), container_place_);
      Add(container_->fact, 1, std::move(text));
      return;
    }
    for (const FactOfCall& known : kContainerFacts) {
      if (!container_kinds_.Has(known.call)) continue;
      Add(known.fact, 1,
          fmt::format("it goes {}, \"{}\" ({})", known.text, Printable(container_name_), container_place_));
      break;
    }
  }

  // As it reads; but that a subscript of native code is a map's has to be seen on a stack.
  Statement StatementAt(const CodePlace& place) const {
    Statement statement = context_.statements->Read(place.file, place.line);
    if (!statement.by_subscript || place.file.ends_with(".py")) return statement;
    const auto calls = context_.function_calls.find(FunctionKey(place.file, place.function));
    const bool has_map =
        calls != context_.function_calls.end() && calls->second[static_cast<size_t>(CallKind::kKeyed)].bytes >= 0;
    if (!has_map) statement.kinds = (statement.kinds - CallKind::kKeyed) | statement.of_array;
    return statement;
  }

  void StatementCalls(const Statement& own) {
    const CodePlace& place = line_.path.front();
    const std::string where = PlaceText(place.file, place.line);
    for (const FactOfCall& known : kCallFacts) {
      if (own.kinds.Has(known.call)) Add(known.fact, 1, fmt::format("{}: {}", known.text, where));
    }
    const CallKinds around = own.kinds | context_.statements->Around(place.file, place.line);
    for (const FactOfCall& known : kFunctionFacts) {
      if (around.Has(known.call)) Add(known.fact, 1, fmt::format("the same function {}, by its text", known.text));
    }
    if (around.Has(CallKind::kPaged))
      Add(FactKind::kPaged, 1, "the same function asks for a part of the rows at a time");
  }

  // "Cache::Get" of "ns::Cache<int>::Get(int)", "TicketCache.get" of "TicketCache.get.<locals>.<listcomp>".
  static std::string NameOfFunction(std::string_view function) {
    function = function.substr(0, function.find(".<locals>.<"));
    return ShortFunctionName(function);
  }

  void Names() {
    std::vector<std::pair<std::string, std::string>> words;  // and what each is a word of
    const auto add = [&](std::string_view name) {
      for (std::string& word : WordsOf(name)) words.emplace_back(std::move(word), std::string(name));
    };
    add(container_name_);
    for (size_t i = 0; i < std::min(line_.path.size(), kNamingFrames); ++i) {
      add(NameOfFunction(line_.path[i].function));
    }
    for (const NamedFact& named : NamedFacts()) {
      for (const auto& [word, name] : words) {
        if (std::ranges::find(named.words, word) == named.words.end()) continue;
        Add(named.fact, 1, fmt::format("the name \"{}\" points to {}", Printable(name), named.noun));
        break;
      }
    }
    // What a statement calls is not what it is, but who asks for pages asks for pages.
    for (const std::string& word : WordsOf(own_text_)) {
      if (word == "page" || word == "batch" || word == "chunk")
        Add(FactKind::kNamedPage, 1, "the line asks for a page");
    }
  }

  const FactContext& context_;
  const LineSums& sums_;
  const Verdict& verdict_;
  const LineSeries& series_;
  LineEvidence& line_;
  bool of_limit_ = false;
  const FactOfCall* container_ = nullptr;  // as the stacks say
  std::string container_text_;
  CallKinds container_kinds_;  // as the text says
  std::string container_name_, container_place_, own_text_;
};

}  // namespace

std::string FunctionKey(std::string_view file, std::string_view function) {
  for (const std::string_view inner : {".<locals>.<", "::{lambda", "::<lambda"}) {
    function = function.substr(0, function.find(inner));
  }
  return fmt::format("{}\n{}", file, function);
}

void FindFacts(const FactContext& context, const LineSums& sums, const Verdict& verdict, const LineSeries& series,
               LineEvidence* line) {
  FactFinder(context, sums, verdict, series, line).Find();
}

}  // namespace allocline
