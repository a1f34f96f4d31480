// The command line's way to write a Filter; the grammar is above ParseFilter() in filter.h.
#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "recording/format.h"
#include "report/filter.h"

namespace allocline {
namespace {

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

absl::Status ParseDomain(std::string_view text, Filter* filter) {
  if (text == "malloc") {
    filter->domain = format::kDomainMalloc;
  } else if (text == "mmap") {
    filter->domain = format::kDomainMmap;
  } else {
    filter->domain = ParseNumber<uint32_t>(text);
  }
  if (filter->domain) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("filter: domain=\"{}\": expected malloc, mmap or a number", text));
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

absl::StatusOr<Filter> ParseFilter(std::string_view text, bool all_frames) {
  Filter filter{.inclusive = !ConsumePrefix("!", &text), .all_frames = all_frames};
  absl::Status status = absl::OkStatus();
  if (ConsumePrefix("domain=", &text)) {
    status = ParseDomain(text, &filter);
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
