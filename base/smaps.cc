#include "base/smaps.h"

#include <errno.h>
#include <string.h>

#include "base/raw_syscall.h"

namespace allocline {
namespace {

// Cuts a number in base `kBase` off the front of [*at, end); false if there is none, or it has more than 64 bits.
template <unsigned kBase>
bool TakeNumber(const char** at, const char* end, uint64_t* number) {
  uint64_t value = 0;
  const char* p = *at;
  for (; p < end; ++p) {
    const unsigned digit = *p >= '0' && *p <= '9'   ? static_cast<unsigned>(*p - '0')
                           : *p >= 'a' && *p <= 'f' ? static_cast<unsigned>(*p - 'a') + 10
                                                    : kBase;
    if (digit >= kBase) break;
    if (__builtin_mul_overflow(value, uint64_t{kBase}, &value) || __builtin_add_overflow(value, digit, &value)) {
      return false;
    }
  }
  if (p == *at) return false;
  *at = p;
  *number = value;
  return true;
}

bool Take(const char** at, const char* end, char wanted) {
  if (*at == end || **at != wanted) return false;
  ++*at;
  return true;
}

void SkipBlanks(const char** at, const char* end) {
  while (*at < end && **at == ' ') ++*at;
}

bool StartsWith(const char* at, const char* end, const char* text) {
  const size_t length = strlen(text);
  return static_cast<size_t>(end - at) >= length && memcmp(at, text, length) == 0;
}

// "Rss:     132 kB", behind the colon.
void TakeKilobytes(const char* at, const char* end, uint64_t* bytes) {
  SkipBlanks(&at, end);
  uint64_t kilobytes = 0;
  if (TakeNumber<10>(&at, end, &kilobytes) && kilobytes < uint64_t{1} << 50) *bytes = kilobytes << 10;
}

// Two letters each, with blanks between.
void TakeFlags(const char* at, const char* end, SmapsRegion* region) {
  for (SkipBlanks(&at, end); end - at >= 2; at += 2, SkipBlanks(&at, end)) {
    if (StartsWith(at, end, "rr")) region->random = true;
    if (StartsWith(at, end, "dd")) region->dont_dump = true;
    if (StartsWith(at, end, "nh")) region->no_huge_page = true;
    if (StartsWith(at, end, "nr")) region->no_reserve = true;
  }
}

}  // namespace

SmapsReader::SmapsReader(const char* path, char* buffer, size_t buffer_bytes)
    : fd_(sys::Open(path, O_RDONLY | O_CLOEXEC)), buffer_(buffer), capacity_(buffer_bytes) {}

SmapsReader::~SmapsReader() {
  if (is_open()) sys::Close(static_cast<int>(fd_));
}

bool SmapsReader::Next(SmapsRegion* region) {
  Line line{};
  while (!has_next_) {
    if (!NextLine(&line)) return false;
    has_next_ = ParseHead(line, &next_);
  }
  *region = next_;
  has_next_ = false;
  while (!has_next_ && NextLine(&line)) {
    const char* at = line.text;
    const char* const end = at + line.length;
    if (StartsWith(at, end, "Rss:")) {
      TakeKilobytes(at + 4, end, &region->rss_bytes);
    } else if (StartsWith(at, end, "Anonymous:")) {
      TakeKilobytes(at + 10, end, &region->anonymous_bytes);
    } else if (StartsWith(at, end, "Swap:")) {
      TakeKilobytes(at + 5, end, &region->swapped_bytes);
    } else if (StartsWith(at, end, "VmFlags:")) {
      TakeFlags(at + 8, end, region);
    } else {
      has_next_ = ParseHead(line, &next_);
    }
  }
  return true;
}

// START-END PERMISSIONS OFFSET MAJOR:MINOR INODE    NAME
bool SmapsReader::ParseHead(const Line& line, SmapsRegion* region) {
  const char* at = line.text;
  const char* const end = at + line.length;
  uint64_t start = 0, stop = 0, number = 0, inode = 0;
  if (!TakeNumber<16>(&at, end, &start) || !Take(&at, end, '-') || !TakeNumber<16>(&at, end, &stop) ||
      !Take(&at, end, ' ') || stop <= start || end - at < 5) {
    return false;
  }
  *region = {};
  region->start = start;
  region->end = stop;
  region->readable = at[0] == 'r';
  region->writable = at[1] == 'w';
  region->executable = at[2] == 'x';
  region->is_private = at[3] == 'p';
  at += 4;
  if (!Take(&at, end, ' ') || !TakeNumber<16>(&at, end, &number) || !Take(&at, end, ' ') ||
      !TakeNumber<16>(&at, end, &number) || !Take(&at, end, ':') || !TakeNumber<16>(&at, end, &number) ||
      !Take(&at, end, ' ') || !TakeNumber<10>(&at, end, &inode)) {
    return false;
  }
  region->inode = inode;
  SkipBlanks(&at, end);
  // Two names: the head of the next region is read before the caller is done with this one.
  char* const name = names_[names_used_++ % 2];
  size_t length = static_cast<size_t>(end - at);
  if (length >= kNameBytes) {
    at += length - (kNameBytes - 1);
    length = kNameBytes - 1;
  }
  if (length != 0) memcpy(name, at, length);
  name[length] = '\0';
  region->name = name;
  return true;
}

// Of a line that is longer than the buffer, the parts.
bool SmapsReader::NextLine(Line* line) {
  for (;;) {
    if (begin_ != end_) {
      const char* const text = buffer_ + begin_;
      const void* const newline = memchr(text, '\n', end_ - begin_);
      const bool full = begin_ == 0 && end_ == capacity_;
      if (newline != nullptr || ended_ || full) {
        line->text = text;
        line->length =
            newline != nullptr ? static_cast<size_t>(static_cast<const char*>(newline) - text) : end_ - begin_;
        begin_ += line->length + (newline != nullptr ? 1 : 0);
        return true;
      }
      memmove(buffer_, text, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    } else {
      begin_ = end_ = 0;
      if (ended_ || !is_open()) return false;
    }
    long got;
    do got = sys::Read(static_cast<int>(fd_), buffer_ + end_, capacity_ - end_);
    while (got == -EINTR);
    if (got <= 0) {
      ended_ = true;
    } else {
      end_ += static_cast<size_t>(got);
    }
  }
}

}  // namespace allocline
