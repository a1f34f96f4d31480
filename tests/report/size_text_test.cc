#include "report/size_text.h"

#include <gtest/gtest.h>

#include <string>

namespace allocline {
namespace {

constexpr double kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB, kTiB = 1024 * kGiB;

struct Golden {
  double bytes;
  const char* text;
};

TEST(SizeTextTest, SizesPrintAsInTracemalloc) {
  const Golden kGolden[] = {
      {0, "0 B"},
      {1, "1 B"},
      {1023, "1023 B"},
      {1024, "1024 B"},
      {10239, "10239 B"},
      {10239.5, "10240 B"},
      {10240, "10.0 KiB"},
      {102348, "99.9 KiB"},
      {102349, "100.0 KiB"},
      {102399, "100.0 KiB"},
      {102400, "100 KiB"},
      {10485247, "10239 KiB"},
      {10485248, "10240 KiB"},
      {10485759, "10240 KiB"},
      {10485760, "10.0 MiB"},
      {0.5, "0 B"},
      {1.5, "2 B"},
      {2500.5, "2500 B"},
      {2501.5, "2502 B"},
      {9.5, "10 B"},
      {10 * kGiB, "10.0 GiB"},
      {kGiB, "1024 MiB"},
      {10 * kTiB, "10.0 TiB"},
      {99 * kTiB, "99.0 TiB"},
      {99 * 1024 * kTiB, "101376 TiB"},
      {-66, "-66 B"},
      {-10240, "-10.0 KiB"},
      {-102400, "-100 KiB"},
  };
  for (const Golden& golden : kGolden) EXPECT_EQ(SizeText(golden.bytes), golden.text) << golden.bytes;
}

TEST(SizeTextTest, DifferencesAlwaysHaveASign) {
  const Golden kGolden[] = {
      {0, "+0 B"},
      {66, "+66 B"},
      {-66, "-66 B"},
      {5000, "+5000 B"},
      {10240, "+10.0 KiB"},
      {-10240, "-10.0 KiB"},
      {-102400, "-100 KiB"},
      {10 * kTiB, "+10.0 TiB"},
      {102349, "+100.0 KiB"},
  };
  for (const Golden& golden : kGolden) EXPECT_EQ(SignedSizeText(golden.bytes), golden.text) << golden.bytes;
}

TEST(CountTextTest, OneIsSingular) {
  EXPECT_EQ(CountText(0, "block"), "0 blocks");
  EXPECT_EQ(CountText(1, "block"), "1 block");
  EXPECT_EQ(CountText(2, "block"), "2 blocks");
}

}  // namespace
}  // namespace allocline
