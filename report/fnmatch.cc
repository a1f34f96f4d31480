#include "report/fnmatch.h"

#include <algorithm>
#include <optional>

#include "report/escape.h"

namespace allocline {
namespace {

// Where Python would hold an undecodable byte: outside of what UTF-8 can say.
constexpr char32_t kSurrogateEscape = 0xdc00;

std::u32string Characters(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    char32_t c = 0;
    size_t length = DecodeUtf8(text, &c);
    if (length == 0) {
      c = kSurrogateEscape + static_cast<uint8_t>(text[0]);
      length = 1;
    }
    out += c;
    text.remove_prefix(length);
  }
  return out;
}

// The ']' that closes the set whose inside begins at `begin`; npos if none does. A ']' that comes first is a member.
size_t SetEnd(std::u32string_view pattern, size_t begin) {
  if (begin < pattern.size() && pattern[begin] == '!') ++begin;
  if (begin < pattern.size() && pattern[begin] == ']') ++begin;
  return pattern.find(U']', begin);
}

// Splits the inside of a set at the '-' that make ranges: a range runs from the last character of a part to the first
// of the next. A '-' at either end, or right behind a range, is a member.
std::vector<std::u32string> SplitAtRanges(std::u32string_view inside) {
  std::vector<std::u32string> parts;
  size_t begin = 0;
  for (size_t search = inside.starts_with(U'!') ? 2 : 1;;) {
    size_t dash = inside.find(U'-', search);
    if (dash == std::u32string_view::npos) break;
    parts.emplace_back(inside.substr(begin, dash - begin));
    begin = dash + 1;
    search = dash + 3;
  }
  if (begin < inside.size() || parts.empty()) {
    parts.emplace_back(inside.substr(begin));
  } else {
    parts.back() += U'-';
  }
  // A range that runs backwards holds nothing: both its ends go.
  for (size_t i = parts.size() - 1; i > 0; --i) {
    if (parts[i - 1].back() > parts[i].front()) {
      parts[i - 1].pop_back();
      parts[i - 1] += parts[i].substr(1);
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  return parts;
}

}  // namespace

bool FnmatchPattern::Token::Accepts(char32_t c) const {
  switch (kind) {
    case kLiteral:
      return c == literal;
    case kAnyOne:
    case kAnyRun:
      return true;
    case kSet:
      return negated != std::any_of(ranges.begin(), ranges.end(),
                                    [c](const auto& range) { return range.first <= c && c <= range.second; });
  }
  return false;
}

FnmatchPattern::FnmatchPattern(std::string_view text) {
  std::u32string pattern = Characters(text);
  for (size_t i = 0; i < pattern.size(); ++i) {
    char32_t c = pattern[i];
    size_t end = c == '[' ? SetEnd(pattern, i + 1) : std::u32string::npos;
    if (c == '*') {
      if (tokens_.empty() || tokens_.back().kind != Token::kAnyRun) tokens_.push_back({.kind = Token::kAnyRun});
    } else if (c == '?') {
      tokens_.push_back({.kind = Token::kAnyOne});
    } else if (end == std::u32string::npos) {
      tokens_.push_back({.kind = Token::kLiteral, .literal = c});
    } else {
      std::vector<std::u32string> parts = SplitAtRanges(std::u32string_view(pattern).substr(i + 1, end - i - 1));
      Token set{.kind = Token::kSet};
      // Looked for after the split, as Python does: dropping an empty range can bring a '!' to the front.
      if (parts.front().starts_with(U'!')) {
        set.negated = true;
        parts.front().erase(0, 1);
      }
      for (const std::u32string& part : parts) {
        for (char32_t member : part) set.ranges.emplace_back(member, member);
      }
      for (size_t k = 1; k < parts.size(); ++k) {
        // Without a left end (it was that '!') the '-' comes first, and is a member.
        if (parts[k - 1].empty()) {
          set.ranges.emplace_back(U'-', U'-');
        } else {
          set.ranges.emplace_back(parts[k - 1].back(), parts[k].front());
        }
      }
      tokens_.push_back(std::move(set));
      i = end;
    }
  }
}

// Greedy with one way back: when a token fails, the last '*' takes one character more. What an earlier '*' took never
// needs to change, so the time is O(pattern x text) at worst.
bool FnmatchPattern::Matches(std::string_view bytes) const {
  std::u32string text = Characters(bytes);
  size_t token = 0, at = 0;
  std::optional<size_t> star_token;
  size_t star_at = 0;
  while (at < text.size()) {
    if (token < tokens_.size() && tokens_[token].kind == Token::kAnyRun) {
      star_token = token++;
      star_at = at;
    } else if (token < tokens_.size() && tokens_[token].Accepts(text[at])) {
      ++token;
      ++at;
    } else if (star_token) {
      token = *star_token + 1;
      at = ++star_at;
    } else {
      return false;
    }
  }
  while (token < tokens_.size() && tokens_[token].kind == Token::kAnyRun) ++token;
  return token == tokens_.size();
}

bool Fnmatch(std::string_view pattern, std::string_view text) { return FnmatchPattern(pattern).Matches(text); }

}  // namespace allocline
