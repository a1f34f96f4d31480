#include "report/render_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "report/escape.h"
#include "report/function_name.h"
#include "report/group_json.h"
#include "report/group_names.h"
#include "report/notes.h"
#include "report/path_text.h"
#include "report/size_text.h"
#include "report/summary_json.h"
#include "report/verdict.h"

namespace allocline {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostFurtherLines = 5;
constexpr size_t kMostPathShown = 4;
constexpr size_t kWidth = 110;  // of the fix's sentences

class ExplanationText {
 public:
  ExplanationText(const Profile& profile, const Explanation& explanation, bool full_paths)
      : explanation_(explanation), names_(profile, nullptr, full_paths, LineOf::kUser), full_paths_(full_paths) {
    short_names_.Add(profile.stacks());
    short_names_.Finish();
  }

  std::string Judged() const {
    const Evidence& evidence = explanation_.evidence;
    std::string text = fmt::format("judged:   {}", evidence.moment.text);
    if (evidence.moment.elapsed_ns > 0) {
      text += fmt::format(", {:.1f} s after the start", static_cast<double>(evidence.moment.elapsed_ns) / 1e9);
    }
    text += fmt::format(": {} live", SizeText(evidence.moment.live_bytes));
    text += evidence.limit_bytes > 0 ? fmt::format("; the limit is {}", SizeText(evidence.limit_bytes))
                                     : "; no limit is known, --limit gives one";
    text += "\n";
    if (evidence.no_line_bytes > 0 && evidence.no_line_bytes > evidence.own_bytes / 4) {
      text += fmt::format(
          "note:     {} are in code of the program without line numbers, where nothing can be found: build it with "
          "-g\n",
          SizeText(evidence.no_line_bytes));
    }
    return text;
  }

  std::string Figures(const LineEvidence& line) const {
    std::string text = fmt::format("{}: size={}", names_.Name(line.group), SizeText(line.size));
    if (line.size_error > 0) text += fmt::format(" ±{}", SizeText(line.size_error));
    return text + fmt::format(", count={}, average={}", line.count, SizeText(line.average()));
  }

  std::string Text(const Finding& finding, size_t number) const {
    const LineEvidence& line = finding.line();
    const CauseText& cause = TextOf(finding.judgement.cause);
    std::string text = fmt::format("{}. {}\n   {}\n", number, cause.title, Figures(line));
    const Sections sections = SectionsOf(finding);
    for (const auto& [title, rows] : sections) {
      for (size_t i = 0; i < rows.size(); ++i) {
        text += fmt::format("   {:<6}{}\n", i == 0 ? fmt::format("{}:", title) : "", rows[i]);
      }
    }
    return text;
  }

  std::string NothingFound() const {
    const Evidence& evidence = explanation_.evidence;
    const LineEvidence* largest = explanation_.largest;
    std::string text = "no finding: ";
    switch (explanation_.reason) {
      case NoFinding::kThereIsOne:
        return "";
      case NoFinding::kNothingRecorded:
        return text +
               (evidence.totals_only ? "the recording has totals only, and no lines\n" : "no memory is on any line\n");
      case NoFinding::kNoOwnLines:
        return text +
               fmt::format(
                   "{} are live, of which {} on lines of the program's own code; --user-path says what is its own\n",
                   SizeText(evidence.moment.live_bytes), SizeText(evidence.own_bytes));
      case NoFinding::kLittle:
        return text + (largest == nullptr
                           ? "no line of the program's own holds memory that matters\n"
                           : fmt::format("no line holds memory that matters; most of the program's own lines has\n{}\n",
                                         Figures(*largest)));
      case NoFinding::kGivenBack:
        return text + fmt::format("the line that holds most gives it back as it goes\n{}\n{}\n", Figures(*largest),
                                  largest->Find(FactKind::kGivenBack)->text);
      case NoFinding::kNoCause:
        return text +
               fmt::format("the line that holds most shows none of the documented causes\n{}\n", Figures(*largest));
    }
    return "";
  }

