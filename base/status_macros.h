// Passing an error on in one line, for the offline half.
//
//   RETURN_IF_ERROR(file.Check());
//   ASSIGN_OR_RETURN(const uint64_t size, file.Size());
#ifndef ALLOCLINE_BASE_STATUS_MACROS_H_
#define ALLOCLINE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define ASSIGN_OR_RETURN(declaration, expression) \
  ALLOCLINE_ASSIGN_OR_RETURN_(ALLOCLINE_STATUS_NAME_(or_value_, __LINE__), declaration, expression)
#define ALLOCLINE_ASSIGN_OR_RETURN_(or_value, declaration, expression) \
  auto or_value = (expression);                                        \
  if (!or_value.ok()) return or_value.status();                        \
  declaration = *std::move(or_value)
#define ALLOCLINE_STATUS_NAME_(prefix, line) ALLOCLINE_STATUS_JOIN_(prefix, line)
#define ALLOCLINE_STATUS_JOIN_(prefix, line) prefix##line

#endif  // ALLOCLINE_BASE_STATUS_MACROS_H_
