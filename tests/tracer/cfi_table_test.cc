// The cache of compiled unwind rows: what it gives for an address is the row of that address and of no other.
#include "tracer/cfi_table.h"

#include <gtest/gtest.h>

#include <memory>

namespace allocline {
namespace {

__attribute__((noinline)) uintptr_t AddressOfThisCall() {
  asm volatile("" ::: "memory");
  return reinterpret_cast<uintptr_t>(__builtin_return_address(0));
}

class CfiTableTest : public ::testing::Test {
 protected:
  const std::unique_ptr<CfiTable> rows_ = std::make_unique<CfiTable>();
};

TEST_F(CfiTableTest, AReturnAddressHasTheSameRowTheFirstTimeAndEverAfter) {
  const uintptr_t here = AddressOfThisCall();
  const CfiRow row = rows_->Find(here);
  EXPECT_TRUE(row.IsDescribed());
  EXPECT_TRUE(row.IsOfCall());
  EXPECT_EQ(row.bits(), CompileCfiRow(here).bits());
  EXPECT_EQ(rows_->Find(here).bits(), row.bits());
  rows_->Clear();
  EXPECT_EQ(rows_->Find(here).bits(), row.bits());
}

// The tag names an address below 2^47: to a word above it that is equal in its low bits it would give the row of code
// that was never called.
TEST_F(CfiTableTest, AWordAboveTheAddressesOfCodeIsNotTakenForTheOneBelow) {
  const uintptr_t here = AddressOfThisCall();
  const CfiRow row = rows_->Find(here);
  ASSERT_TRUE(row.IsOfCall());
  for (int bit = 47; bit < 64; ++bit) {
    EXPECT_TRUE(rows_->Find(here | uintptr_t{1} << bit).is(CfiRow::Special::kNoCode)) << bit;
    EXPECT_EQ(rows_->Find(here).bits(), row.bits()) << bit;
  }
}

// Nor does such a word leave anything behind under the address below.
TEST_F(CfiTableTest, AWordAboveTheAddressesOfCodeIsNotRemembered) {
  const uintptr_t here = AddressOfThisCall();
  EXPECT_TRUE(rows_->Find(here | uintptr_t{1} << 47).is(CfiRow::Special::kNoCode));
  EXPECT_TRUE(rows_->Find(here).IsOfCall());
}

}  // namespace
}  // namespace allocline
