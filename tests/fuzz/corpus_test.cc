// The fuzzer's corpus, and a short walk from it, in every build: no clang needed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "recording/reader.h"
#include "tests/fuzz/check_recording.h"
#include "tests/fuzz/mutate_recording.h"
#include "tests/fuzz/packed_bytes.h"

namespace allocline {
namespace {

std::vector<std::filesystem::path> Corpus() {
  const std::filesystem::path directory = std::filesystem::path(ALLOCLINE_SOURCE_DIR) / "tests/fuzz/corpus/reader";
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string Unpacked(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Unpack(std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
}

TEST(PackedBytesTest, WhateverIsPackedUnpacksToTheSame) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string bytes(random() % 300, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() : 0);
    ASSERT_EQ(Unpack(Pack(bytes)), bytes);
  }
}

TEST(PackedBytesTest, AnythingUnpacksAndNotToMoreThanTheLimit) {
  EXPECT_EQ(Unpack(std::string_view("\0", 1)), std::string(1, '\0'));
  EXPECT_EQ(Unpack("a\xff"), "a\xff");
  const std::string huge("\0\xff\xff\xff\xff\x7f\0\xff\xff\xff\xff\x7f", 12);
  EXPECT_EQ(Unpack(huge).size(), kMaxUnpackedBytes);
}

TEST(CorpusTest, EverySeedIsReadOrRefusedAsItShould) {
  size_t read = 0;
  const std::vector<std::filesystem::path> corpus = Corpus();
  for (const std::filesystem::path& path : corpus) {
    EXPECT_EQ(CheckRecording(Unpacked(path)), "") << path;
    read += Recording::Parse(Unpacked(path), "seed").ok();
  }
  EXPECT_GE(read, 6u);
  EXPECT_GE(corpus.size() - read, 5u);
}

TEST(CorpusTest, SeedsThatAreChangedAFewTimesAreReadOrRefusedAsTheyShould) {
  size_t read = 0, refused = 0;
  for (const std::filesystem::path& path : Corpus()) {
    const std::string seed = Unpacked(path);
    for (uint64_t i = 0; i < 400; ++i) {
      std::string bytes = seed;
      for (uint64_t k = 0; k <= i % 5; ++k) bytes = MutateRecording(std::move(bytes), i * 7 + k);
      ASSERT_EQ(CheckRecording(bytes), "") << path << ", mutation " << i;
      ++(Recording::Parse(bytes, "mutated").ok() ? read : refused);
    }
  }
  EXPECT_GT(read, 500u);
  EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace allocline
