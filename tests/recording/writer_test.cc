// The recording as the tracer writes it, seen through the reader.
#include "recording/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "recording/reader.h"
#include "recording/variable_records.h"
#include "tests/support/temp_dir.h"

namespace allocline {
namespace {

using format::TableKind;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Modules = std::vector<RecordedModule>;

RecordedModule Module(const char* path) { return {.start = 0x1000, .end = 0x2000, .path = path}; }

class WriterTest : public ::testing::Test {
 protected:
  void Open(RecordingWriter& writer) {
    ASSERT_TRUE(writer.Open({.directory = directory_.path().c_str(),
                             .name = "path/to/program",
                             .program = "/bin/program",
                             .run_id = 7,
                             .flags = format::kFlagMmapDomain}));
  }
  static Recording Read(const std::string& path) {
    absl::StatusOr<Recording> recording = Recording::Open(path);
    EXPECT_TRUE(recording.ok()) << recording.status();
    EXPECT_THAT(recording->damage(), IsEmpty());
    return *std::move(recording);
  }
  // Reserves room for a module's record and writes it. Its tag follows only if it is to be finished.
  static void WriteModule(RecordingWriter& writer, const RecordedModule& module, bool finish = true) {
    const std::string record = EncodeModule(module);
    auto* out = static_cast<char*>(writer.Reserve(TableKind::kModules, record.size()));
    ASSERT_NE(out, nullptr);
    memcpy(out + sizeof(uint32_t), record.data() + sizeof(uint32_t), record.size() - sizeof(uint32_t));
    if (finish) StoreRelease(*reinterpret_cast<uint32_t*>(out), static_cast<uint32_t>(record.size()));
  }
  // Runs `body` in a forked child and gives the path of the child's own recording.
  std::string InChild(RecordingWriter& writer, const std::function<void()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      if (!writer.OpenForChild() || !writer.PopulateChild()) _exit(1);
      body();
      _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return directory_ / fmt::format("program.{}.allocline", child);
  }

