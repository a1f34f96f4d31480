// Owns a file descriptor and closes it. -1 is none.
#ifndef ALLOCLINE_BASE_UNIQUE_FD_H_
#define ALLOCLINE_BASE_UNIQUE_FD_H_

#include <unistd.h>

namespace allocline {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace allocline

#endif  // ALLOCLINE_BASE_UNIQUE_FD_H_
