#include "base/cgroup.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace allocline {
namespace {

namespace fs = std::filesystem;

constexpr int kPid = 4711;

// A made-up /proc and /sys/fs/cgroup under a directory of the test's own.
class CgroupTest : public testing::Test {
 protected:
  CgroupTest() {
    std::string name = (fs::temp_directory_path() / "allocline-cgroup-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~CgroupTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) {
    const fs::path file = root_ + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  void ProcessIsIn(const std::string& groups) { Write("/proc/4711/cgroup", groups); }
  ContainerMemory Read() const { return ReadContainerMemory(kPid, root_.c_str()); }

  std::string root_;
};

TEST_F(CgroupTest, Version2GivesUsageWithoutInactiveFilePages) {
  ProcessIsIn("0::/system.slice/docker-1.scope\n");
  Write("/sys/fs/cgroup/system.slice/docker-1.scope/memory.current", "1000000\n");
  Write("/sys/fs/cgroup/system.slice/docker-1.scope/memory.max", "5000000\n");
  Write("/sys/fs/cgroup/system.slice/docker-1.scope/memory.stat",
        "anon 600000\nfile 400000\ninactive_anon 7\nactive_file 1\ninactive_file 300000\n");
  const ContainerMemory memory = Read();
  EXPECT_TRUE(memory.found);
  EXPECT_EQ(memory.usage_bytes, 700000);
  EXPECT_EQ(memory.limit_bytes, 5000000);
}

TEST_F(CgroupTest, TheTightestLimitOnTheWayToTheRootCounts) {
  ProcessIsIn("0::/pod/container/inner\n");
  Write("/sys/fs/cgroup/pod/container/inner/memory.current", "10\n");
  Write("/sys/fs/cgroup/pod/container/inner/memory.max", "max\n");
  Write("/sys/fs/cgroup/pod/container/memory.max", "3000\n");
  Write("/sys/fs/cgroup/pod/memory.max", "2000\n");
  EXPECT_EQ(Read().limit_bytes, 2000);
}

TEST_F(CgroupTest, NoLimitAnywhereIsZero) {
  ProcessIsIn("0::/user.slice\n");
  Write("/sys/fs/cgroup/user.slice/memory.current", "4096\n");
  Write("/sys/fs/cgroup/user.slice/memory.max", "max\n");
  EXPECT_TRUE(Read().found);
  EXPECT_EQ(Read().usage_bytes, 4096);
  EXPECT_EQ(Read().limit_bytes, 0);
}

TEST_F(CgroupTest, Version1CountsTheWholeHierarchy) {
  ProcessIsIn("4:memory:/kubepods/pod7\n3:cpuset:/elsewhere\n0::/init.scope\n");
  Write("/sys/fs/cgroup/memory/kubepods/pod7/memory.usage_in_bytes", "900\n");
  Write("/sys/fs/cgroup/memory/kubepods/pod7/memory.stat",
        "inactive_file 1\nhierarchical_memory_limit 8000\ntotal_inactive_file 400\n");
  EXPECT_EQ(Read().usage_bytes, 500);
  EXPECT_EQ(Read().limit_bytes, 8000);
}

TEST_F(CgroupTest, Version1WritesNoLimitAsAHugeNumber) {
  ProcessIsIn("4:memory:/free\n");
  Write("/sys/fs/cgroup/memory/free/memory.usage_in_bytes", "900\n");
  Write("/sys/fs/cgroup/memory/free/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
  EXPECT_TRUE(Read().found);
  EXPECT_EQ(Read().limit_bytes, 0);
}

TEST_F(CgroupTest, AHostPathInsideAContainerFallsBackToTheMount) {
  ProcessIsIn("4:memory:/docker/0123456789ab\n");
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5000\n");
  Write("/sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 6000\ntotal_inactive_file 0\n");
  EXPECT_TRUE(Read().found);
  EXPECT_EQ(Read().usage_bytes, 5000);
  EXPECT_EQ(Read().limit_bytes, 6000);
}

TEST_F(CgroupTest, TheRootGroupOfAContainersNamespaceHasItsLimit) {
  ProcessIsIn("0::/\n");
  Write("/sys/fs/cgroup/memory.current", "77\n");
  Write("/sys/fs/cgroup/memory.max", "100\n");
  EXPECT_EQ(Read().usage_bytes, 77);
  EXPECT_EQ(Read().limit_bytes, 100);
}

TEST_F(CgroupTest, AMachineWithoutContainersIsNotOne) {
  ProcessIsIn("4:memory:/\n");
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5000000000\n");
  Write("/sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
  EXPECT_FALSE(Read().found);
  EXPECT_EQ(Read().usage_bytes, 0);
}

TEST_F(CgroupTest, AGroupOutsideOurNamespaceIsNotTakenForOurs) {
  ProcessIsIn("0::/../other\n");
  Write("/sys/fs/cgroup/memory.current", "77\n");
  Write("/sys/fs/cgroup/memory.max", "100\n");
  EXPECT_FALSE(Read().found);
}

TEST_F(CgroupTest, MoreInactivePagesThanUsageIsZeroAndNotHuge) {
  ProcessIsIn("0::/a\n");
  Write("/sys/fs/cgroup/a/memory.current", "10\n");
  Write("/sys/fs/cgroup/a/memory.stat", "inactive_file 20\n");
  EXPECT_EQ(Read().usage_bytes, 0);
}

TEST_F(CgroupTest, MissingAndDamagedFilesAreNotFound) {
  EXPECT_FALSE(Read().found);  // no process
  ProcessIsIn("garbage\n:\n::\n4:memory\n0::/x\n");
  EXPECT_FALSE(Read().found);  // no group
  Write("/sys/fs/cgroup/x/memory.current", "lots\n");
  EXPECT_FALSE(Read().found);
  ProcessIsIn("0::/" + std::string(5000, 'y') + "\n");
  EXPECT_FALSE(Read().found);
}

TEST_F(CgroupTest, ErrnoIsKept) {
  errno = EDOM;
  const ContainerMemory memory = Read();  // opens files that are not there
  EXPECT_EQ(errno, EDOM);
  EXPECT_FALSE(memory.found);
}

TEST(CgroupOfThisMachineTest, OwnProcessReadsTheSameByNumberAndAsSelf) {
  const ContainerMemory self = ReadContainerMemory(0);
  const ContainerMemory numbered = ReadContainerMemory(getpid());
  EXPECT_EQ(self.found, numbered.found);
  EXPECT_EQ(self.limit_bytes, numbered.limit_bytes);
  EXPECT_EQ(self.found, self.usage_bytes > 0);
}

}  // namespace
}  // namespace allocline
