#include "base/cgroup.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
  // A line of mountinfo: the hierarchy as seen from the group `root` on, at `mount`.
  static std::string MountOfV2(const std::string& mount, const std::string& root = "/") {
    return "41 31 0:38 " + root + " " + mount + " rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
  }
  static std::string MountOfV1(const std::string& mount, const std::string& controllers,
                               const std::string& root = "/") {
    return "35 31 0:32 " + root + " " + mount + " rw,relatime - cgroup cgroup rw," + controllers + "\n";
  }
  void Mounts(const std::string& lines) {
    Write("/proc/self/mountinfo",
          "23 1 8:1 / / rw - ext4 /dev/sda rw\n31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" + lines +
              "77 23 0:50 / /proc rw - proc proc rw\n");
  }
  void GroupOfV2(const std::string& directory, const std::string& current, const std::string& max) {
    Write(directory + "/memory.current", current + "\n");
    Write(directory + "/memory.max", max + "\n");
  }
  void GroupOfV1(const std::string& directory, const std::string& usage, const std::string& limit) {
    Write(directory + "/memory.usage_in_bytes", usage + "\n");
    Write(directory + "/memory.limit_in_bytes", limit + "\n");
  }
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

TEST_F(CgroupTest, ThePartsOfVersion2AddUpToTheUsage) {
  ProcessIsIn("0::/pod\n");
  GroupOfV2("/sys/fs/cgroup/pod", "1000000", "5000000");
  Write("/sys/fs/cgroup/pod/memory.stat",
        "anon 500000\nfile 400000\nkernel 90000\nkernel_stack 7\npagetables 8\nsock 10000\nshmem 50000\n"
        "inactive_file 300000\nslab 9\n");
  const ContainerParts parts = ReadContainerParts(FindCgroup(kPid, root_.c_str()));
  EXPECT_TRUE(parts.found);
  EXPECT_EQ(parts.memory.usage_bytes, 700000);
  EXPECT_EQ(parts.anonymous_bytes, 500000);
  EXPECT_EQ(parts.file_bytes, 50000);
  EXPECT_EQ(parts.shared_bytes, 50000);
  EXPECT_EQ(parts.kernel_bytes, 100000);
}

TEST_F(CgroupTest, KernelsBefore5_18NameThePartsOfTheirOwnMemoryOnly) {
  ProcessIsIn("0::/pod\n");
  GroupOfV2("/sys/fs/cgroup/pod", "1000000", "max");
  Write("/sys/fs/cgroup/pod/memory.stat",
        "anon 500000\nfile 400000\nkernel_stack 10\npagetables 20\npercpu 30\nsock 40\nshmem 0\ninactive_file 0\n"
        "slab 50\n");
  EXPECT_EQ(ReadContainerParts(FindCgroup(kPid, root_.c_str())).kernel_bytes, 150);
}

TEST_F(CgroupTest, ThePartsAreOfTheGroupThatDecides) {
  ProcessIsIn("4:memory:/pod/inner\n");
  GroupOfV1("/sys/fs/cgroup/memory/pod/inner", "1000", "9223372036854771712");
  Write("/sys/fs/cgroup/memory/pod/inner/memory.stat", "total_rss 600\ntotal_cache 300\ntotal_inactive_file 100\n");
  GroupOfV1("/sys/fs/cgroup/memory/pod", "8000", "9000");
  Write("/sys/fs/cgroup/memory/pod/memory.stat",
        "cache 1\nrss 2\ntotal_cache 3000\ntotal_rss 4000\ntotal_shmem 500\ntotal_inactive_file 2000\n");
  Write("/sys/fs/cgroup/memory/pod/memory.kmem.usage_in_bytes", "1000\n");
  const ContainerParts parts = ReadContainerParts(FindCgroup(kPid, root_.c_str()));
  EXPECT_TRUE(parts.found);
  EXPECT_EQ(parts.memory.limit_bytes, 9000);
  EXPECT_EQ(parts.memory.usage_bytes, 6000);
  EXPECT_EQ(parts.anonymous_bytes, 4000);
  EXPECT_EQ(parts.file_bytes, 500);
  EXPECT_EQ(parts.shared_bytes, 500);
  EXPECT_EQ(parts.kernel_bytes, 1000);
}

