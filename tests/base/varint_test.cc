#include "base/varint.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace allocline {
namespace {

using Bytes = std::vector<unsigned char>;

Bytes Encode(uint64_t value) {
  Bytes bytes(kMaxVarintBytes);
  bytes.resize(EncodeVarint(value, bytes.data()) - bytes.data());
  return bytes;
}

// Decodes all of `bytes` as one number; nothing else may be left.
bool Decode(const Bytes& bytes, uint64_t* value) {
  const unsigned char* end = bytes.data() + bytes.size();
  return DecodeVarint(bytes.data(), end, value) == end;
}

bool Refuses(const Bytes& bytes) {
  uint64_t untouched = 4711;
  return DecodeVarint(bytes.data(), bytes.data() + bytes.size(), &untouched) == nullptr && untouched == 4711;
}

TEST(VarintTest, SmallNumbersTakeOneByteAndTheLargestTakesTen) {
  EXPECT_EQ(Encode(0), (Bytes{0x00}));
  EXPECT_EQ(Encode(127), (Bytes{0x7f}));
  EXPECT_EQ(Encode(128), (Bytes{0x80, 0x01}));
  EXPECT_EQ(Encode(300), (Bytes{0xac, 0x02}));
  EXPECT_EQ(Encode(std::numeric_limits<uint64_t>::max()),
            (Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
}

TEST(VarintTest, EveryNumberComesBackAndHasTheLengthPromised) {
  std::mt19937_64 random(20240501);
  for (int i = 0; i < 100000; ++i) {
    const uint64_t value = random() >> (random() % 64);
    const Bytes bytes = Encode(value);
    ASSERT_EQ(bytes.size(), VarintBytes(value)) << value;
    uint64_t decoded = ~value;
    ASSERT_TRUE(Decode(bytes, &decoded)) << value;
    ASSERT_EQ(decoded, value);
  }
}

TEST(VarintTest, TheLengthGrowsExactlyAtEverySevenBits) {
  for (unsigned bits = 7; bits < 64; bits += 7) {
    const uint64_t first_longer = uint64_t{1} << bits;
    EXPECT_EQ(Encode(first_longer - 1).size(), bits / 7);
    EXPECT_EQ(Encode(first_longer).size(), bits / 7 + 1);
  }
}

TEST(VarintTest, ANumberCutShortIsRefusedAndNothingBehindTheEndIsRead) {
  Bytes bytes = Encode(std::numeric_limits<uint64_t>::max());
  while (!bytes.empty()) {
    bytes.pop_back();
    bytes.shrink_to_fit();  // so that the address sanitizer sees a read too far
    EXPECT_TRUE(Refuses(bytes)) << bytes.size();
  }
}

TEST(VarintTest, NumbersAboveSixtyFourBitsAreRefused) {
  EXPECT_TRUE(Refuses({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}));        // 2^64
  EXPECT_TRUE(Refuses({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}));        // ten full bytes
  EXPECT_TRUE(Refuses({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}));  // eleven bytes
}

TEST(VarintTest, ZeroGroupsBehindANumberDoNotChangeIt) {
  uint64_t value = 0;
  ASSERT_TRUE(Decode({0x85, 0x80, 0x00}, &value));
  EXPECT_EQ(value, 5u);
}

TEST(VarintTest, NumbersInARowAreReadOneByOne) {
  Bytes bytes(3 * kMaxVarintBytes);
  unsigned char* end = EncodeVarint(70000, EncodeVarint(1, EncodeVarint(300, bytes.data())));
  const unsigned char* in = bytes.data();
  for (uint64_t expected : {300, 1, 70000}) {
    uint64_t value = 0;
    in = DecodeVarint(in, end, &value);
    ASSERT_NE(in, nullptr);
    EXPECT_EQ(value, expected);
  }
  EXPECT_EQ(in, end);
}

}  // namespace
}  // namespace allocline
