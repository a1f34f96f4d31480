#include "tests/support/truth.h"

#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>
#include <ostream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/support/temp_dir.h"

namespace allocline::testing {
namespace {

// "100/1" or "100/1 of 300/3"; without "of" nothing was freed.
std::optional<Amount> ParseAmount(const std::string& text) {
  Amount amount;
  int end = 0;
  if (sscanf(text.c_str(), "%" SCNd64 "/%" SCNd64 "%n", &amount.live_bytes, &amount.live_blocks, &end) != 2) {
    return std::nullopt;
  }
  std::string rest = text.substr(static_cast<size_t>(end));
  if (rest.empty() || rest.find_first_not_of(' ') == std::string::npos) {
    amount.total_bytes = static_cast<uint64_t>(amount.live_bytes);
    amount.total_blocks = static_cast<uint64_t>(amount.live_blocks);
  } else if (sscanf(rest.c_str(), " of %" SCNu64 "/%" SCNu64, &amount.total_bytes, &amount.total_blocks) != 2) {
    return std::nullopt;
  }
  return amount;
}

}  // namespace

Amount& Amount::operator+=(const Amount& other) {
  live_bytes += other.live_bytes;
  live_blocks += other.live_blocks;
  total_bytes += other.total_bytes;
  total_blocks += other.total_blocks;
  return *this;
}

std::ostream& operator<<(std::ostream& out, const Amount& amount) {
  return out << fmt::format("{}/{} of {}/{}", amount.live_bytes, amount.live_blocks, amount.total_bytes,
                            amount.total_blocks);
}

std::vector<Marker> ReadMarkers(const std::string& file) {
  static constexpr std::string_view kStart = "// LINE: ";
  std::vector<Marker> markers;
  std::set<std::string> names;
  std::istringstream source(ReadFile(file));
  std::string text;
  for (uint32_t line = 1; std::getline(source, text); ++line) {
    size_t start = text.find(kStart);
    if (start == std::string::npos) continue;
    std::istringstream words(text.substr(start + kStart.size()));
    Marker marker = {.file = file, .line = line};
    std::string rest;
    words >> marker.name;
    std::getline(words >> std::ws, rest);
    marker.any = rest == "any";
    if (!marker.any && !rest.empty()) {
      marker.amount = ParseAmount(rest);
      if (!marker.amount) throw std::runtime_error(fmt::format("{}:{}: not a marker: {}", file, line, rest));
    }
    if (!names.insert(marker.name).second) {
      throw std::runtime_error(fmt::format("{}:{}: a second line named {}", file, line, marker.name));
    }
    markers.push_back(std::move(marker));
  }
  return markers;
}

Lines ReadOutput(std::string_view output) {
  Lines lines;
  std::istringstream text{std::string(output)};
  std::string line;
  while (std::getline(text, line)) {
    size_t space = line.find(' ');
    std::optional<Amount> amount = ParseAmount(space == std::string::npos ? "" : line.substr(space + 1));
    if (!amount) throw std::runtime_error(fmt::format("a program of known truth printed: {}", line));
    lines[line.substr(0, space)] = *amount;
  }
  return lines;
}

}  // namespace allocline::testing
