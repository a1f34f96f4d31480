// The name of the function behind a DIE.
//
// The DIE with the code seldom has it. It points by abstract_origin to the function as it was before inlining, which
// points by specification to its declaration in a class, perhaps in another unit (LTO) or another file (dwz). A linkage
// name anywhere on that chain tells the whole of it, parameters and namespaces. Only where there is none (C, and what
// is local to a function), or where it is too long to demangle, the plain name is taken, with the names of what it
// stands in before it: Server::Load(int)::<lambda>::operator().
//
// Threads:    one thread at a time.
// Invariants: a pointer stays valid for the life of the FunctionNames and of its Demangler.
// At the edge: a chain that is damaged, or longer than any compiler makes, ends there.
#ifndef ALLOCLINE_SYMBOLIZE_FUNCTION_NAMES_H_
#define ALLOCLINE_SYMBOLIZE_FUNCTION_NAMES_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_set.h"
#include "symbolize/demangle.h"
#include "symbolize/die_scopes.h"
#include "symbolize/dwarf_file.h"

namespace allocline {

struct FunctionName {
  const std::string* readable = nullptr;
  bool complete = false;  // from a linkage name, so with its namespaces and parameters
};

class FunctionNames {
 public:
  explicit FunctionNames(Demangler& demangler) : demangler_(demangler) {}

  // `scopes` are those of the unit that the DIE is in.
  FunctionName Of(DieReference die, const DieScopes& scopes);

 private:
  struct Chain {
    FunctionName name;
    DieReference named;  // the DIE that has the plain name, if that was taken
  };
  Chain Follow(DieReference die);
  std::string Qualified(const Chain& chain, const DieScopes& scopes);

  Demangler& demangler_;
  absl::flat_hash_map<DieReference, FunctionName> names_;  // of origins: many calls share one
  absl::node_hash_set<std::string> qualified_;
};

}  // namespace allocline

#endif  // ALLOCLINE_SYMBOLIZE_FUNCTION_NAMES_H_
