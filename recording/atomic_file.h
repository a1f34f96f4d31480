// Writes a whole file so that nobody ever sees half of it.
#ifndef ALLOCLINE_RECORDING_ATOMIC_FILE_H_
#define ALLOCLINE_RECORDING_ATOMIC_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace allocline {

// Writes `bytes` into a new file beside `path`, mode 0600, and gives it that name when it is complete. A file that is
// there already stays, unless `replace`. On an error nothing is left behind.
// Errors: AlreadyExists, NotFound (the directory), PermissionDenied, Unavailable (a full disk, ...).
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, bool replace);

}  // namespace allocline

#endif  // ALLOCLINE_RECORDING_ATOMIC_FILE_H_