  std::string OneLine(const Finding& finding) const {
    const int64_t live = explanation_.evidence.moment.live_bytes;
    return fmt::format("{}: {} ({} of what was live)", names_.Name(finding.line().group),
                       TextOf(finding.judgement.cause).title,
                       PercentText(std::clamp<int64_t>(finding.size, 0, live), live));
  }

 private:
  using Section = std::pair<std::string_view, std::vector<std::string>>;
  using Sections = std::vector<Section>;

  std::string Place(const CodePlace& place) const {
    const std::string_view file = full_paths_ ? place.file : short_names_.Short(place.file);
    return fmt::format("{}:{}", Printable(file), place.line);
  }

  Sections SectionsOf(const Finding& finding) const {
    const LineEvidence& line = finding.line();
    Sections sections;
    std::vector<std::string> also;
    for (size_t i = 1; i < finding.lines.size() && i <= kMostFurtherLines; ++i)
      also.push_back(Figures(*finding.lines[i]));
    if (finding.lines.size() > kMostFurtherLines + 1) {
      also.push_back(fmt::format("{} more", CountText(finding.lines.size() - 1 - kMostFurtherLines, "line")));
    }
    if (!also.empty()) sections.emplace_back("also", std::move(also));
    sections.emplace_back("why", Reasons(finding));
    if (!line.path.empty()) sections.emplace_back("path", std::vector<std::string>{PathOf(line)});
    sections.emplace_back("fix", Wrapped(TextOf(finding.judgement.cause).fix));
    if (finding.runner_up) {
      sections.emplace_back("or", std::vector<std::string>{RunnerUp(finding)});
    }
    return sections;
  }

  // How much and for how long, whatever the cause; and the facts it rests on.
  static std::vector<std::string> Reasons(const Finding& finding) {
    std::vector<std::string> reasons;
    for (const Fact& fact : finding.line().facts) {
      const bool of_all = fact.kind <= FactKind::kGoneLater;
      if (fact.text.empty() || !(of_all || Supports(finding.judgement.cause, fact.kind))) continue;
      reasons.push_back(fact.text);
    }
    return reasons;
  }

  std::string PathOf(const LineEvidence& line) const {
    std::string text;
    for (size_t i = 0; i < line.path.size() && i < kMostPathShown; ++i) {
      const std::string function = Printable(ShortFunctionName(line.path[i].function));
      text +=
          fmt::format("{}{}{}", i == 0 ? "" : " < ", function.empty() ? "" : function + " at ", Place(line.path[i]));
    }
    return text + (line.path.size() > kMostPathShown ? " < ..." : "");
  }

  static std::string RunnerUp(const Finding& finding) {
    std::string text(TextOf(finding.runner_up->cause).title);
    std::string for_it;
    for (const Fact& fact : finding.line().facts) {
      const bool only = Supports(finding.runner_up->cause, fact.kind) && !Supports(finding.judgement.cause, fact.kind);
      if (!only || fact.text.empty()) continue;
      for_it += (for_it.empty() ? "" : "; ") + fact.text;
    }
    return for_it.empty() ? text + ": the same facts speak for it nearly as well"
                          : fmt::format("{}, for which speaks: {}", text, for_it);
  }

  static std::vector<std::string> Wrapped(std::string_view text) {
    std::vector<std::string> rows;
    while (text.size() > kWidth) {
      const size_t space = text.rfind(' ', kWidth);
      if (space == text.npos) break;
      rows.emplace_back(text.substr(0, space));
      text.remove_prefix(space + 1);
    }
    rows.emplace_back(text);
    return rows;
  }