  testing::TempDir directory_;
};

TEST_F(WriterTest, ANewRecordingSaysWhoseItIsAndNobodyElseMayReadIt) {
  RecordingWriter writer;
  Open(writer);
  EXPECT_EQ(writer.path(), directory_ / fmt::format("program.{}.allocline", getpid()));
  const Recording recording = Read(writer.path());
  EXPECT_EQ(recording.header().pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(recording.header().parent_pid, static_cast<uint32_t>(getppid()));
  EXPECT_STREQ(recording.header().program, "/bin/program");
  EXPECT_EQ(recording.header().run_id, 7u);
  EXPECT_EQ(recording.header().flags, format::kFlagMmapDomain);
  EXPECT_NE(recording.header().process_start_ticks, 0u);
  EXPECT_EQ(recording.header().file_bytes, recording.file_bytes());
  struct stat status;
  ASSERT_EQ(stat(writer.path(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(WriterTest, ASecondRecordingOfOneProcessGetsANameOfItsOwn) {
  RecordingWriter first, second;
  Open(first);
  Open(second);
  EXPECT_EQ(second.path(), directory_ / fmt::format("program.{}.2.allocline", getpid()));
}

TEST_F(WriterTest, ATableGrowsByExtentsAndStaysOneArray) {
  RecordingWriter writer;
  Open(writer);
  constexpr uint32_t kNodes = 300'000;  // 4.8 MB
  auto* nodes = reinterpret_cast<format::NodeRecord*>(writer.base(TableKind::kNodes));
  for (uint32_t i = 0; i < kNodes; ++i) {
    auto* node = static_cast<format::NodeRecord*>(writer.Reserve(TableKind::kNodes, sizeof(format::NodeRecord)));
    ASSERT_EQ(node, nodes + i);
    *node = {.parent = i / 2, .site = 0, .frame = i + 1};
  }
  const Recording recording = Read(writer.path());
  EXPECT_GT(recording.header().extent_count, 10u);
  ASSERT_THAT(recording.nodes(), SizeIs(kNodes));
  for (uint32_t i = 1; i < kNodes; ++i) {
    ASSERT_EQ(recording.nodes()[i], (RecordedNode{.parent = i / 2, .frame = i + 1}));
  }
}

TEST_F(WriterTest, TheDiskHoldsEveryByteOfTheFileBeforeItIsUsed) {
  RecordingWriter writer;
  Open(writer);
  ASSERT_NE(writer.Reserve(TableKind::kCounters, 1 << 20), nullptr);
  struct stat status;
  ASSERT_EQ(stat(writer.path(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, status.st_size);
}

TEST_F(WriterTest, AFullDiskIsANullAndWhatWasRecordedStaysReadable) {
  RecordingWriter writer;
  Open(writer);
  WriteModule(writer, Module("/lib/before"));
  // A limit on the size of files stands for the full disk.
  rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 200 << 10, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_EQ(writer.Reserve(TableKind::kCounters, 1 << 20), nullptr);
  EXPECT_EQ(writer.Reserve(TableKind::kCounters, 1 << 20), nullptr) << "it stays full";
  setrlimit(RLIMIT_FSIZE, &limit);
  const Recording recording = Read(writer.path());
  EXPECT_THAT(recording.modules(), ElementsAre(Module("/lib/before")));
  EXPECT_TRUE(recording.header().state & format::kStateDiskFull);
  EXPECT_EQ(recording.header().first_errno, static_cast<uint32_t>(EFBIG));
}

TEST_F(WriterTest, ADirectoryThatRefusesTheFileLeavesARecordingInMemory) {
  RecordingWriter writer;
  ASSERT_TRUE(writer.Open({.directory = "/proc/nowhere", .name = "program", .program = "", .run_id = 0, .flags = 0}));
  EXPECT_STREQ(writer.path(), "");
  WriteModule(writer, Module("/lib/some"));
  std::string found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    if (target.find("memfd:allocline") != std::string::npos) found = entry.path();
  }
  const Recording recording = Read(found);
  EXPECT_THAT(recording.modules(), ElementsAre(Module("/lib/some")));
  EXPECT_TRUE(recording.header().state & format::kStateInMemory);
}

TEST_F(WriterTest, AProgramThatClosesOurDescriptorAndUsesItsNumberKeepsItsFile) {
  RecordingWriter writer;
  Open(writer);
  for (int fd = 3; fd < 1024; ++fd) {
    struct stat ours, theirs;
    if (stat(writer.path(), &ours) != 0 || fstat(fd, &theirs) != 0 || ours.st_ino != theirs.st_ino) continue;
    close(fd);
    const int file = open((directory_ / "theirs").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(dup2(file, fd), fd);
  }
  ASSERT_NE(writer.Reserve(TableKind::kCounters, 1 << 20), nullptr);
  EXPECT_EQ(std::filesystem::file_size(directory_ / "theirs"), 0u);
  EXPECT_THAT(Read(writer.path()).header().state & format::kStateDiskFull, 0u);
}

// ---------------------------------------------------------------- fork

TEST_F(WriterTest, AForkedChildGoesOnInAFileOfItsOwn) {
  RecordingWriter writer;
  Open(writer);
  WriteModule(writer, Module("/lib/parent"));
  *static_cast<format::NodeRecord*>(writer.Reserve(TableKind::kNodes, 16)) = {.parent = 0, .site = 0, .frame = 1};
  *static_cast<format::NodeRecord*>(writer.Reserve(TableKind::kNodes, 16)) = {.parent = 0, .site = 0, .frame = 2};
  ASSERT_NE(writer.Reserve(TableKind::kThreads, sizeof(format::ThreadRecord)), nullptr);
  const std::string child = InChild(writer, [&] {
    WriteModule(writer, Module("/lib/child"));
    *static_cast<format::NodeRecord*>(writer.Reserve(TableKind::kNodes, 16)) = {.parent = 1, .site = 0, .frame = 3};
  });
  WriteModule(writer, Module("/lib/parent later"));
  const Recording of_child = Read(child);
  EXPECT_THAT(of_child.modules(), ElementsAre(Module("/lib/parent"), Module("/lib/child")));
  EXPECT_THAT(of_child.nodes(), ElementsAre(RecordedNode{}, RecordedNode{0, 2}, RecordedNode{1, 3}));
  EXPECT_EQ(of_child.header().tables[static_cast<uint32_t>(TableKind::kThreads)].used, 0u);
  EXPECT_TRUE(of_child.header().flags & format::kFlagForked);
  EXPECT_EQ(of_child.header().parent_pid, static_cast<uint32_t>(getpid()));
  const Recording of_parent = Read(writer.path());
  EXPECT_THAT(of_parent.modules(), ElementsAre(Module("/lib/parent"), Module("/lib/parent later")));
  EXPECT_THAT(of_parent.nodes(), SizeIs(2));
}

TEST_F(WriterTest, AModuleThatTheParentWasStillWritingDoesNotHideThoseOfTheChild) {
  RecordingWriter writer;
  Open(writer);
  WriteModule(writer, Module("/lib/first"));
  WriteModule(writer, Module("/lib/unfinished"), /*finish=*/false);
  const std::string child = InChild(writer, [&] { WriteModule(writer, Module("/lib/child")); });
  EXPECT_THAT(Read(child).modules(), ElementsAre(Module("/lib/first"), Module("/lib/child")));
}

// Reads a child's file over and over while the child makes it.
TEST_F(WriterTest, AChildsRecordingIsWholeWhileItIsPopulated) {
  RecordingWriter writer;
  Open(writer);
  for (int i = 0; i < 200'000; ++i) {
    *static_cast<format::NodeRecord*>(writer.Reserve(TableKind::kNodes, 16)) = {.parent = 0, .site = 0, .frame = 1};
  }
  for (int round = 0; round < 10; ++round) {
    const pid_t child = fork();
    if (child == 0) _exit(writer.OpenForChild() && writer.PopulateChild() ? 0 : 1);
    const std::string path = directory_ / fmt::format("program.{}.allocline", child);
    int status = -1;
    while (waitpid(child, &status, WNOHANG) == 0) {
      const absl::StatusOr<Recording> recording = Recording::Open(path);
      if (!recording.ok()) continue;  // not there, or not begun
      ASSERT_THAT(recording->damage(), IsEmpty());
      const size_t nodes = recording->nodes().size();
      ASSERT_TRUE(nodes == 1 || nodes == 200'000) << nodes;
    }
    ASSERT_EQ(status, 0);
  }
}

}  // namespace
}  // namespace allocline
