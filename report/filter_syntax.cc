// The command line's way to write a Filter; the grammar is above ParseFilter() in filter.h.
#include <fmt/format.h>

#include <charconv>
#include <system_error>
#include <utility>

#include "recording/format.h"
#include "report/filter.h"

namespace allocline {
namespace {

constexpr std::pair<std::string_view, uint32_t> kDomains[] = {
    {"malloc", format::kDomainMalloc}, {"mmap", format::kDomainMmap}, {"python", format::kDomainPython}};

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool ConsumePrefix(std::string_view prefix, std::string_view* text) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

// Digits behind the last ':' are a line number, anything else belongs to the pattern.
absl::Status ParseFile(std::string_view text, Filter* filter) {
  size_t colon = text.rfind(':');
  std::string_view digits = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos) {
    filter->line = ParseNumber<uint32_t>(digits);
    if (!filter->line) return absl::InvalidArgumentError(fmt::format("filter: line {} is too large", digits));
    text = text.substr(0, colon);
  }
  if (text.empty()) return absl::InvalidArgumentError("filter: the file pattern is empty; \"*\" matches every file");
  filter->file = std::string(text);
  filter->any_directory = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint32_t> ParseDomain(std::string_view text) {
  for (const auto& [name, domain] : kDomains) {
    if (text == name) return domain;
  }
  if (const std::optional<uint32_t> number = ParseNumber<uint32_t>(text)) return *number;
  return absl::InvalidArgumentError(fmt::format("domain \"{}\": expected python, malloc, mmap or a number", text));
}

std::string DomainName(uint32_t domain) {
  for (const auto& [name, known] : kDomains) {
    if (domain == known) return std::string(name);
  }
  return fmt::format("domain {}", domain);
}

absl::StatusOr<Filter> ParseFilter(std::string_view text, bool all_frames) {
  Filter filter{.inclusive = !ConsumePrefix("!", &text), .all_frames = all_frames};
  absl::Status status = absl::OkStatus();
  if (ConsumePrefix("domain=", &text)) {
    const absl::StatusOr<uint32_t> domain = ParseDomain(text);
    status = domain.status();
    if (domain.ok()) filter.domain = *domain;
  } else if (ConsumePrefix("function=", &text)) {
    filter.function = std::string(text);
  } else if (ConsumePrefix("module=", &text)) {
    filter.module = std::string(text);
  } else {
    ConsumePrefix("file=", &text);
    status = ParseFile(text, &filter);
  }
  if (!status.ok()) return status;
  return filter;
}

}  // namespace allocline
