// Mangled names to readable ones.
//
// Readable means: as c++filt prints it, but std::string where libstdc++ spells out its template, and without [abi:...]
// tags. Both say nothing about the program and hide what does.
#ifndef ALLOCLINE_SYMBOLIZE_DEMANGLE_H_
#define ALLOCLINE_SYMBOLIZE_DEMANGLE_H_

#include <string>
#include <string_view>

#include "absl/container/node_hash_map.h"

namespace allocline {

// Keeps every answer: a symbolizer asks for the same names again and again.
//
// Threads:    one thread at a time.
// Invariants: a reference stays valid for the life of the Demangler.
class Demangler {
 public:
  // The name itself if it is not mangled, or mangled in a way we do not know.
  const std::string& Demangle(std::string_view name);

 private:
  absl::node_hash_map<std::string, std::string> names_;
};

// One name, not remembered.
std::string DemangleName(const std::string& name);

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DEMANGLE_H_
