// Mangled names to readable ones.
//
// Readable means: as c++filt prints it, but std::string where libstdc++ spells out its template, without [abi:...]
// tags, and without the suffixes of clones (.isra.0, .constprop.0, .cold ...) that the optimizer makes of a function:
// none of them says anything about the program, and all of them make two equal functions look different.
#ifndef ALLOCLINE_SYMBOLIZE_DEMANGLE_H_
#define ALLOCLINE_SYMBOLIZE_DEMANGLE_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/container/node_hash_map.h"

namespace allocline {

// nullopt: mangled in a way we do not know, or far too long to be read. A name that is not mangled is itself.
std::optional<std::string> Demangle(const std::string& name);

// Keeps every answer: a symbolizer asks for the same names again and again.
//
// Threads:    one thread at a time.
// Invariants: a pointer stays valid for the life of the Demangler.
class Demangler {
 public:
  // nullptr where Demangle() has nothing.
  const std::string* TryDemangle(std::string_view name);
  // The name itself where Demangle() has nothing.
  const std::string& DemangleOrKeep(std::string_view name);

 private:
  struct Answer {
    std::string text;
    bool demangled;
  };
  const Answer& Find(std::string_view name);

  absl::node_hash_map<std::string, Answer> names_;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_DEMANGLE_H_