TEST_F(CgroupTest, AGroupWithoutStatisticsHasNoParts) {
  ProcessIsIn("0::/pod\n");
  GroupOfV2("/sys/fs/cgroup/pod", "1000000", "5000000");
  EXPECT_FALSE(ReadContainerParts(FindCgroup(kPid, root_.c_str())).found);
  Write("/sys/fs/cgroup/pod/memory.stat", "anon lots\nfile -1\n");
  const ContainerParts parts = ReadContainerParts(FindCgroup(kPid, root_.c_str()));
  EXPECT_FALSE(parts.found);
  EXPECT_EQ(parts.memory.usage_bytes, 1000000);
  EXPECT_FALSE(ReadContainerParts(Cgroup{}).found);
}

TEST_F(CgroupTest, TheTightestLimitOnTheWayToTheRootCounts) {
  ProcessIsIn("0::/pod/container/inner\n");
  Write("/sys/fs/cgroup/pod/container/inner/memory.current", "10\n");
  Write("/sys/fs/cgroup/pod/container/inner/memory.max", "max\n");
  Write("/sys/fs/cgroup/pod/container/memory.max", "3000\n");
  Write("/sys/fs/cgroup/pod/memory.max", "2000\n");
  EXPECT_EQ(Read().limit_bytes, 2000);
}

TEST_F(CgroupTest, AGroupWithoutTheMemoryControllerIsChargedToTheNextAboveThatHasIt) {
  ProcessIsIn("0::/pod/inner/leaf\n");
  Mounts(MountOfV2("/sys/fs/cgroup"));
  GroupOfV2("/sys/fs/cgroup/pod", "700", "1000");
  Write("/sys/fs/cgroup/pod/memory.events", "oom 1\noom_kill 3\n");
  Write("/sys/fs/cgroup/pod/inner/leaf/cgroup.procs", "4711\n");
  const Cgroup group = FindCgroup(kPid, root_.c_str());
  EXPECT_EQ(group.directory, root_ + "/sys/fs/cgroup/pod");
  EXPECT_EQ(Read().usage_bytes, 700);
  EXPECT_EQ(Read().limit_bytes, 1000);
  uint64_t kills = 0;
  EXPECT_TRUE(ReadOomKills(group, &kills));
  EXPECT_EQ(kills, 3);
}

