// Sizes in options: what is one, what it means, and that nothing else passes for one.
#include "tools/byte_size.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace allocline {
namespace {

constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();

uint64_t Parsed(const std::string& text) {
  const absl::StatusOr<uint64_t> size = ParseByteSize("--size", text, 0, kMost);
  EXPECT_TRUE(size.ok()) << text;
  return size.ok() ? *size : ~uint64_t{0};
}

TEST(ByteSizeTest, ANumberIsBytes) {
  EXPECT_EQ(Parsed("0"), 0u);
  EXPECT_EQ(Parsed("524288"), 524288u);
  EXPECT_EQ(Parsed("7B"), 7u);
}

TEST(ByteSizeTest, UnitsArePowersOf1024InAnyCase) {
  for (const char* text : {"512K", "512k", "512KB", "512KiB", "512kib", "0.5M", ".5m"}) {
    EXPECT_EQ(Parsed(text), 512u << 10) << text;
  }
  EXPECT_EQ(Parsed("4M"), 4u << 20);
  EXPECT_EQ(Parsed("1.5G"), 3ull << 29);
  EXPECT_EQ(Parsed("2TiB"), 2ull << 40);
}

TEST(ByteSizeTest, APartOfAByteIsLeftOut) { EXPECT_EQ(Parsed("1.0009765K"), 1024u); }

TEST(ByteSizeTest, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", " ", "K", "-1", "+1", " 1", "1 K", "1KK", "1Ki B", "1e5", "0x10", "1,5M", "1.5.5M",
                           "inf", "nan", "1P", "K1", "512Kx", "1i"}) {
    EXPECT_EQ(ParseByteSize("--size", text, 0, kMost).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ByteSizeTest, TheBoundsBelongToWhatIsAllowed) {
  EXPECT_TRUE(ParseByteSize("--size", "64", 64, 1 << 20).ok());
  EXPECT_TRUE(ParseByteSize("--size", "1M", 64, 1 << 20).ok());
  EXPECT_FALSE(ParseByteSize("--size", "63", 64, 1 << 20).ok());
  EXPECT_FALSE(ParseByteSize("--size", "1048577", 64, 1 << 20).ok());
  EXPECT_FALSE(ParseByteSize("--size", "99999999999999999999999T", 64, 1 << 20).ok());
}

TEST(ByteSizeTest, TheMessageNamesTheOptionTheTextAndWhatIsAllowed) {
  EXPECT_EQ(ParseByteSize("--sample", "many", 64, 1 << 20).status().message(),
            "--sample many: expected a number of bytes from 64 B to 1024 KiB, such as 512K or 4M");
}

}  // namespace
}  // namespace allocline
