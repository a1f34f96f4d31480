// What may be at the path that someone gives for a recording, and what becomes of a file that is written.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "recording/builder.h"
#include "recording/reader.h"
#include "tests/recording/random_recording.h"
#include "tests/recording/raw_recording.h"
#include "tests/support/temp_dir.h"

namespace allocline {
namespace {

using absl::StatusCode;
using format::TableKind;
using ::testing::HasSubstr;

class OpenTest : public ::testing::Test {
 protected:
  void ExpectRefused(const std::string& path, StatusCode code, const std::string& what) {
    const absl::Status status = Recording::Open(path).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + ": "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  }

  testing::TempDir directory_;
};

TEST_F(OpenTest, ARecordingIsRead) {
  const std::string path = directory_.WriteFile("program.1.allocline", RandomRecording(3).builder.Build());
  const absl::StatusOr<Recording> recording = Recording::Open(path);
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->path(), path);
  EXPECT_EQ(recording->file_bytes(), std::filesystem::file_size(path));
  EXPECT_EQ(RecordingBuilder(*recording).Build(), RandomRecording(3).builder.Build());
}

TEST_F(OpenTest, NothingAtAllIsNotFound) {
  ExpectRefused(directory_ / "missing", StatusCode::kNotFound, "No such file");
  directory_.WriteFile("file", "x");
  ExpectRefused(directory_ / "file/below", StatusCode::kNotFound, "Not a directory");
  ExpectRefused("", StatusCode::kNotFound, "No such file");
}

TEST_F(OpenTest, AFileOneMayNotReadIsPermissionDenied) {
  const std::string path = directory_.WriteFile("mine", RecordingBuilder().Build());
  chmod(directory_.path().c_str(), 0755);
  chmod(path.c_str(), 0);
  const uid_t user = geteuid();
  ASSERT_EQ(seteuid(user == 0 ? 65534 : user), 0);  // root may read everything
  ExpectRefused(path, StatusCode::kPermissionDenied, "Permission denied");
  ASSERT_EQ(seteuid(user), 0);
}

TEST_F(OpenTest, ADirectoryIsNoRecording) {
  ExpectRefused(directory_.path(), StatusCode::kInvalidArgument, "is a directory, not a recording");
}

TEST_F(OpenTest, ADeviceIsNoRecordingAndIsNotReadForEver) {
  for (const char* device : {"/dev/zero", "/dev/null", "/dev/urandom"}) {
    ExpectRefused(device, StatusCode::kInvalidArgument, "is a device");
  }
}

TEST_F(OpenTest, APipeIsNotWaitedFor) {
  const std::string path = directory_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  ExpectRefused(path, StatusCode::kInvalidArgument, "is a pipe");
}

TEST_F(OpenTest, ASocketIsNoRecording) {
  const std::string path = directory_ / "socket";
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ExpectRefused(path, StatusCode::kInvalidArgument, "is a socket");
}

TEST_F(OpenTest, EmptyFilesAndTextsAreNoRecordings) {
  ExpectRefused(directory_.WriteFile("empty", ""), StatusCode::kInvalidArgument, "is empty");
  ExpectRefused(directory_.WriteFile("text", "hello\n"), StatusCode::kInvalidArgument, "is not a recording");
}

TEST_F(OpenTest, AProcessKilledBeforeItsRecordingHadBegunLeavesNothingAndThatIsSaid) {
  std::string bytes = RandomRecording(4).builder.Build();
  bytes.replace(0, sizeof(format::FileHeader::magic), sizeof(format::FileHeader::magic), '\0');
  ExpectRefused(directory_.WriteFile("killed", bytes), StatusCode::kInvalidArgument,
                "holds nothing: its process was killed while the recording was made");
}

TEST_F(OpenTest, AMemfdIsReadThroughProc) {
  const UniqueFd fd(memfd_create("allocline", MFD_CLOEXEC));
  const std::string bytes = RandomRecording(4).builder.Build();
  ASSERT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  const absl::StatusOr<Recording> recording = Recording::Open("/proc/self/fd/" + std::to_string(fd.get()));
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->file_bytes(), bytes.size());
}

TEST_F(OpenTest, AFileThatWasDeletedIsReadThroughProc) {
  const std::string path = directory_.WriteFile("gone", RecordingBuilder().Build());
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  unlink(path.c_str());
  EXPECT_TRUE(Recording::Open("/proc/self/fd/" + std::to_string(fd.get())).ok());
}

