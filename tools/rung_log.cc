#include "tools/rung_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <tuple>

#include "report/escape.h"
#include "report/size_text.h"

namespace allocline {
namespace {

constexpr size_t kMostBytes = 1000;     // of a message: what a log keeps of a line
constexpr size_t kMostNameBytes = 200;  // of one line's name in it
constexpr unsigned kWarningPercent = 70, kSeverePercent = 90;

// As the tracer labels a rung.
constexpr std::string_view kRungPrefix = "limit-", kRungSuffix = "%";

// Worse ones last.
auto Badness(const RungNews& news) {
  return std::tuple(static_cast<int>(news.level()), news.percent(), news.snapshot.monotonic_ns);
}

std::string Shortened(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t begin = text.size() - most + 3;  // the end of a path tells more than its beginning
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
  return "..." + text.substr(begin);
}

}  // namespace

uint64_t RungNews::limit_bytes() const {
  const uint64_t limit = snapshot.container_limit_bytes;
  return emulated_limit != 0 && (limit == 0 || emulated_limit < limit) ? emulated_limit : limit;
}

unsigned RungNews::percent() const {
  std::string_view label = snapshot.label;
  if (snapshot.kind != format::SnapshotKind::kRung || !label.starts_with(kRungPrefix) || !label.ends_with(kRungSuffix))
    return 100;
  label.remove_prefix(kRungPrefix.size());
  label.remove_suffix(kRungSuffix.size());
  unsigned percent = 100;
  std::from_chars(label.data(), label.data() + label.size(), percent);
  return percent;
}

LogLevel RungNews::level() const {
  const unsigned at = percent();
  return at >= kSeverePercent ? LogLevel::kSevere : at >= kWarningPercent ? LogLevel::kWarning : LogLevel::kInfo;
}

void LogPacer::Add(RungNews news) {
  const bool of_container = news.snapshot.kind == format::SnapshotKind::kRung && !news.of_process();
  // Under another limit the ladder is another.
  if (told_.emplace(news.snapshot.label, of_container ? std::to_string(news.limit_bytes()) : news.recording).second) {
    news_.push_back(std::move(news));
  } else {
    ++left_out_;
  }
}

std::optional<LogPacer::Message> LogPacer::Take(uint64_t now_ns, bool at_the_end) {
  if (news_.empty()) return std::nullopt;
  const auto worst = std::ranges::max_element(news_, {}, Badness);
  const bool is_soon = last_ns_ && now_ns < *last_ns_ + kDistanceNs;
  if (is_soon && !at_the_end && worst->level() <= last_level_) return std::nullopt;
  Message message{.news = std::move(*worst), .left_out = news_.size() - 1 + left_out_};
  last_ns_ = now_ns;
  last_level_ = message.news.level();
  news_.clear();
  left_out_ = 0;
  return message;
}

std::string RungText(const LogPacer::Message& message, const RungLines& lines) {
  constexpr uint64_t kMebibyte = 1 << 20;
  const RungNews& news = message.news;
  const std::string process = fmt::format("{} (pid {})", Printable(news.program), news.pid);
  const bool has_limit = news.limit_bytes() != 0, of_many = lines.processes > 1;
  const std::string holders = of_many ? fmt::format("{} processes have", lines.processes) : process + " has";
  std::string text = fmt::format("allocline: {}: ", Printable(news.snapshot.label));
  if (has_limit) {
    text += fmt::format("{} is at {} of {} MiB", news.of_process() ? process : "the container",
                        news.usage_bytes() / kMebibyte, news.limit_bytes() / kMebibyte);
  }
  if (has_limit && news.of_process() && !of_many) {
    text += ", with ";
  } else {
    text += fmt::format("{}{} ", has_limit ? "; " : "", holders);
  }
  text += fmt::format(
      "{} live", SizeText(lines.processes > 0 ? lines.live_bytes : static_cast<int64_t>(news.snapshot.live_bytes)));
  for (const RungLines::Line& line : lines.lines) {
    const std::string more = fmt::format("{}{} {}", &line == lines.lines.data() ? ": " : ", ",
                                         Shortened(Printable(line.name), kMostNameBytes), SizeText(line.bytes));
    if (text.size() + more.size() > kMostBytes - 40) break;
    text += more;
  }
  if (message.left_out > 0) text += fmt::format(" ({} before it not told)", message.left_out);
  return Shortened(text, kMostBytes);
}

}  // namespace allocline
