#include "base/smaps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace allocline {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Region {
  SmapsRegion figures;
  std::string name;
};

std::vector<Region> ReadAll(const char* path, size_t buffer_bytes = 4096) {
  std::vector<char> buffer(buffer_bytes);
  SmapsReader reader(path, buffer.data(), buffer.size());
  std::vector<Region> regions;
  SmapsRegion region{};
  while (reader.Next(&region)) regions.push_back({region, region.name});
  return regions;
}

class SmapsTest : public testing::Test {
 protected:
  SmapsTest() {
    const int file = mkstemp(path_.data());
    if (file >= 0) close(file);
  }
  ~SmapsTest() override { unlink(path_.c_str()); }
  std::vector<Region> Read(const std::string& text, size_t buffer_bytes = 4096) {
    std::ofstream(path_, std::ios::trunc) << text;
    return ReadAll(path_.c_str(), buffer_bytes);
  }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "allocline-smaps-XXXXXX").string();
};

constexpr char kTwoRegions[] =
    "55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                          [heap]\n"
    "Size:                132 kB\nRss:                  96 kB\nPss:                  96 kB\nAnonymous:            92 "
    "kB\n"
    "Swap:                  8 kB\nTHPeligible:           0\nVmFlags: rd wr mr mw me ac sd \n"
    "7f1200000000-7f1200021000 r-xs 00001000 fe:01 4711                       /usr/lib/a name with blanks.so\n"
    "Rss:                   4 kB\nAnonymous:             0 kB\nVmFlags: rd ex rr dd nh nr \n";

TEST_F(SmapsTest, ARegionHasItsRangeItsRightsItsFiguresAndItsName) {
  // Whatever the buffer cuts.
  for (const size_t buffer_bytes : {128, 200, 4096}) {
    const std::vector<Region> regions = Read(kTwoRegions, buffer_bytes);
    ASSERT_EQ(regions.size(), 2) << buffer_bytes;
    const SmapsRegion& heap = regions[0].figures;
    EXPECT_EQ(heap.start, 0x55d0c0a00000);
    EXPECT_EQ(heap.bytes(), 0x21000);
    EXPECT_TRUE(heap.readable && heap.writable && !heap.executable && heap.is_private);
    EXPECT_EQ(heap.inode, 0);
    EXPECT_EQ(heap.rss_bytes, 96 << 10);
    EXPECT_EQ(heap.anonymous_bytes, 92 << 10);
    EXPECT_EQ(heap.swapped_bytes, 8 << 10);
    EXPECT_FALSE(heap.random || heap.dont_dump || heap.no_huge_page || heap.no_reserve);
    EXPECT_EQ(regions[0].name, "[heap]");
    const SmapsRegion& file = regions[1].figures;
    EXPECT_TRUE(file.readable && !file.writable && file.executable && !file.is_private);
    EXPECT_EQ(file.inode, 4711);
    EXPECT_EQ(file.rss_bytes, 4 << 10);
    EXPECT_TRUE(file.random && file.dont_dump && file.no_huge_page && file.no_reserve);
    EXPECT_EQ(regions[1].name, "/usr/lib/a name with blanks.so");
  }
}

TEST_F(SmapsTest, OfAnEndlessNameTheEndIsKept) {
  const std::string name = "/" + std::string(3000, 'd') + "/library.so";
  const std::vector<Region> regions = Read("1000-2000 r--p 00000000 fe:01 12 " + name + "\nRss: 4 kB\n");
  ASSERT_EQ(regions.size(), 1);
  EXPECT_EQ(regions[0].name, name.substr(name.size() - 511));
  EXPECT_EQ(regions[0].figures.rss_bytes, 4096);
}

TEST_F(SmapsTest, WhatIsNoRegionIsPassedOver) {
  EXPECT_THAT(Read(""), IsEmpty());
  EXPECT_THAT(Read("Rss: 4 kB\n"), IsEmpty());
  EXPECT_THAT(Read(std::string(100'000, 'x')), IsEmpty());
  EXPECT_THAT(Read(std::string("\0\0\0\n\xff\xfe-", 7)), IsEmpty());
  EXPECT_THAT(Read("2000-1000 rw-p 0 0:0 0\n"), IsEmpty()) << "ends before it begins";
  EXPECT_THAT(Read("1000-fffffffffffffffff rw-p 0 0:0 0\n"), IsEmpty()) << "an address of 68 bits";
  EXPECT_THAT(Read("1000-2000 rw"), IsEmpty()) << "cut short";
  const std::vector<Region> regions =
      Read("1000-2000 rw-p 0 0:0 0\nRss: lots\nRss: 99999999999999999999999 kB\nAnonymous:\n\nVmFlags:\n3000-4000 rw");
  ASSERT_EQ(regions.size(), 1);
  EXPECT_EQ(regions[0].figures.rss_bytes, 0);
}

TEST(SmapsOfThisProcessTest, WhatIsTouchedIsResident) {
  constexpr size_t kPage = 4096, kPages = 64;
  char* pages =
      static_cast<char*>(mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  madvise(pages, kPages * kPage, MADV_NOHUGEPAGE);
  madvise(pages, kPages * kPage, MADV_DONTDUMP);  // no neighbour is joined to it
  memset(pages, 1, 10 * kPage);
  std::vector<uint64_t> resident;
  for (const Region& region : ReadAll("/proc/self/smaps", 16 << 10)) {
    if (region.figures.start == reinterpret_cast<uintptr_t>(pages)) resident.push_back(region.figures.rss_bytes);
  }
  EXPECT_THAT(resident, ElementsAre(10 * kPage));
  munmap(pages, kPages * kPage);
}

TEST(SmapsOfThisProcessTest, AFileThatIsNotThereHasNoRegions) {
  char buffer[256];
  SmapsReader reader("/proc/self/no-such-file", buffer, sizeof buffer);
  SmapsRegion region{};
  EXPECT_FALSE(reader.is_open());
  EXPECT_FALSE(reader.Next(&region));
}

}  // namespace
}  // namespace allocline
