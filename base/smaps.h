// The regions of a process's address space with what of them is resident, as /proc/PID/smaps tells them.
//
//   7f12a4000000-7f12a4021000 rw-p 00000000 00:00 0          [name or path]     the region
//   Rss:                 132 kB                                                 and many a line like this one
//   VmFlags: rd wr mr mw me nr                                                  the last one
//
// The kernel walks the page tables of every region for it: 0.1 ms for a small process, some 20 ms for one of a gigabyte
// in small pages. Others may map and unmap meanwhile; a region is as it was when the kernel came to it.
//
// Nothing of the text is trusted: lines that are neither the head of a region nor a figure of one are passed over.
//
// Threads: one object, one thread. Context: runs inside malloc too: no allocation, no lock, no errno; little stack: the
// text is read into a buffer of the caller's.
#ifndef ALLOCLINE_BASE_SMAPS_H_
#define ALLOCLINE_BASE_SMAPS_H_

#include <cstddef>
#include <cstdint>

namespace allocline {

struct SmapsRegion {
  uintptr_t start, end;
  bool readable, writable, executable, is_private;
  uint64_t inode;  // 0: of no file
  uint64_t rss_bytes, anonymous_bytes, swapped_bytes;
  // Advice that was given for it, and MAP_NORESERVE.
  bool random, dont_dump, no_huge_page, no_reserve;
  const char* name;  // NUL-terminated, "" if it has none; of one longer than the buffer for it the end. Until Next()

  uint64_t bytes() const { return end - start; }
};

class SmapsReader {
 public:
  // `path` is /proc/self/smaps, or a file that looks like it.
  SmapsReader(const char* path, char* buffer, size_t buffer_bytes);
  ~SmapsReader();
  SmapsReader(const SmapsReader&) = delete;
  SmapsReader& operator=(const SmapsReader&) = delete;

  bool is_open() const { return fd_ >= 0; }
  // The next region, by rising address. False at the end.
  bool Next(SmapsRegion* region);

 private:
  struct Line {
    const char* text;
    size_t length;
  };
  bool NextLine(Line* line);
  bool ParseHead(const Line& line, SmapsRegion* region);

  static constexpr size_t kNameBytes = 512;
  long fd_;
  char* const buffer_;
  const size_t capacity_;
  size_t begin_ = 0, end_ = 0;  // of what was read and not taken
  bool ended_ = false;
  bool has_next_ = false;  // a head was read
  SmapsRegion next_{};
  char names_[2][kNameBytes];
  int names_used_ = 0;
};

}  // namespace allocline

#endif  // ALLOCLINE_BASE_SMAPS_H_
