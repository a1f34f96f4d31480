#include "tracer/mapping_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace allocline {
namespace {

constexpr uintptr_t kPage = 4096;
constexpr uintptr_t kUnit = MappingTable::kLeastBytes;

struct Tables {
  MappingTable table;
  // By page.
  std::map<uintptr_t, uintptr_t> model;

  void Map(uintptr_t start, size_t bytes, uintptr_t caller) {
    table.OnMap(start, bytes, caller);
    for (uintptr_t page = start; page < start + bytes; page += kPage) model[page] = caller;
  }
  void Unmap(uintptr_t start, size_t bytes) {
    table.OnUnmap(start, bytes);
    for (uintptr_t page = start; page < start + bytes; page += kPage) model.erase(page);
  }
  std::map<uintptr_t, uintptr_t> Pages() {
    std::vector<MappingTable::Mapping> mappings(MappingTable::kMostMappings);
    mappings.resize(table.CopyTo(mappings.data()));
    std::map<uintptr_t, uintptr_t> pages;
    for (const MappingTable::Mapping& mapping : mappings) {
      for (uintptr_t page = mapping.start; page < mapping.end; page += kPage) {
        EXPECT_TRUE(pages.try_emplace(page, mapping.caller).second) << "two owners of one page";
      }
    }
    return pages;
  }
};

TEST(MappingTableTest, WhoeverMapsAndUnmapsWhateverEachPageHasItsOwner) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Tables tables;
  for (int step = 0; step < 3000; ++step) {
    const uintptr_t start = 0x10000000 + random() % 64 * kUnit / 2;
    const size_t bytes = (1 + random() % 8) * kUnit;
    const uintptr_t caller = 0x1000 + random() % 3;
    tables.Unmap(start, bytes);
    if (random() % 2 == 0) tables.Map(start, bytes, caller);
    if (step % 100 == 0) {
      ASSERT_EQ(tables.Pages(), tables.model);
    }
  }
  ASSERT_EQ(tables.Pages(), tables.model);
}

TEST(MappingTableTest, APartThatIsMappedAnewStaysWithWhoReservedIt) {
  Tables tables;
  tables.table.OnMap(0x10000000, 16 * kUnit, 1000);
  tables.table.OnMap(0x10000000 + 4 * kUnit, 2 * kUnit, 2000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000 + 4 * kUnit), 1000);
  tables.table.Reassign(0x10000000 + 4 * kUnit, 2 * kUnit, 2000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000 + 4 * kUnit), 2000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000 + 4 * kUnit - 1), 1000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000 + 6 * kUnit), 1000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000 + 16 * kUnit), 0);
}

TEST(MappingTableTest, SmallOnesAndThoseBeyondItsRoomAreNotKnown) {
  Tables tables;
  tables.table.OnMap(0x10000000, kUnit - 1, 1000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000), 0);
  for (uintptr_t i = 0; i < 2 * MappingTable::kMostMappings; ++i) {
    tables.table.OnMap(0x10000000 + 2 * i * kUnit, kUnit, 1000 + i);
  }
  EXPECT_EQ(tables.table.CallerOf(0x10000000), 1000);
  EXPECT_EQ(tables.table.CallerOf(0x10000000 + 2 * MappingTable::kMostMappings * kUnit), 0);
  tables.table.OnUnmap(0x10000000, kUnit);
  tables.table.OnMap(0x70000000, kUnit, 5000);
  EXPECT_EQ(tables.table.CallerOf(0x70000000), 5000) << "room was made";
}

}  // namespace
}  // namespace allocline
