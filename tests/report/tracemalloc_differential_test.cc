// Random traces, asked of CPython's own tracemalloc and of ours: every answer must be the same, byte for byte.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "report/diff.h"
#include "report/filter.h"
#include "report/fnmatch.h"
#include "report/size_text.h"
#include "report/statistics.h"
#include "report/traceback.h"
#include "tests/report/traces.h"
#include "tests/support/paths.h"

namespace allocline {
namespace {

// The same commands to python_reference.py and to ours.
class Dialogue {
 public:
  explicit Dialogue(uint32_t seed) : random_(seed) {}

  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  template <typename T>
  const T& OneOf(const std::vector<T>& choices) {
    return choices[Below(static_cast<uint32_t>(choices.size()))];
  }
  bool Coin() { return Below(2) == 1; }

  template <typename... Fields>
  void Ask(std::string_view command, const Fields&... fields) {
    questions_ << command;
    ((questions_ << '\t' << fields), ...);
    questions_ << '\n';
  }
  void Answer(std::string_view line) { answers_ << line << '\n'; }
  template <typename Item>
  void AnswerAll(const std::vector<Item>& items) {
    for (const Item& item : items) {
      Answer(Str(item));
      Answer(Repr(item));
    }
  }

  void Compare() const {
    std::string ours = answers_.str(), theirs = AskPython();
    if (ours == theirs) return;
    std::istringstream our_lines(ours), their_lines(theirs);
    std::string our_line, their_line;
    for (int number = 1;; ++number) {
      bool more = static_cast<bool>(std::getline(our_lines, our_line));
      more |= static_cast<bool>(std::getline(their_lines, their_line));
      if (!more || our_line != their_line) {
        FAIL() << "answer " << number << "\n  ours:   " << our_line << "\n  theirs: " << their_line << "\nquestions:\n"
               << questions_.str();
      }
    }
  }

 private:
  std::string AskPython() const {
    const std::string script = testing::SourceDir() + "/tests/report/python_reference.py";
    std::string file = ::testing::TempDir() + "allocline_questions_" + std::to_string(getpid()) + ".txt";
    std::ofstream(file, std::ios::binary) << questions_.str();
    std::string command = "python3 -I -S '" + script + "' < '" + file + "'";
    std::string output;
    FILE* pipe = popen(command.c_str(), "r");
    char buffer[65536];
    for (size_t got; pipe != nullptr && (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, got);
    EXPECT_EQ(pipe == nullptr ? -1 : pclose(pipe), 0) << "python_reference.py failed";
    std::filesystem::remove(file);
    return output;
  }

  std::mt19937 random_;
  std::ostringstream questions_, answers_;
};

class TracemallocDifferentialTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (std::system("python3 -I -S -c 'import tracemalloc' >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "python3 with tracemalloc is not installed";
    }
  }

  // Few names, few lines and few sizes, so that groups meet, tie and recur.
  std::vector<Trace> RandomTraces(Dialogue& dialogue) {
    const std::vector<std::string> kFiles = {"a.py",       "b.py", "a.pyc",       "dir/a.py",   "<unknown>",
                                             "it's \"x\"", "é.py", "/lib/a/b.py", "back\\slash"};
    std::vector<Trace> traces(dialogue.Below(60));
    dialogue.Ask("snapshot");
    for (Trace& trace : traces) {
      trace.domain = dialogue.Below(3);
      trace.size = dialogue.Below(4) == 0 ? dialogue.Below(20'000'000) : dialogue.Below(4) * 10;
      trace.frames.resize(1 + dialogue.Below(5));
      std::ostringstream frames;
      for (auto& [file, line] : trace.frames) {
        file = dialogue.OneOf(kFiles);
        line = dialogue.Below(3) * (dialogue.Coin() ? 1 : 10);
        frames << '\t' << file << '\t' << line;
      }
      dialogue.Ask("trace", trace.domain, std::to_string(trace.size) + frames.str());
    }
    return traces;
  }

