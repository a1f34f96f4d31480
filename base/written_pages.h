// Which pages of private memory were ever written, so that a sparse table can be walked without touching the rest.
//
// The kernel knows: /proc/self/pagemap has a word per page, bit 63 = in memory, bit 62 = swapped out (Linux
// Documentation/admin-guide/mm/pagemap.rst). Without /proc every page counts as written.
//
// Context: async-signal-safe. One object per walk, on the stack; asks in batches, so walk upward.
#ifndef ALLOCLINE_BASE_WRITTEN_PAGES_H_
#define ALLOCLINE_BASE_WRITTEN_PAGES_H_

#include "base/pages.h"

namespace allocline {

class WrittenPages {
 public:
  WrittenPages() : fd_(sys::Open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
  ~WrittenPages() {
    if (!sys::IsError(fd_)) sys::Close(static_cast<int>(fd_));
  }
  WrittenPages(const WrittenPages&) = delete;
  WrittenPages& operator=(const WrittenPages&) = delete;

  bool Contains(const void* address) {
    const uint64_t page = reinterpret_cast<uintptr_t>(address) / kPage;
    if (page - first_ >= count_) Fill(page);
    return words_[page - first_] >> 62 != 0;
  }

 private:
  static constexpr uint64_t kBatch = 128;

  void Fill(uint64_t page) {
    first_ = page;
    count_ = kBatch;
    long n = -1;
    if (!sys::IsError(fd_)) n = sys::Pread(static_cast<int>(fd_), words_, sizeof words_, page * sizeof(uint64_t));
    const uint64_t known = n > 0 ? static_cast<uint64_t>(n) / sizeof(uint64_t) : 0;
    for (uint64_t i = known; i < kBatch; ++i) words_[i] = ~uint64_t{0};
  }

  long fd_;
  uint64_t first_ = 0, count_ = 0;
  uint64_t words_[kBatch];
};

}  // namespace allocline

#endif  // ALLOCLINE_BASE_WRITTEN_PAGES_H_
