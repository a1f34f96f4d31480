// Where functions stand that have a plain name only: "operator()" of a lambda, a member of a class that is local to a
// function, a template whose arguments are local. Nothing in DWARF leads from a DIE to the one around it, so the walk
// over a unit, which knows, notes it down for those few.
//
// Threads:    one thread at a time.
// Invariants: a scope's parent has a smaller index.
#ifndef ALLOCLINE_SYMBOLIZE_DIE_SCOPES_H_
#define ALLOCLINE_SYMBOLIZE_DIE_SCOPES_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace allocline {

inline constexpr int32_t kNoScope = -1;

struct DieScope {
  uint64_t die_offset = 0;
  int32_t parent = kNoScope;  // kNoScope: the unit itself
};

class DieScopes {
 public:
  int32_t Add(uint64_t die_offset, int32_t parent) {
    scopes_.push_back({.die_offset = die_offset, .parent = parent});
    return static_cast<int32_t>(scopes_.size()) - 1;
  }
  void SetScopeOf(uint64_t function_offset, int32_t scope) { scope_of_.emplace(function_offset, scope); }

  int32_t ScopeOf(uint64_t function_offset) const {
    auto found = scope_of_.find(function_offset);
    return found == scope_of_.end() ? kNoScope : found->second;
  }
  const DieScope& operator[](int32_t scope) const { return scopes_[static_cast<size_t>(scope)]; }

 private:
  std::vector<DieScope> scopes_;
  absl::flat_hash_map<uint64_t, int32_t> scope_of_;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DIE_SCOPES_H_
