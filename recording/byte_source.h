// Where the bytes of a recording come from: a file that may be growing while it is read, or memory.
//
// Threads: one reader at a time.
// Edges:   a file is read with pread, never mapped, so that a file that shrinks or a disk that fails is an error and
//          not a SIGBUS. Opening never waits (FIFOs) and takes regular files only; a memfd behind /proc/PID/fd is one.
#ifndef ALLOCLINE_RECORDING_BYTE_SOURCE_H_
#define ALLOCLINE_RECORDING_BYTE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace allocline {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }
  // Bytes there are now. A live recording grows from call to call.
  virtual absl::StatusOr<uint64_t> Size() = 0;
  // Bytes of storage behind them, fewer than Size() if there are holes.
  virtual absl::StatusOr<uint64_t> StorageBytes() = 0;
  // Fills `bytes` bytes at `into` from `offset`; all of them, or it is an error. An aligned word is never torn in
  // practice if `into` is aligned as `offset` is: the kernel copies words whole.
  virtual absl::Status ReadAt(uint64_t offset, void* into, size_t bytes) = 0;

 protected:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}

 private:
  std::string name_;
};

// Errors: NotFound, PermissionDenied, InvalidArgument (not a regular file), Unavailable (anything else).
absl::StatusOr<std::unique_ptr<ByteSource>> OpenByteSource(const std::string& path);
// `bytes` must outlive the source.
std::unique_ptr<ByteSource> MakeByteSource(std::string_view bytes, const std::string& name);

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_BYTE_SOURCE_H_
