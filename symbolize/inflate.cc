#include "symbolize/inflate.h"

#include <fmt/format.h>
#include <libdeflate.h>
#include <sys/mman.h>

#include <memory>

namespace allocline {
namespace {

// Deflate cannot do better than 258 bytes from a code of 2 bits: a bound on what a true header can claim.
constexpr size_t kMaxExpansion = 1032;

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

}  // namespace

absl::StatusOr<LargeBuffer> LargeBuffer::Create(size_t bytes) {
  LargeBuffer buffer;
  if (bytes == 0) return buffer;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return absl::ResourceExhaustedError(fmt::format("no memory for {} bytes", bytes));
  madvise(memory, bytes, MADV_HUGEPAGE);  // advice: where it is refused, it is only slower
  buffer.data_ = static_cast<char*>(memory);
  buffer.bytes_ = bytes;
  return buffer;
}

LargeBuffer::~LargeBuffer() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

absl::StatusOr<LargeBuffer> InflateZlib(std::string_view compressed, size_t result_bytes) {
  if (result_bytes / kMaxExpansion > compressed.size()) {
    return absl::DataLossError(
        fmt::format("{} compressed bytes cannot hold the {} its header claims", compressed.size(), result_bytes));
  }
  absl::StatusOr<LargeBuffer> buffer = LargeBuffer::Create(result_bytes);
  if (!buffer.ok()) return buffer.status();
  std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(libdeflate_alloc_decompressor());
  if (decompressor == nullptr) return absl::ResourceExhaustedError("no memory to decompress");
  // Without a place for the true size, libdeflate accepts a stream of exactly this size only.
  if (libdeflate_zlib_decompress(decompressor.get(), compressed.data(), compressed.size(), buffer->data(), result_bytes,
                                 nullptr) != LIBDEFLATE_SUCCESS) {
    return absl::DataLossError(fmt::format("damaged zlib data, expected {} bytes", result_bytes));
  }
  return buffer;
}

}  // namespace allocline