  const Explanation& explanation_;
  GroupNames names_;
  FileNames short_names_;
  const bool full_paths_;
};

Json PlaceJson(const CodePlace& place) {
  return {{"file", TextJson(place.file)}, {"line", place.line}, {"function", TextOrNullJson(place.function)}};
}

Json LineJson(const LineEvidence& line) {
  Json json = GroupJson(line.group);
  json["size"] = line.size;
  json["count"] = line.count;
  json["average"] = line.average();
  json["size_error"] = line.size_error;
  json["total_bytes"] = line.total_bytes;
  json["total_blocks"] = line.total_blocks;
  json["cost_bytes"] = line.cost_bytes;
  Json facts = Json::array();
  for (const Fact& fact : line.facts) {
    facts.push_back({{"fact", FactName(fact.kind)},
                     {"value", fact.value},
                     {"text", fact.text.empty() ? Json(nullptr) : TextJson(fact.text)}});
  }
  json["facts"] = std::move(facts);
  Json path = Json::array();
  for (const CodePlace& place : line.path) path.push_back(PlaceJson(place));
  json["path"] = std::move(path);
  json["keeper"] = line.keeper ? PlaceJson(*line.keeper) : Json(nullptr);
  return json;
}

Json JudgementJson(const Judgement& judgement) {
  return {{"cause", TextOf(judgement.cause).name},
          {"title", TextOf(judgement.cause).title},
          {"score", std::min(1.0, std::round(judgement.score * 100) / 100)}};
}

Json FindingJson(const Finding& finding) {
  Json json = JudgementJson(finding.judgement);
  json["fix"] = TextOf(finding.judgement.cause).fix;
  json["size"] = finding.size;
  json["cost_bytes"] = finding.cost_bytes;
  json["runner_up"] = finding.runner_up ? JudgementJson(*finding.runner_up) : Json(nullptr);
  Json lines = Json::array();
  for (const LineEvidence* line : finding.lines) lines.push_back(LineJson(*line));
  json["lines"] = std::move(lines);
  return json;
}

}  // namespace

std::string RenderExplanation(const Profile& profile, const Explanation& explanation,
                              const ExplainTextOptions& options) {
  const ExplanationText writer(profile, explanation, options.full_paths);
  std::string text = writer.Judged() + "\n";
  if (explanation.findings.empty()) return text + writer.NothingFound();
  for (size_t i = 0; i < std::min(options.limit, explanation.findings.size()); ++i) {
    text += (i > 0 ? "\n" : "") + writer.Text(explanation.findings[i], i + 1);
  }
  if (explanation.findings.size() > options.limit) {
    text += fmt::format("{} more\n", CountText(explanation.findings.size() - options.limit, "finding"));
  }
  return text;
}

std::string RenderFirstFinding(const Profile& profile, const Explanation& explanation) {
  if (explanation.findings.empty()) return "";
  return ExplanationText(profile, explanation, /*full_paths=*/false).OneLine(explanation.findings.front());
}

std::string RenderExplanationJson(const Profile& profile, const Explanation& explanation, size_t limit) {
  const Evidence& evidence = explanation.evidence;
  Json findings = Json::array();
  for (size_t i = 0; i < std::min(limit, explanation.findings.size()); ++i) {
    findings.push_back(FindingJson(explanation.findings[i]));
  }
  const bool found = !explanation.findings.empty();
  const Json document = {
      {"schema", "allocline.explain/1"},
      {"profile", ProfileJson(profile, LineOf::kUser)},
      {"moment",
       {{"at_peak", evidence.moment.at_peak},
        {"text", TextJson(evidence.moment.text)},
        {"elapsed_ns", KnownOrNull(evidence.moment.elapsed_ns)},
        {"live_bytes", evidence.moment.live_bytes}}},
      {"limit_bytes", KnownOrNull(evidence.limit_bytes)},
      {"own_bytes", evidence.own_bytes},
      {"no_line_bytes", evidence.no_line_bytes},
      {"library_bytes", evidence.library_bytes},
      {"count", explanation.findings.size()},
      {"findings", std::move(findings)},
      {"no_finding", found ? Json(nullptr) : Json(NoFindingName(explanation.reason))},
      {"largest", found || explanation.largest == nullptr ? Json(nullptr) : LineJson(*explanation.largest)}};
  return document.dump(2) + "\n";
}

}  // namespace allocline
