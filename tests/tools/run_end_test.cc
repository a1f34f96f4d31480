// How a run ended, from what is left of it: the exit code, the cgroup's count of kills, what the processes noted.
#include "tools/run_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"
#include "tools/connector_log.h"
#include "tools/process_table.h"

namespace allocline::testing {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr ChildEnd kSigkill = {.code = 0, .signal = SIGKILL};
constexpr ChildEnd kShellSawSigkill = {.code = 137, .signal = 0};
constexpr ChildEnd kFailed = {.code = 1, .signal = 0};

ContainerEvidence Killed(uint64_t before, uint64_t now, uint64_t usage = 1022 * kMebibyte) {
  return {.was_killed = true,
          .kills_before = before,
          .kills_now = now,
          .usage_bytes = usage,
          .limit_bytes = 1024 * kMebibyte,
          .ended_itself = false};
}
ContainerEvidence Lived(uint64_t before, uint64_t now) {
  ContainerEvidence evidence = Killed(before, now);
  evidence.was_killed = false;
  return evidence;
}
ContainerVerdict Judged(const ChildEnd& end, std::vector<ContainerEvidence> evidence) {
  return Judge(end, evidence, KillCounts(), KillCounts());
}
ContainerDeed DeedOf(const ChildEnd& end, std::vector<ContainerEvidence> evidence) {
  return Judged(end, std::move(evidence)).deed;
}

TEST(RunEndTest, AKillThatTheContainerCountedIsTheContainers) {
  EXPECT_EQ(DeedOf(kSigkill, {Killed(3, 4)}), ContainerDeed::kKilled);
  EXPECT_EQ(DeedOf(kShellSawSigkill, {Killed(0, 1)}), ContainerDeed::kKilled);
  EXPECT_EQ(DeedOf(kFailed, {Lived(0, 1), Killed(0, 1)}), ContainerDeed::kKilled) << "of a worker";
}

TEST(RunEndTest, AKillThatItDidNotCountIsNot) {
  EXPECT_EQ(DeedOf(kSigkill, {Killed(3, 3)}), ContainerDeed::kNone) << "though it was full";
  EXPECT_EQ(DeedOf(kSigkill, {}), ContainerDeed::kNone);
  EXPECT_EQ(DeedOf(kFailed, {Lived(0, 1)}), ContainerDeed::kNone) << "another in the container was killed";
  EXPECT_EQ(DeedOf(kSigkill, {Killed(4, 3)}), ContainerDeed::kNone) << "another group at its place";
}

TEST(RunEndTest, WhereNothingIsCountedAFullContainerIsSuspect) {
  constexpr uint64_t kNo = format::kNotCounted;
  EXPECT_EQ(DeedOf(kSigkill, {Killed(kNo, kNo)}), ContainerDeed::kLikelyKilled);
  EXPECT_EQ(DeedOf(kSigkill, {Killed(0, kNo)}), ContainerDeed::kLikelyKilled);
  EXPECT_EQ(DeedOf(kShellSawSigkill, {Killed(kNo, kNo)}), ContainerDeed::kLikelyKilled);
  EXPECT_EQ(DeedOf(kSigkill, {Killed(kNo, kNo, 500 * kMebibyte)}), ContainerDeed::kNone);
  EXPECT_EQ(DeedOf(kFailed, {Killed(kNo, kNo)}), ContainerDeed::kNone);
  ContainerEvidence without_limit = Killed(kNo, kNo);
  without_limit.limit_bytes = 0;
  EXPECT_EQ(DeedOf(kSigkill, {without_limit}), ContainerDeed::kNone);
}

TEST(RunEndTest, AProcessThatEndedItselfAtTheLimitSaysSo) {
  ContainerEvidence evidence = Killed(0, 0);
  evidence.ended_itself = true;
  EXPECT_EQ(DeedOf(kSigkill, {Lived(0, 0), evidence}), ContainerDeed::kGivenLimit);
}

TEST(RunEndTest, TheVictimIsTheFirstThatWasKilled) {
  EXPECT_EQ(Judged(kSigkill, {Lived(0, 1), Killed(0, 1), Killed(0, 1)}).victim, 1u);
}

TEST(RunEndTest, TheTextNamesTheFiguresAndAVictimThatIsNotTheProgram) {
  const ContainerVerdict verdict = Judged(kSigkill, {Killed(0, 1)});
  EXPECT_EQ(EndText(kSigkill, 1'500'000'000, verdict, ""),
            "was killed by the container's OOM killer at 1022 of 1024 MiB");
  EXPECT_EQ(EndText(kFailed, 1'500'000'000, verdict, "worker (pid 7)"),
            "exited with 1 after 1.5 s; worker (pid 7) was killed by the container's OOM killer at 1022 of 1024 MiB");
  EXPECT_EQ(EndText(kSigkill, 1'500'000'000, {}, ""), "was ended by signal 9 (SIGKILL) after 1.5 s");
  EXPECT_EQ(EndText(kFailed, 50'000'000, {}, ""), "exited with 1 after 0.1 s");
}

// Pages that were touched without a call that the tracer sees.
TEST(RunEndTest, HowFullItWasIsWhatTheKernelCounted) {
  ContainerEvidence evidence = Killed(0, 1, 173 * kMebibyte);
  evidence.at_most = {.usage_bytes = 1023 * kMebibyte, .limit_bytes = 1024 * kMebibyte, .found = true};
  EXPECT_EQ(Judged(kSigkill, {Lived(0, 1), evidence}).usage_bytes, 1023 * kMebibyte);
  evidence.kills_now = 0;
  evidence.ended_itself = true;
  EXPECT_EQ(Judged(kSigkill, {evidence}).usage_bytes, 173 * kMebibyte) << "not the kernel's deed";
}

// A group of version 2 with a limit, and one in it that a recorded process was killed in.
class EvidenceTest : public ::testing::Test {
 protected:
  void Write(const std::string& file, const std::string& content) {
    std::filesystem::create_directories(group_);
    std::ofstream(group_ + file) << content << "\n";
  }
  format::FileHeader Header() const {
    format::FileHeader header = {};
    header.pid = UINT32_MAX;  // of nobody
    header.container_version = 2;
    header.container_usage_bytes = 173 * kMebibyte;
    header.container_limit_bytes = 256 * kMebibyte;
    strcpy(header.container_path, group_.c_str());
    return header;
  }

  TempDir root_;
  const std::string group_ = root_.path() + "/pod/inner";
};

TEST_F(EvidenceTest, AfterAKillTheGroupsAreAskedForTheirCountAndTheirPeak) {
  Write("/memory.max", "max");
  Write("/memory.peak", std::to_string(255 * kMebibyte));
  Write("/memory.events", "oom 1\noom_kill 1");
  Write("/../memory.max", std::to_string(256 * kMebibyte));
  Write("/../memory.peak", std::to_string(256 * kMebibyte));
  const ContainerEvidence evidence = EvidenceOf(Header());
  EXPECT_TRUE(evidence.was_killed);
  EXPECT_EQ(evidence.kills_now, 1u);
  EXPECT_EQ(EndText(kSigkill, 0, Judged(kSigkill, {evidence}), ""),
            "was killed by the container's OOM killer at 256 of 256 MiB");
}

TEST_F(EvidenceTest, WithoutAPeakItIsWhatTheProcessSawLast) {
  Write("/memory.events", "oom 1\noom_kill 1");
  EXPECT_EQ(EndText(kSigkill, 0, Judged(kSigkill, {EvidenceOf(Header())}), ""),
            "was killed by the container's OOM killer at 173 of 256 MiB");
}

TEST_F(EvidenceTest, AGroupThatIsGoneCountsNothing) {
  const ContainerEvidence evidence = EvidenceOf(Header());
  EXPECT_EQ(evidence.kills_now, format::kNotCounted);
  EXPECT_FALSE(evidence.at_most.found);
}

// ---------------------------------------------------------------- without a recording

class KillCountsTest : public ::testing::Test {
 protected:
  // Of a group below the machine's; `events` is the file that counts, of the group or of one below it.
  void WriteV1(const std::string& group, int kills) {
    const std::string directory = "/sys/fs/cgroup/memory/pod/" + group;
    Write("/proc/self/cgroup", "5:memory:/pod\n0::/\n");
    Write("/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
    Write("/sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "900\n");
    Write("/sys/fs/cgroup/memory/pod/memory.limit_in_bytes", limit_);
    Write(directory + "/memory.oom_control",
          "oom_kill_disable 0\nunder_oom 0\noom_kill " + std::to_string(kills) + "\n");
  }
  void WriteV2(int kills) {
    Write("/proc/self/cgroup", "0::/pod\n");
    Write("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    Write("/sys/fs/cgroup/pod/memory.current", "900\n");
    Write("/sys/fs/cgroup/pod/memory.max", limit_);
    Write("/sys/fs/cgroup/pod/memory.events", "low 0\noom 3\noom_kill " + std::to_string(kills) + "\n");
  }
  KillCounts Read() const { return KillCounts::Read(root_.path().c_str()); }
  void Write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = root_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }

  TempDir root_;
  std::string limit_ = "67108864\n";
};

TEST_F(KillCountsTest, AKillThatOurGroupCountedIsTheContainersWithoutAnyRecording) {
  WriteV2(2);
  const KillCounts before = Read();
  EXPECT_EQ(Judge(kSigkill, {}, before, Read()).deed, ContainerDeed::kNone);
  WriteV2(3);
  const ContainerVerdict verdict = Judge(kSigkill, {}, before, Read());
  EXPECT_EQ(verdict.deed, ContainerDeed::kKilled);
  EXPECT_EQ(verdict.victim, std::nullopt);
  EXPECT_EQ(EndText(kSigkill, 0, verdict, ""), "was killed by the container's OOM killer, whose limit is 64 MiB");
  EXPECT_EQ(Judge(kShellSawSigkill, {}, before, Read()).deed, ContainerDeed::kKilled);
  EXPECT_EQ(Judge(kFailed, {}, before, Read()).deed, ContainerDeed::kNone) << "it ended by itself";
}

TEST_F(KillCountsTest, OfVersion1AGroupBelowCountsToo) {
  WriteV1("", 5);
  const KillCounts before = Read();
  WriteV1("made/by/the/program", 0);
  EXPECT_FALSE(Read().RoseSince(before));
  WriteV1("made/by/the/program", 1);
  EXPECT_TRUE(Read().RoseSince(before));
  WriteV1("", 6);
  EXPECT_TRUE(Read().RoseSince(before));
  EXPECT_FALSE(Read().RoseSince(Read()));
}

TEST_F(KillCountsTest, WithoutALimitWhatIsBelowAreOthersContainers) {
  limit_ = "9223372036854771712\n";
  WriteV1("", 5);
  const KillCounts before = Read();
  WriteV1("neighbour", 1);
  EXPECT_FALSE(Read().RoseSince(before));
}

TEST_F(KillCountsTest, WhereThereIsNoGroupNothingRises) { EXPECT_FALSE(Read().RoseSince(KillCounts())); }

TEST(ConnectorLogTest, EachMessageIsOneLineOfJson) {
  EXPECT_EQ(
      LogLine(LogLevel::kSevere, "a \"b\"\nc\xff"),
      "{\"level\":\"SEVERE\",\"message\":\"a \\\"b\\\"\\nc\xEF\xBF\xBD\",\"message-origin\":\"sdk_connector\"}\n");
  EXPECT_EQ(LogLines(LogLevel::kInfo, "one\n\ntwo\n"),
            "{\"level\":\"INFO\",\"message\":\"one\",\"message-origin\":\"sdk_connector\"}\n"
            "{\"level\":\"INFO\",\"message\":\"two\",\"message-origin\":\"sdk_connector\"}\n");
  EXPECT_EQ(LogLines(LogLevel::kInfo, ""), "");
}

TEST(ProcessTableTest, WhatIsNotShownIsSummedAndAllIs) {
  const std::vector<ProcessRow> rows = {{.program = "connector",
                                         .pid = 10,
                                         .end = "killed",
                                         .live_bytes = 100 << 20,
                                         .peak_bytes = 120 << 20,
                                         .rss_bytes = 130 << 20,
                                         .leading_line = "a.cc:1: size=99 MiB"},
                                        {.program = "worker",
                                         .pid = 11,
                                         .end = "running",
                                         .live_bytes = 20 << 20,
                                         .peak_bytes = 20 << 20,
                                         .rss_bytes = 0,
                                         .leading_line = ""},
                                        {.program = "worker",
                                         .pid = 12,
                                         .end = "exited",
                                         .live_bytes = 1 << 20,
                                         .peak_bytes = 5 << 20,
                                         .rss_bytes = 30 << 20,
                                         .leading_line = ""}};
  EXPECT_EQ(RenderProcessTable(rows, 2),
            "  process         pid  end           live      peak       RSS\n"
            "  connector        10  killed     100 MiB   120 MiB   130 MiB  a.cc:1: size=99 MiB\n"
            "  worker           11  running   20.0 MiB  20.0 MiB         -\n"
            "  1 others                       1024 KiB  5120 KiB  30.0 MiB\n"
            "  all 3                           121 MiB   145 MiB   160 MiB\n");
}

}  // namespace
}  // namespace allocline::testing
