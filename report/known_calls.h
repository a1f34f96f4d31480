// What a function is known for: that it belongs to a driver of databases, reads a file, parses a document, puts into a
// container. A table of names, by the function, by the library it is in, or by the file of Python it is in.
//
// It knows the libraries that connectors are made of, and no program. A function that is not in it is known for
// nothing.
#ifndef ALLOCLINE_REPORT_KNOWN_CALLS_H_
#define ALLOCLINE_REPORT_KNOWN_CALLS_H_

#include <cstdint>

#include "report/profile.h"

namespace allocline {

enum class CallKind : uint8_t {
  kDatabase,        // a driver of databases
  kWholeResult,     // that gives all rows of a query at once, or keeps them in memory of its own
  kFile,            // a file is opened or read
  kWholeFile,       // and read in one go
  kCsv,             // a reader of tables in text
  kDocument,        // a parser of JSON, XML or YAML
  kDocumentOfFile,  // that is given a file
  kBinary,          // decodes or unpacks: base64, deflate
  kSequence,        // puts into a vector or list
  kKeyed,           // into a map or set
  kQueue,           // into a queue
  kContainer,       // does any of these, or copies or reserves one
  kNetwork,         // talks to another machine
  kPaged,           // asks for a part of the rows
  kMemoized,        // keeps what a function gave
  kCount,
};

// A set of them.
class CallKinds {
 public:
  constexpr CallKinds() = default;
  constexpr CallKinds(CallKind kind) : bits_(1u << static_cast<unsigned>(kind)) {}  // NOLINT(google-explicit-*)
  constexpr bool Has(CallKind kind) const { return (bits_ & CallKinds(kind).bits_) != 0; }
  constexpr bool Empty() const { return bits_ == 0; }
  constexpr CallKinds operator|(CallKinds other) const { return CallKinds(bits_ | other.bits_); }
  constexpr CallKinds operator&(CallKinds other) const { return CallKinds(bits_ & other.bits_); }
  constexpr CallKinds operator-(CallKinds other) const { return CallKinds(bits_ & ~other.bits_); }
  constexpr CallKinds& operator|=(CallKinds other) {
    bits_ |= other.bits_;
    return *this;
  }
  bool operator==(const CallKinds&) const = default;

 private:
  constexpr explicit CallKinds(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 0;
};
constexpr CallKinds operator|(CallKind a, CallKind b) { return CallKinds(a) | CallKinds(b); }

// What is put into one.
inline constexpr CallKinds kContainers = CallKind::kSequence | CallKind::kKeyed | CallKind::kQueue;

CallKinds KindsOfCall(const Location& location);

}  // namespace allocline

#endif  // ALLOCLINE_REPORT_KNOWN_CALLS_H_