  void CompareStatistics(Dialogue& dialogue, const std::vector<Profile>& profiles, size_t index) {
    for (const char* key : {"lineno", "filename", "traceback"}) {
      for (bool cumulative : {false, true}) {
        if (cumulative && std::string_view(key) == "traceback") continue;
        dialogue.Ask("statistics", index, key, cumulative);
        dialogue.AnswerAll(Statistics(profiles[index], key, cumulative).value());
        size_t old = dialogue.Below(static_cast<uint32_t>(profiles.size()));
        dialogue.Ask("compare", index, old, key, cumulative);
        dialogue.AnswerAll(CompareTo(profiles[index], profiles[old], key, cumulative).value());
      }
    }
  }
};

TEST_P(TracemallocDifferentialTest, StatisticsAndDifferencesOfFilteredTracesAreTheSame) {
  const std::vector<std::string> kPatterns = {"a.py",  "*.py",  "b.pyc", "?.py",      "*",     "",
                                              "[ab]*", "[!a]*", "é*",    "*/[ab].py", "<unk*", "*\\*"};
  Dialogue dialogue(GetParam());
  std::vector<Profile> profiles;
  for (int i = 0; i < 6; ++i) profiles.push_back(ProfileOfTraces(RandomTraces(dialogue)));
  for (int i = 0; i < 12; ++i) {
    size_t base = dialogue.Below(static_cast<uint32_t>(profiles.size()));
    std::vector<Filter> filters;
    std::ostringstream fields;
    for (uint32_t count = dialogue.Below(4); count > 0; --count) {
      bool inclusive = dialogue.Coin(), all_frames = dialogue.Coin();
      std::optional<uint32_t> line, domain;
      if (dialogue.Below(3) == 0) line = dialogue.Below(3);
      if (dialogue.Below(3) == 0) domain = dialogue.Below(3);
      bool by_domain = dialogue.Below(5) == 0;
      if (by_domain && !domain) domain = 0;
      std::string pattern = dialogue.OneOf(kPatterns);
      filters.push_back(by_domain ? DomainFilter(inclusive, *domain)
                                  : FileFilter(inclusive, pattern, line, all_frames, domain));
      fields << '\t' << inclusive << '\t' << (by_domain ? "-" : pattern) << '\t' << (line ? std::to_string(*line) : "-")
             << '\t' << all_frames << '\t' << (domain ? std::to_string(*domain) : "-");
    }
    dialogue.Ask("filter", std::to_string(base) + fields.str());
    profiles.push_back(FilterProfile(profiles[base], filters, LineOf::kInnermost));
  }
  for (size_t index = 0; index < profiles.size(); ++index) CompareStatistics(dialogue, profiles, index);
  dialogue.Compare();
}

TEST_P(TracemallocDifferentialTest, FilePatternsMatchTheSameTexts) {
  Dialogue dialogue(GetParam());
  // What patterns and texts are made of: everything special to fnmatch or to the regular expression behind it, a
  // letter of several bytes, and bytes that are no letter.
  const std::vector<std::string> kPieces = {"a",  "b",  "c",  "z",    "*",        "?",  "[", "]",   "!",
                                            "^",  "-",  "\\", "/",    "&",        "~",  "|", "[a-", "[!",
                                            "[^", "-]", "é",  "\xff", "\xe2\x82", "--", "&&"};
  for (int i = 0; i < 3000; ++i) {
    std::string pattern, text;
    for (uint32_t n = dialogue.Below(9); n > 0; --n) pattern += dialogue.OneOf(kPieces);
    for (uint32_t n = dialogue.Below(5); n > 0; --n) text += dialogue.OneOf(kPieces);
    if (dialogue.Coin()) text = text.substr(0, 1);
    dialogue.Ask("fnmatch", pattern, text);
    dialogue.Answer(Fnmatch(pattern, text) ? "True" : "False");
  }
  dialogue.Compare();
}

TEST_P(TracemallocDifferentialTest, SizesPrintTheSame) {
  Dialogue dialogue(GetParam());
  for (int i = 0; i < 2000; ++i) {
    int64_t size = int64_t{dialogue.Below(1u << 30)} << dialogue.Below(24);
    if (dialogue.Coin()) size = (int64_t{100} << (10 * dialogue.Below(5))) * (dialogue.Coin() ? 1 : 1024 / 10);
    size += static_cast<int64_t>(dialogue.Below(5)) - 2;
    size >>= dialogue.Below(3) * 7;
    if (dialogue.Coin()) size = -size;
    dialogue.Ask("size", size);
    dialogue.Answer(SizeText(static_cast<double>(size)));
    dialogue.Answer(SignedSizeText(static_cast<double>(size)));
    uint32_t count = 1 + dialogue.Below(64);
    std::ostringstream average;  // as Python reads it back
    average.precision(17);
    average << std::showpoint << static_cast<double>(size) / count;
    dialogue.Ask("size", average.str());
    dialogue.Answer(SizeText(static_cast<double>(size) / count));
    dialogue.Answer(SignedSizeText(static_cast<double>(size) / count));
  }
  dialogue.Compare();
}

TEST_P(TracemallocDifferentialTest, TracebacksFormatTheSame) {
  Dialogue dialogue(GetParam());
  std::string source = ::testing::TempDir() + "allocline_source_" + std::to_string(getpid()) + ".py";
  std::ofstream(source, std::ios::binary) << "one\n  two \r\n\n\tvier # \xc3\xa9\rfive\nno newline";
  std::vector<Trace> traces(8);
  dialogue.Ask("snapshot");
  for (Trace& trace : traces) {
    std::ostringstream frames;
    trace.frames.resize(1 + dialogue.Below(6));
    for (auto& [file, line] : trace.frames) {
      file = dialogue.Below(4) == 0 ? "/no/such/file.py" : source;
      line = dialogue.Below(9);
      frames << '\t' << file << '\t' << line;
    }
    dialogue.Ask("trace", 0, "1" + frames.str());
  }
  for (int limit = -7; limit <= 8; ++limit) {
    for (bool most_recent_first : {false, true}) {
      std::optional<int> asked = limit == 8 ? std::nullopt : std::optional(limit);
      dialogue.Ask("format", 0, asked ? std::to_string(*asked) : "-", most_recent_first);
      for (const Trace& trace : traces) {
        Profile profile = ProfileOfTraces({trace});
        std::string text;
        for (const std::string& line :
             Traceback(profile.stacks(), profile.sites()[0].stack).Format(asked, most_recent_first)) {
          text += (text.empty() ? "" : "\n") + line;
        }
        dialogue.Answer(text);
      }
    }
  }
  dialogue.Compare();
  std::filesystem::remove(source);
}

INSTANTIATE_TEST_SUITE_P(Seed, TracemallocDifferentialTest, ::testing::Values(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u));

}  // namespace
}  // namespace allocline