TEST_F(CgroupTest, AHostPathOfWhichAContainersOwnGroupsBearTheFirstNameFallsBackToTheMountToo) {
  ProcessIsIn("0::/docker/0123\n");
  Mounts(MountOfV2("/sys/fs/cgroup"));
  GroupOfV2("/sys/fs/cgroup", "700", "1000");
  GroupOfV2("/sys/fs/cgroup/docker", "1", "2");
  EXPECT_EQ(Read().usage_bytes, 700);
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

// ---------------------------------------------------------------- where it is mounted

TEST_F(CgroupTest, TheHierarchyIsFoundWhereverItIsMounted) {
  ProcessIsIn("0::/pod/inner\n");
  Mounts(MountOfV2("/mnt/my\\040groups"));  // a blank, as the kernel writes it
  GroupOfV2("/mnt/my groups/pod/inner", "10", "100");
  EXPECT_EQ(Read().usage_bytes, 10);
  EXPECT_EQ(Read().limit_bytes, 100);
}

TEST_F(CgroupTest, AGroupThatIsBoundFromTheHostIsTheMountItself) {
  for (const char* mount_root : {"/docker/0123", "/docker"}) {
    ProcessIsIn("4:memory:/docker/0123\n");
    Mounts(MountOfV1("/sys/fs/cgroup/memory", "memory", mount_root));
    const std::string below = std::string("/docker/0123").substr(strlen(mount_root));
    GroupOfV1("/sys/fs/cgroup/memory" + below, "77", "100");
    EXPECT_EQ(Read().usage_bytes, 77) << mount_root;
    EXPECT_EQ(Read().limit_bytes, 100) << mount_root;
  }
}

TEST_F(CgroupTest, TheMountThatShowsTheGroupBestIsTaken) {
  ProcessIsIn("0::/docker/0123/inner\n");
  Mounts(MountOfV2("/other", "/somewhere/else") + MountOfV2("/bound", "/docker/0123") + MountOfV2("/whole"));
  GroupOfV2("/bound/inner", "10", "100");
  GroupOfV2("/whole/docker/0123/inner", "20", "200");
  GroupOfV2("/other", "30", "300");
  EXPECT_EQ(Read().limit_bytes, 100);
}

TEST_F(CgroupTest, AMountFromOutsideOfOurNamespaceShowsAnAncestorWhoseLimitHolds) {
  ProcessIsIn("0::/\n");
  Mounts(MountOfV2("/sys/fs/cgroup", "/.."));
  GroupOfV2("/sys/fs/cgroup", "77", "100");
  EXPECT_EQ(Read().limit_bytes, 100);
  ProcessIsIn("0::/../../other\n");
  EXPECT_FALSE(Read().found);
}

TEST_F(CgroupTest, InAHybridTheMemoryControllersHierarchyIsRead) {
  const std::string mounts = MountOfV1("/sys/fs/cgroup/cpu", "cpu") + MountOfV1("/sys/fs/cgroup/memory", "memory") +
                             MountOfV2("/sys/fs/cgroup/unified");
  Mounts(mounts);
  GroupOfV1("/sys/fs/cgroup/memory/job", "10", "100");
  GroupOfV1("/sys/fs/cgroup/cpu/job", "1", "2");
  GroupOfV2("/sys/fs/cgroup/unified/job", "20", "200");
  ProcessIsIn("9:name=systemd:/job\n1:cpu:/job\n4:memory:/job\n0::/job\n");
  EXPECT_EQ(Read().limit_bytes, 100);
  ProcessIsIn("0::/job\n4:memory:/job\n");
  EXPECT_EQ(Read().limit_bytes, 100);
  ProcessIsIn("9:name=systemd:/job\n1:cpu:/job\n0::/job\n");  // the memory controller is v2's
  EXPECT_EQ(Read().limit_bytes, 200);
}

TEST_F(CgroupTest, ControllersMountedTogetherAreRead) {
  ProcessIsIn("4:cpu,memory,hugetlb:/job\n");
  Mounts(MountOfV1("/cgroup", "cpu,memory,hugetlb"));
  GroupOfV1("/cgroup/job", "10", "100");
  EXPECT_EQ(Read().limit_bytes, 100);
}

TEST_F(CgroupTest, WithoutAMountOfTheHierarchyTheUsualPlaceIsLookedAt) {
  ProcessIsIn("0::/job\n");
  Mounts("");
  GroupOfV2("/sys/fs/cgroup/job", "10", "100");
  EXPECT_EQ(Read().limit_bytes, 100);
}

TEST_F(CgroupTest, NoCgroupMountedIsNotFound) {
  ProcessIsIn("0::/\n");
  Mounts("");
  EXPECT_FALSE(Read().found);
}

TEST_F(CgroupTest, AMountinfoOfGarbageIsPassedOver) {
  ProcessIsIn("0::/job\n");
  Write("/proc/self/mountinfo", "-\n - \n - cgroup2\n1 2 3 - cgroup2 cgroup2 rw\n" + std::string(10'000, ' ') +
                                    "cgroup2\n\\\\0\\04 \\9 - cgroup2\n");
  GroupOfV2("/job", "20", "200");  // where a mount at "" would have it
  GroupOfV2("/sys/fs/cgroup/job", "10", "100");
  EXPECT_EQ(Read().usage_bytes, 10);
}

// ---------------------------------------------------------------- limits

TEST_F(CgroupTest, TheGroupWithTheLeastRoomGivesBothFigures) {
  ProcessIsIn("0::/pod/container\n");
  GroupOfV2("/sys/fs/cgroup/pod/container", "400", "1000");
  GroupOfV2("/sys/fs/cgroup/pod", "1900", "2000");  // with its neighbours in the pod
  EXPECT_EQ(Read().usage_bytes, 1900);
  EXPECT_EQ(Read().limit_bytes, 2000);
  GroupOfV2("/sys/fs/cgroup/pod", "900", "2000");
  EXPECT_EQ(Read().usage_bytes, 400);
  EXPECT_EQ(Read().limit_bytes, 1000);
}

TEST_F(CgroupTest, Version1AlsoLooksAtTheGroupsAbove) {
  ProcessIsIn("4:memory:/pod/container\n");
  GroupOfV1("/sys/fs/cgroup/memory/pod/container", "400", "9223372036854771712");
  Write("/sys/fs/cgroup/memory/pod/container/memory.stat", "hierarchical_memory_limit 2000\ntotal_inactive_file 100\n");
  GroupOfV1("/sys/fs/cgroup/memory/pod", "1900", "2000");
  Write("/sys/fs/cgroup/memory/pod/memory.stat", "hierarchical_memory_limit 2000\ntotal_inactive_file 500\n");
  EXPECT_EQ(Read().usage_bytes, 1400);
  EXPECT_EQ(Read().limit_bytes, 2000);
}

TEST_F(CgroupTest, ALimitAboveTheMachinesMemoryIsNone) {
  ProcessIsIn("0::/job\n");
  Write("/proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");
  GroupOfV2("/sys/fs/cgroup/job", "10", "17000000000");
  EXPECT_EQ(Read().limit_bytes, 0);
  EXPECT_EQ(Read().usage_bytes, 10);
  GroupOfV2("/sys/fs/cgroup/job", "10", "16000000000");
  EXPECT_EQ(Read().limit_bytes, 16'000'000'000);
}

TEST_F(CgroupTest, ALimitThatIsNoNumberIsNone) {
  ProcessIsIn("0::/job\n");
  for (const char* garbage : {"max", "", "lots", "-1", "12 MiB", "0x100", "100M", "0", "99999999999999999999999999"}) {
    GroupOfV2("/sys/fs/cgroup/job", "10", garbage);
    EXPECT_TRUE(Read().found) << garbage;
    EXPECT_EQ(Read().limit_bytes, 0) << garbage;
  }
}

TEST_F(CgroupTest, ALimitThatIsLoweredIsSeenAtTheNextReading) {
  ProcessIsIn("0::/job\n");
  GroupOfV2("/sys/fs/cgroup/job", "10", "100");
  const Cgroup group = FindCgroup(kPid, root_.c_str());
  EXPECT_EQ(ReadContainerMemory(group).limit_bytes, 100);
  GroupOfV2("/sys/fs/cgroup/job", "20", "50");
  EXPECT_EQ(ReadContainerMemory(group).limit_bytes, 50);
  EXPECT_EQ(ReadContainerMemory(group).usage_bytes, 20);
  fs::remove_all(root_ + "/sys");
  EXPECT_FALSE(ReadContainerMemory(group).found);
}

// ---------------------------------------------------------------- the most there was

// What is read where a process was killed for a limit that it had seen.
class CgroupPeakTest : public CgroupTest {
 protected:
  void PodOfV2(const std::string& directory, const std::string& peak, const std::string& max) {
    GroupOfV2("/sys/fs/cgroup/" + directory, "10", max);
    Write("/sys/fs/cgroup/" + directory + "/memory.peak", peak + "\n");
  }
  ContainerMemory Peak(uint64_t seen_limit) const {
    return ReadContainerPeak(FindCgroup(kPid, root_.c_str()), seen_limit);
  }
};

TEST_F(CgroupPeakTest, ItIsOfTheGroupWhoseLimitWasSeen) {
  ProcessIsIn("0::/pod/container/inner\n");
  PodOfV2("pod/container/inner", "290", "max");
  PodOfV2("pod/container", "300", "300");  // full of page cache once
  PodOfV2("pod", "990", "1000");
  EXPECT_EQ(Peak(1000).usage_bytes, 990);
  EXPECT_EQ(Peak(1000).limit_bytes, 1000);
  EXPECT_EQ(Peak(300).usage_bytes, 300);
  EXPECT_EQ(Peak(300).limit_bytes, 300);
}

TEST_F(CgroupPeakTest, AfterALimitWasChangedItIsOfTheGroupThatCameNearestToItsLimit) {
  ProcessIsIn("0::/pod/container\n");
  PodOfV2("pod/container", "400", "500");
  PodOfV2("pod", "980", "1000");
  EXPECT_EQ(Peak(700).limit_bytes, 1000);
  EXPECT_EQ(Peak(700).usage_bytes, 980);
}

TEST_F(CgroupPeakTest, ItIsNeverMoreThanTheLimit) {
  ProcessIsIn("0::/pod\n");
  PodOfV2("pod", "700", "300");  // lowered since
  EXPECT_EQ(Peak(300).usage_bytes, 300);
  EXPECT_EQ(Peak(800).usage_bytes, 300);
}

TEST_F(CgroupPeakTest, Version1CountsItTooUnderTheLimitOfAGroupThatCannotBeSeen) {
  ProcessIsIn("4:memory:/pod\n");
  GroupOfV1("/sys/fs/cgroup/memory/pod", "10", "9223372036854771712");
  Write("/sys/fs/cgroup/memory/pod/memory.stat", "hierarchical_memory_limit 8000\n");
  Write("/sys/fs/cgroup/memory/pod/memory.max_usage_in_bytes", "7900\n");
  EXPECT_EQ(Peak(8000).usage_bytes, 7900);
  EXPECT_EQ(Peak(8000).limit_bytes, 8000);
}

TEST_F(CgroupPeakTest, WithoutALimitOrACountThereIsNone) {
  EXPECT_FALSE(ReadContainerPeak(Cgroup{}, 0).found);
  ProcessIsIn("0::/pod\n");
  PodOfV2("pod", "700", "max");
  EXPECT_FALSE(Peak(800).found);
  PodOfV2("pod", "much", "800");
  EXPECT_FALSE(Peak(800).found);
  fs::remove(root_ + "/sys/fs/cgroup/pod/memory.peak");  // before Linux 5.19
  EXPECT_FALSE(Peak(800).found);
}

// ---------------------------------------------------------------- kills

TEST_F(CgroupTest, KillsAreCountedByBothVersions) {
  uint64_t kills = 99;
  ProcessIsIn("0::/job\n");
  GroupOfV2("/sys/fs/cgroup/job", "10", "100");
  EXPECT_FALSE(ReadOomKills(FindCgroup(kPid, root_.c_str()), &kills));
  Write("/sys/fs/cgroup/job/memory.events", "low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 0\n");
  ASSERT_TRUE(ReadOomKills(FindCgroup(kPid, root_.c_str()), &kills));
  EXPECT_EQ(kills, 3);
  ProcessIsIn("4:memory:/job\n");
  GroupOfV1("/sys/fs/cgroup/memory/job", "10", "100");
  Write("/sys/fs/cgroup/memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");  // before Linux 4.13
  EXPECT_FALSE(ReadOomKills(FindCgroup(kPid, root_.c_str()), &kills));
  Write("/sys/fs/cgroup/memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n");
  ASSERT_TRUE(ReadOomKills(FindCgroup(kPid, root_.c_str()), &kills));
  EXPECT_EQ(kills, 12);
}

TEST_F(CgroupTest, ErrnoIsKept) {
  errno = EDOM;
  const ContainerMemory memory = Read();  // opens files that are not there
  EXPECT_EQ(errno, EDOM);
  EXPECT_FALSE(memory.found);
}

// A group of v1 below the test's own, with a limit.
class RealCgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    const Cgroup own = FindCgroup(0);
    if (own.version != CgroupVersion::kV1) GTEST_SKIP() << "needs a memory cgroup of version 1";
    directory_ = std::string(own.directory) + "/allocline-cgroup-test-" + std::to_string(getpid());
    if (mkdir(directory_.c_str(), 0755) != 0) {
      directory_.clear();
      GTEST_SKIP() << "needs to make a cgroup in " << own.directory << ": " << strerror(errno);
    }
  }
  void TearDown() override {
    if (directory_.empty()) return;
    EXPECT_EQ(rmdir(directory_.c_str()), 0) << strerror(errno);
  }
  static void WriteTo(const std::string& file, uint64_t number) {
    std::ofstream out(file);
    out << number << std::flush;
    ASSERT_TRUE(out) << file;
  }

  std::string directory_;
};

TEST_F(RealCgroupTest, WhatAProcessInItTouchesIsItsUsage) {
  constexpr uint64_t kLimit = 64 << 20, kTouched = 24 << 20;
  WriteTo(directory_ + "/memory.limit_in_bytes", kLimit);
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    close(done[1]);
    if (read(done[0], &byte, 1) != 1) _exit(1);  // once we are in the group
    void* pages = mmap(nullptr, kTouched, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (pages == MAP_FAILED || write(ready[1], &byte, 1) != 1) _exit(1);
    _exit(read(done[0], &byte, 1) == 1 ? 0 : 1);
  }
  WriteTo(directory_ + "/cgroup.procs", static_cast<uint64_t>(child));
  char byte = 0;
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const Cgroup group = FindCgroup(child);
  EXPECT_EQ(group.directory, directory_);
  const ContainerMemory memory = ReadContainerMemory(group);
  EXPECT_TRUE(memory.found);
  EXPECT_EQ(memory.limit_bytes, kLimit);
  EXPECT_GE(memory.usage_bytes, kTouched);
  EXPECT_LT(memory.usage_bytes, kLimit);
  WriteTo(directory_ + "/memory.limit_in_bytes", kLimit / 2);  // while it runs
  EXPECT_EQ(ReadContainerMemory(group).limit_bytes, kLimit / 2);
  uint64_t kills = 99;
  EXPECT_TRUE(ReadOomKills(group, &kills));
  EXPECT_EQ(kills, 0);
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) close(fd);
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
