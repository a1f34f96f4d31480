// What is loaded around an address: asked from the loader without its lock, and read from the object's own headers in
// memory.
//
// Threads: any. Context: async-signal-safe. The object must stay loaded during a call: it does if it is on the stack.
#ifndef ALLOCLINE_TRACER_LOADED_OBJECT_H_
#define ALLOCLINE_TRACER_LOADED_OBJECT_H_

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace allocline {

struct LoadedObject {
  uintptr_t start, end;
  const link_map* map;
};

struct ElfImage {
  const ElfW(Ehdr) * header;
  const ElfW(Phdr) * segments;
};

// False if there is no object around `pc`.
bool FindObject(uintptr_t pc, LoadedObject* out);

// The ELF header lies at the start of the first mapped segment, in every object that linkers make: `start`, or further
// in front if there are holes between the segments. False if it does not; that is checked as far as can be done without
// the risk of reading what is not mapped.
bool ReadImage(const LoadedObject& object, ElfImage* image);

// The NT_GNU_BUILD_ID note. Gives its length, 0 if there is none.
size_t FindBuildId(const LoadedObject& object, const ElfImage& image, const uint8_t** id);

// Of the ELF header and the program headers: another file of the same size has others, most likely, because section
// headers move with every byte. 0 if they cannot be read.
uint64_t HashOfHeaders(const LoadedObject& object);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_LOADED_OBJECT_H_