// ---------------------------------------------------------------- sizes that are not what they seem

// Extends a recording's table of `kind` by zeros that take no room on the disk.
std::string Sparse(const testing::TempDir& directory, TableKind kind, uint64_t table_bytes) {
  RecordingBuilder builder = RandomRecording(5).builder;
  builder.AddModule({.start = 0x1000, .end = 0x2000});
  builder.AddThread({.counters = {{format::kOverflowSite, {1, 1, 0, 0}}}});
  builder.AddSnapshot({.label = "label"});
  builder.AddSymbol({.frame = 0x1010});
  RawRecording raw(builder);
  raw.extent(kind).file_offset = raw.bytes().size();
  raw.extent(kind).bytes = table_bytes;
  raw.head(kind).used = table_bytes;
  const std::string path = directory.WriteFile("sparse", raw.bytes());
  EXPECT_EQ(truncate(path.c_str(), static_cast<off_t>(raw.bytes().size() + table_bytes)), 0);
  return path;
}

TEST_F(OpenTest, TerabytesOfZerosThatAreNotOnTheDiskAreRefusedAtOnce) {
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  for (TableKind kind : {TableKind::kModules, TableKind::kNodes, TableKind::kSites, TableKind::kThreads,
                         TableKind::kChunkOwners, TableKind::kCounters, TableKind::kSnapshots, TableKind::kSymbols}) {
    ExpectRefused(Sparse(directory_, kind, uint64_t{1} << 40), StatusCode::kDataLoss, "has only");
  }
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10) << "KiB";
}

TEST_F(OpenTest, AFewMegabytesOfZerosAreTakenAsTheyAre) {
  const absl::StatusOr<Recording> recording = Recording::Open(Sparse(directory_, TableKind::kNodes, 1 << 20));
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->nodes().size(), (1u << 20) / sizeof(format::NodeRecord));
}

TEST_F(OpenTest, AFileThatShrinksWhileItIsReadIsAnErrorAndNoCrash) {
  RecordingBuilder builder;
  const size_t thread = builder.AddThread({});
  for (uint64_t i = 0; i < 50000; ++i) {
    builder.AddCounters(thread, builder.AddSite(std::vector<format::Frame>{0x1000 + i}), {1, 1, 0, 0});
  }
  const std::string bytes = builder.Build();
  const std::string path = directory_.WriteFile("shrinking", bytes);
  std::jthread shrinker([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (truncate(path.c_str(), 8192) != 0 || truncate(path.c_str(), static_cast<off_t>(bytes.size())) != 0) abort();
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  for (int i = 0; i < 50; ++i) {
    const absl::StatusOr<Recording> recording = Recording::Open(path);
    if (recording.ok()) recording->Counters();
  }
}

// ---------------------------------------------------------------- writing

TEST_F(OpenTest, AWrittenRecordingIsReadAndOnlyItsOwnerMayReadIt) {
  const RandomRecording made(6);
  const std::string path = directory_ / "written";
  ASSERT_TRUE(made.builder.WriteFile(path).ok());
  EXPECT_EQ(RecordingBuilder(Recording::Open(path).value()).Build(), made.builder.Build());
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(OpenTest, AFileThatIsThereStaysUnlessItIsToBeReplaced) {
  const std::string path = directory_.WriteFile("mine", "precious");
  const absl::Status status = RecordingBuilder().WriteFile(path);
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status;
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
  EXPECT_TRUE(RecordingBuilder().WriteFile(path, /*replace=*/true).ok());
  EXPECT_TRUE(Recording::Open(path).ok());
}

TEST_F(OpenTest, ALinkThatLeadsNowhereIsAFileThatIsThere) {
  const std::string path = directory_ / "link";
  ASSERT_EQ(symlink("/nowhere", path.c_str()), 0);
  EXPECT_EQ(RecordingBuilder().WriteFile(path).code(), StatusCode::kAlreadyExists);
}

TEST_F(OpenTest, AFileThatCannotBeWrittenLeavesNothingBehind) {
  EXPECT_EQ(RecordingBuilder().WriteFile(directory_ / "missing/file").code(), StatusCode::kNotFound);
  // A limit on the size of files fails in the middle of writing, as a full disk does.
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 5000, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status status = RecordingBuilder().WriteFile(directory_ / "large");
  setrlimit(RLIMIT_FSIZE, &limit);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("large: cannot be written: File too large"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

}  // namespace
}  // namespace allocline
