#include "base/pages.h"

#include <gtest/gtest.h>

#include <cstring>

namespace allocline {
namespace {

// Two pages, of which the second one cannot be read.
class PagesTest : public ::testing::Test {
 protected:
  PagesTest() {
    pages_ = reinterpret_cast<uintptr_t>(mmap(nullptr, 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(reinterpret_cast<void*>(pages_), kPage, PROT_READ | PROT_WRITE);
  }
  ~PagesTest() override { munmap(reinterpret_cast<void*>(pages_), 2 * kPage); }
  static void Put(uintptr_t address, uint64_t value) { memcpy(reinterpret_cast<void*>(address), &value, sizeof value); }

  uintptr_t pages_;
};

TEST_F(PagesTest, WhatCanBeReadIsToldWithoutReading) {
  EXPECT_TRUE(IsReadable(pages_));
  EXPECT_TRUE(IsReadable(pages_ + kPage - 8));
  EXPECT_FALSE(IsReadable(pages_ + kPage - 4)) << "half of it cannot";
  EXPECT_FALSE(IsReadable(pages_ + kPage));
  EXPECT_FALSE(IsReadable(0));
}

TEST_F(PagesTest, WhatIsThereIsComparedWithoutReading) {
  const uint64_t value = 0x0123'4567'89ab'cdef;
  const uintptr_t last = pages_ + kPage - 8;
  Put(last, value);
  errno = 0;
  EXPECT_TRUE(IsReadableAs(last, value));
  EXPECT_FALSE(IsReadableAs(last, value ^ 1)) << "another in its first half";
  EXPECT_FALSE(IsReadableAs(last, value ^ uint64_t{1} << 63)) << "and in its second";
  EXPECT_FALSE(IsReadableAs(last + 4, value >> 32)) << "half of it cannot be read";
  EXPECT_FALSE(IsReadableAs(pages_ + kPage, 0));
  EXPECT_FALSE(IsReadableAs(0, 0));
  EXPECT_EQ(errno, 0);
}

}  // namespace
}  // namespace allocline
