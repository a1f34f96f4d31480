// Sizes as people write them in options: "524288", "512K", "512KiB", "4M", "1.5G". K is 1024.
#ifndef ALLOCLINE_TOOLS_BYTE_SIZE_H_
#define ALLOCLINE_TOOLS_BYTE_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace allocline {

// InvalidArgument, naming `option`, for what is no size or is not in [least, most].
absl::StatusOr<uint64_t> ParseByteSize(const std::string& option, const std::string& text, uint64_t least,
                                       uint64_t most);

}  // namespace allocline

#endif  // ALLOCLINE_TOOLS_BYTE_SIZE_H_
